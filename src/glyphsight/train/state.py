"""State of a run that was begun: settings, inputs, checkpoints; processes that train together."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyphsight.errors import ModelError
from glyphsight.files import replacing, write_json
from glyphsight.models.chat import Turns
from glyphsight.models.runs import SETTINGS_FILE
from glyphsight.train.settings import ResolvedSettings, TrainSettings, saved_settings

CHECKPOINTS = "checkpoints"
_INPUT_FILE = "input.json"
_WORDS_FILE = "own-words.txt"


def world_size() -> int:
    """Return the number of processes that train together, as torchrun and accelerate set it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Say whether this process writes files and messages."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True)
class Begun:
    """A run that is resumed.

    Attributes:
        inputs: Inputs that the run was started with; see :func:`start_run`.
        chat: Turns of its chat, None for plain prompts.
        words: File of the text that its base model wrote, None where it takes none.
    """

    inputs: dict[str, Any]
    chat: Turns | None
    words: Path | None

    def check(self, run: Path, inputs: dict[str, Any]) -> None:
        """Raise ModelError where the run was started with other inputs."""
        for name, value in inputs.items():
            if self.inputs.get(name) != value:
                raise ModelError(
                    f"{run}: was started with another {name} ({self.inputs.get(name)}, now "
                    f"{value}); resume with the same or start a new run"
                )


def refuse_existing(run: Path) -> None:
    """Raise ModelError where ``run`` holds a run."""
    if (run / SETTINGS_FILE).exists():
        raise ModelError(f"{run}: holds a run already; add --resume or choose another --out")


def start_run(
    run: Path, inputs: dict[str, Any], resolved: ResolvedSettings, words: Path | None
) -> None:
    """Write settings and inputs of a new run.

    Args:
        run: Directory of the run.
        inputs: Inputs that a resumed run must find unchanged: the model's name, checksums of data
            and text, the turns of the chat.
        resolved: Settings and their origin.
        words: File of the text that the base model wrote. It is copied, so that a resumed run
            finds it unchanged.

    Raises:
        ModelError: The directory holds a run already.
    """
    refuse_existing(run)
    if words is not None:
        with replacing(run / _WORDS_FILE) as stream:
            stream.write(words.read_text("utf-8"))
    write_json(run / _INPUT_FILE, inputs)
    resolved.save(run / SETTINGS_FILE)


def read_begun(run: Path) -> Begun:
    """Read the inputs of a run that is resumed.

    Raises:
        ModelError: They are damaged.
    """
    file, words = run / _INPUT_FILE, run / _WORDS_FILE
    try:
        inputs: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        chat = Turns(**inputs["chat"]) if inputs.get("chat") else None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{file}: damaged ({error}); start a new run") from error
    return Begun(inputs, chat, words if words.is_file() else None)


def settings_to_resume(run: Path, resolved: ResolvedSettings) -> TrainSettings:
    """Read the settings of a run that is resumed; the given ones must agree with them.

    Raises:
        ModelError: There is no run, or a setting is given with another value.
    """
    saved = saved_settings(run / SETTINGS_FILE)
    for name, origin in resolved.origin.items():
        value = getattr(resolved.values, name)
        if origin == "given" and saved.get(name) != value:
            raise ModelError(
                f"{run}: was started with {name} {saved.get(name)}, not {value}; "
                "leave it out, or start a new run"
            )
    try:
        return TrainSettings(**saved)
    except TypeError as error:
        raise ModelError(
            f"{run / SETTINGS_FILE}: holds a setting that this version does not know ({error}); "
            "resume with the version that began it, or start a new run"
        ) from error


def last_checkpoint(run: Path) -> tuple[int, Path | None]:
    """Return step and path of the newest whole checkpoint; 0 and None where there is none."""
    found: list[tuple[int, Path | None]] = [(0, None)]
    for path in (run / CHECKPOINTS).glob("checkpoint-*"):
        if (step := _step_of(path)) is not None:
            found.append((step, path))
    return max(found, key=lambda pair: pair[0])


def _step_of(checkpoint: Path) -> int | None:
    """Return the step of a checkpoint, None where it is not whole (its state is written last)."""
    try:
        return int(json.loads((checkpoint / "trainer_state.json").read_text())["global_step"])
    except (OSError, ValueError, KeyError):
        return None


def remove_halves(run: Path) -> None:
    """Remove checkpoints that a killed run did not write to their end."""
    for path in (run / CHECKPOINTS).glob("checkpoint-*"):
        if _step_of(path) is None:
            shutil.rmtree(path, ignore_errors=True)


def kept(run: Path) -> str:
    """Say which checkpoint a run that stops can be resumed from."""
    step, checkpoint = last_checkpoint(run)
    return f"the checkpoint of step {step} is kept" if checkpoint else "no checkpoint was due yet"
