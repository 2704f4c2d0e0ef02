"""Names of models: base models, trained runs, directories and hub ids; the record of a run."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.dataset import Prompt
from glyphsight.dataset.questions import asks_name
from glyphsight.errors import ModelError, meant
from glyphsight.files import normal, write_json
from glyphsight.models import nano, smollm2
from glyphsight.models.chat import Turns
from glyphsight.models.nano import MadeFor

RUN_FILE = "glyphsight.json"  # the record; written last: with it a run is finished
SETTINGS_FILE = "settings.json"
"""File of the settings. It is written before the first step: with it a run is begun."""
HISTORY_FILE = "history.jsonl"  # file of loss and accuracy over the steps


UNKNOWN = "unknown"  # label of a class of pictures that show nothing the model is to know


@dataclass(frozen=True)
class Task:
    """A question that a run was trained to answer."""

    question: str = ""  # question of the records; "" where the wording of the dataset asks it
    labels: tuple[str, ...] = ()  # answers to choose from, sorted; empty where answers are open
    names: dict[str, str] = field(default_factory=dict)  # meanings, such as {"9": "ankle boot"}

    def name_of(self, label: str) -> str:
        """Return the meaning of a label: its name, or the label itself where it has none."""
        return self.names.get(label, label)


@dataclass(frozen=True)
class RunRecord:
    """Record of a run, saved as ``glyphsight.json``."""

    base: str  # name of the model that the run was trained from
    seed: int = 0  # random seed of the run, which also made the weights of a fresh ``nano``
    prompts: tuple[Prompt, ...] = (Prompt(),)  # around pictures; the model is asked in the first
    profile: Profile = PUBLISHED  # profile of the pictures
    tasks: tuple[Task, ...] = (Task(),)  # trained on; the first is asked by default
    training: dict[str, Any] = field(default_factory=dict)  # records, steps, seconds, accuracy
    # Turns of the chat around a prompt, None for plain prompts; kept whole, since some templates
    # write today's date
    chat: Turns | None = None
    base_profile: Profile = PUBLISHED  # profile that the tokenizer of a ``nano`` is made for
    base_answers: tuple[str, ...] = ()  # one token each of a ``nano``, in the order of the tokens
    free: bool = False  # True where it takes any question, trained on more than ``tasks`` lists
    # Threshold of the label ``unknown``, above 0 and below 1: its probability beside the likeliest
    # other label's from which it is the answer
    unknown_above: float = 0.5
    draws: tuple[str, ...] = ()  # labels that the run was trained to draw, sorted
    # Degrees by which ``see`` turns a centred picture either way where the run is not sure of it:
    # the mean of all three readings counts; 0 where it is read once
    turned_by: float = 0.0

    @property
    def caution(self) -> float:
        """Log-odds of the threshold of ``unknown``: its score is lowered by as much."""
        return math.log(self.unknown_above / (1 - self.unknown_above))

    @property
    def made_for(self) -> MadeFor:
        """Texts that the tokenizer of a fresh ``nano`` at the root is made for."""
        return MadeFor(self.base_profile, self.base_answers)

    @property
    def prompt(self) -> Prompt:
        """Wording that the model is asked in."""
        return self.prompts[0]

    @property
    def labels(self) -> list[str]:
        """Labels of the first task."""
        return list(self.tasks[0].labels)

    def name_of(self, label: str) -> str:
        """Return the meaning of a label of the first task."""
        return self.tasks[0].name_of(label)

    def task(self, question: str | None = None) -> Task:
        """Return the task of a question; None asks for the first, a free run takes any.

        Raises:
            ModelError: The run was not trained to answer the question.
        """
        for task in self.tasks:
            if question is None or normal(task.question) == normal(question):
                return task
        if self.free and question is not None:
            return Task(question)
        if question is not None and self.names(question):
            return self.tasks[0]
        known = ", ".join(repr(task.question) for task in self.tasks if task.question)
        raise ModelError(
            f"not trained to answer {question!r}; "
            + (f"ask one of {known}" if known else "leave the question out")
        )

    def asked(self, words: str, task: Task) -> Task:
        """Return the first task for words that ask for a name it has a label for, else ``task``."""
        named = self.labels and task not in self.tasks and self.names(words)
        return self.tasks[0] if named else task

    @property
    def asks_one(self) -> bool:
        """True where words beside a picture change nothing: the run knows one question alone."""
        return not self.free and len(self.tasks) < 2

    def ignores(self, words: str) -> bool:
        """Tell whether words beside a picture change nothing, and are not the one question."""
        asked = normal(words) in ("", normal(self.tasks[0].question)) or self.names(words)
        return self.asks_one and not asked

    def names(self, words: str) -> bool:
        """Tell whether words ask for the name of what is seen, which the first task gives."""
        return self.names_first and asks_name(words)

    @property
    def names_first(self) -> bool:
        """True where the first task gives a name, as far as its question says."""
        first = self.tasks[0].question
        return not first or asks_name(first)

    def meant(self, words: str) -> Task:
        """Return the task that words beside a picture ask for; where there is one, always that.

        Raises:
            ModelError: They are none of several questions.
        """
        return self.task(words if words.strip() and not self.asks_one else None)

    def save(self, run: Path) -> None:
        """Write the record into the run directory."""
        write_json(run / RUN_FILE, asdict(self))

    @staticmethod
    def load(run: str | Path) -> RunRecord | None:
        """Read the record of a run directory, None without one; raise ModelError if damaged."""
        file = Path(run) / RUN_FILE
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            threshold = float(value.get("unknown_above", RunRecord.unknown_above))
            if not 0 < threshold < 1:
                raise ValueError(f"unknown_above {threshold} is not between 0 and 1")
            return RunRecord(
                base=value["base"],
                seed=value["seed"],
                prompts=tuple(Prompt(**one) for one in value["prompts"]),
                profile=Profile(**value["profile"]),
                tasks=tuple(
                    Task(one["question"], tuple(one["labels"]), one["names"])
                    for one in value["tasks"]
                ),
                training=value["training"],
                chat=Turns(**value["chat"]) if value["chat"] else None,
                base_profile=Profile(**value["base_profile"]),
                base_answers=tuple(value.get("base_answers", ())),  # older records have none
                free=value.get("free", False),
                unknown_above=threshold,
                draws=tuple(value.get("draws", ())),
                turned_by=float(value.get("turned_by", RunRecord.turned_by)),
            )
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{file}: damaged ({error!r}); train the run again") from error


def read_history(file: Path) -> list[dict[str, Any]]:
    """Read the lines of a history file; a half-written last line is left out."""
    lines: list[dict[str, Any]] = []
    for text in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


SIGHT = "sight"
SIGHT_VQA = "sight-vqa"
NANO_DIGITS = "nano-digits"
NANO_FASHION = "nano-fashion"
NANO_NAMES = "nano-names"
HEARING = "hearing"
DRAW = "draw"
_ASSETS = Path(__file__).parents[1] / "assets"
_SHIPPED = (NANO_DIGITS, NANO_FASHION, NANO_NAMES, HEARING, DRAW, SIGHT, SIGHT_VQA)
SHIPPED_RUNS = {name: _ASSETS / name for name in _SHIPPED}
"""Trained runs in the package: a ``nano`` and an adapter of SmolLM2 trained on handwritten digits,
that adapter trained further on questions about digits, a ``nano`` trained on Fashion-MNIST's
clothes, one on letters, icons, sketches and clothes together, one on spoken digits, and one that
draws digits."""
NAMES = (nano.NAME, smollm2.NAME, *SHIPPED_RUNS)
"""Names of the models of the package. They win over directories of the same name."""


def model_for(question: str | None, talker: str | None = None) -> str:
    """Name the model that a question about a picture goes to unless another is named."""
    names = question is None or talker is not None or asks_name(question)
    return SIGHT if names else SIGHT_VQA


@dataclass(frozen=True)
class ModelSource:
    """The meaning of a model's name."""

    name: str  # for messages, as the user gave it
    directory: Path | None = None  # None for ``nano``, ``smollm2-135m`` and hub ids
    run: RunRecord | None = None  # finished run in the directory, None where it holds none

    @property
    def ships(self) -> bool:
        """Tell whether the model is a trained run of the package."""
        return self.directory is not None and self.directory in SHIPPED_RUNS.values()

    @property
    def from_hub(self) -> bool:
        """Tell whether the name is a hub id, since it is neither ours nor a directory."""
        return self.directory is None and self.name not in NAMES

    @property
    def user_run(self) -> Path | None:
        """Directory of the user's own finished run; None for any other model."""
        return None if self.run is None or self.ships else self.directory

    @property
    def adapter(self) -> Path | None:
        """Settings file of PEFT where the directory holds an adapter, None where it holds none."""
        file = None if self.directory is None else self.directory / "adapter_config.json"
        return file if file and file.is_file() else None

    @property
    def origin(self) -> str:
        """Name of the base model at the root, whose default settings suit a run too."""
        return root_of(self.run).base if self.run else self.lasting_name

    @property
    def fault(self) -> str:
        """Reason why the name means no model, and the fix; "" where it may mean one."""
        directory = self.directory
        if directory is None:
            said = meant(self.name, [*NAMES, *self._beside()]) if self.from_hub else ""
            return f"no such directory here; {said.removesuffix('; else ')}" if said else ""
        if not directory.is_dir():
            return f"no such directory here; give {', '.join(NAMES)} or a run directory"
        begun = self.run is not None or (directory / SETTINGS_FILE).is_file()
        adapter = self.run is not None and self.adapter is not None
        if begun and not adapter and not (directory / "config.json").is_file():
            return (
                "its training has not finished; resume it: give the command that began it with "
                "--resume"
            )
        return ""

    def _beside(self) -> list[str]:
        """List the runs in the folder that the name is in, such as ``runs``."""
        folder = Path(self.name).parent
        return [] if folder == Path() else [str(one.parent) for one in folder.glob(f"*/{RUN_FILE}")]

    @property
    def lasting_name(self) -> str:
        """Name that means the same model in every working directory."""
        if self.directory is None or self.ships:
            return self.name
        return str(self.directory.resolve())


def resolve(name: str | Path) -> ModelSource:
    """Find out which model a name or path means.

    Args:
        name: A name of the package (``nano`` is a fresh one), a directory or a hub id. A ``Path``,
            or text such as ``"./nano"``, is a directory whatever its name.

    Raises:
        ModelError: The record of the run in the directory is damaged.
    """
    if isinstance(name, str) and name in NAMES:
        directory = SHIPPED_RUNS.get(name)
    elif isinstance(name, str) and not Path(name).exists():
        directory = None
    else:
        directory = Path(name)
    run = None if directory is None else RunRecord.load(directory)
    return ModelSource(str(name), directory, run)


def start_from(name: str | Path) -> ModelSource:
    """Find the trained run that ``--from`` means; raise ModelError where none is finished."""
    source = resolve(name)
    if source.run is None:
        shipped = f"--from {NANO_DIGITS}, or " if name == nano.NAME else ""
        base = f"{shipped}--model {name}" if source.directory or name in NAMES else ""
        raise ModelError(
            f"--from {name}: is no trained run (it holds no {RUN_FILE}); give "
            f"{base or 'the directory of a run, or ' + ', '.join(SHIPPED_RUNS)}"
        )
    return source


def root_of(record: RunRecord) -> RunRecord:
    """Follow a run's bases to the first run; its seed made the weights of a fresh ``nano``."""
    seen = set[str]()
    while record.base not in seen and (before := resolve(record.base).run):
        seen.add(record.base)
        record = before
    return record
