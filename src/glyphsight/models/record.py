"""What a run keeps of itself, so that its model is asked as it was taught."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.dataset import Prompt
from glyphsight.errors import ModelError
from glyphsight.files import replacing
from glyphsight.models.chat import Turns, turns_from_json

RUN_FILE = "glyphsight.json"
"""Written last: with it a run is finished."""
SETTINGS_FILE = "settings.json"
"""Written before the first step: with it a run is begun."""


@dataclass(frozen=True)
class RunRecord:
    """What a trained model needs to be asked as it was taught; saved as ``glyphsight.json``.

    Attributes:
        base: Name of the model it was trained from.
        seed: Seed of the run, which also made the weights of a fresh ``nano``.
        labels: The answers it was taught, sorted.
        prompt: The words around the picture.
        profile: How pictures were turned into text.
        training: What the training run measured: records, steps, seconds, accuracy.
        chat: The turns it was taught in, None where it was taught plain prompts. They are kept
            whole, since some templates write today's date.
        base_profile: The profile whose pictures a fresh ``nano`` at the root was made to read.
        names: What labels stand for, where they do not say it, such as ``{"9": "ankle boot"}``.
        weights: Directory of the run whose weights these are, as seen from the record's own, where
            one run was taught several kinds of pictures; "" where they lie beside the record.
    """

    base: str
    seed: int
    labels: list[str]
    prompt: Prompt = field(default_factory=Prompt)
    profile: Profile = PUBLISHED
    training: dict[str, Any] = field(default_factory=dict)
    chat: Turns | None = None
    base_profile: Profile = PUBLISHED
    names: dict[str, str] = field(default_factory=dict)
    weights: str = ""

    def name_of(self, label: str) -> str:
        """What a label stands for: its name, or itself where it has none."""
        return self.names.get(label, label)

    def save(self, run: Path) -> None:
        """Write the record into the run directory."""
        with replacing(run / RUN_FILE) as stream:
            json.dump(asdict(self), stream, ensure_ascii=False, indent=2)
            stream.write("\n")

    @staticmethod
    def load(run: Path) -> RunRecord | None:
        """The record of a run directory, None where there is none.

        Raises:
            ModelError: The file is damaged.
        """
        file = run / RUN_FILE
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            return RunRecord(
                base=value["base"],
                seed=value["seed"],
                labels=value["labels"],
                prompt=Prompt(**value["prompt"]),
                profile=Profile(**value["profile"]),
                training=value["training"],
                # Runs of before lack what follows.
                chat=turns_from_json(value.get("chat")),
                base_profile=Profile(**value.get("base_profile", {})),
                names=dict(value.get("names", {})),
                weights=str(value.get("weights", "")),
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{file}: damaged ({error!r}); train the run anew") from error
