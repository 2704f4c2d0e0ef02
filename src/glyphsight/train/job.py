"""What a run will do, worked out before anything is written."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glyphsight.codec import Profile
from glyphsight.dataset import Prompt
from glyphsight.dataset.prompt import in_turn
from glyphsight.errors import ModelError
from glyphsight.files import checksum, replacing
from glyphsight.models import LoadedModel, RunRecord, load_model
from glyphsight.models.adapter import new_adapter
from glyphsight.models.chat import Turns, turns_from_json
from glyphsight.models.record import SETTINGS_FILE
from glyphsight.models.runs import ModelSource, records_of, resolve, root_of, weights_of
from glyphsight.train.data import Example, Examples, tokenize_records
from glyphsight.train.kinds import Kind, read_kinds
from glyphsight.train.replay import own_words, pieces_for, text_pieces
from glyphsight.train.settings import ResolvedSettings, TrainSettings, saved_settings

_INPUT_FILE = "input.json"
_WORDS_FILE = "own-words.txt"


@dataclass(frozen=True)
class Job:
    """A model, what it is to learn, and how.

    Attributes:
        loaded: The model, with its adapter where one is trained.
        base: Name of the model it is trained from, as the run's record keeps it.
        base_seed: Seed that made the base's weights when it is a fresh ``nano``.
        base_profile: Profile that a fresh ``nano`` at the root was made to read.
        kinds: What it is taught, a dataset each; the first is what the run is asked by its own
            name.
        names: What answers stand for, of each kind, as the run that is gone on from has it.
        examples: Tokenized training records, all of them, then pieces of plain text.
        text_pieces: How many examples are plain text.
        own_words: The file of these where the base model wrote them itself.
        inputs: What a resumed run must find unchanged: the model's name, the checksums of the data
            and of the text mixed in, the turns of the chat.
    """

    loaded: LoadedModel
    base: str
    base_seed: int
    base_profile: Profile
    kinds: list[Kind]
    names: list[dict[str, str]]
    examples: Examples
    text_pieces: int
    own_words: Path | None
    inputs: dict[str, Any]

    def steps_an_epoch(self, batch_size: int) -> int:
        """Optimizer steps that take every example once."""
        return math.ceil(len(self.examples) / (batch_size * world_size()))

    def steps(self, settings: TrainSettings) -> int:
        """Optimizer steps of the whole run."""
        if settings.max_steps > 0:
            return settings.max_steps
        return math.ceil(self.steps_an_epoch(settings.batch_size) * settings.epochs)

    def records_seen(self, step: int, batch_size: int) -> int:
        """Examples taken after ``step`` steps, repeats counted."""
        epochs, rest = divmod(step, self.steps_an_epoch(batch_size))
        whole = len(self.examples)
        return epochs * whole + min(rest * batch_size * world_size(), whole)


def world_size() -> int:
    """Number of processes that train together, as torchrun and accelerate launch say it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Whether this process is the one that writes files and tells what is done."""
    return os.environ.get("RANK", "0") == "0"


def with_its_adapter(resolved: ResolvedSettings, model: str) -> ResolvedSettings:
    """The settings with rank and scale of the adapter that a run goes on with.

    Raises:
        ModelError: Another rank or scale was given.
    """
    source = resolve(model)
    directory, record = source.directory, source.run
    if directory is None or record is None or resolved.values.method == "full":
        return resolved
    config = weights_of(directory, record) / "adapter_config.json"
    if not config.is_file():
        return resolved
    said = json.loads(config.read_text("utf-8"))
    own = {"lora_rank": said["r"], "lora_alpha": said["lora_alpha"]}
    for name, value in own.items():
        if resolved.origin[name] == "given" and getattr(resolved.values, name) != value:
            raise ModelError(
                f"{name} {getattr(resolved.values, name)}: the adapter of {model} has {value} and "
                "goes on as it is; leave it out, or start from a base model"
            )
    return ResolvedSettings(
        replace(resolved.values, **own), resolved.origin | dict.fromkeys(own, "model")
    )


def _adapted(loaded: LoadedModel, settings: TrainSettings) -> LoadedModel:
    """The model as the method wants it: with a trainable adapter, or whole."""
    has_adapter = hasattr(loaded.model, "peft_config")
    if settings.method == "full":
        if not has_adapter:
            return loaded
        merged = loaded.model.merge_and_unload()
        for weight in merged.parameters():
            weight.requires_grad_(True)
        return replace(loaded, model=merged)
    if has_adapter:
        return loaded
    if settings.method == "qlora":
        from peft import prepare_model_for_kbit_training

        # Its casts and frozen weights only: checkpointing would recompute every pass.
        prepare_model_for_kbit_training(loaded.model, use_gradient_checkpointing=False)
    adapted = new_adapter(loaded.model, settings.lora_rank, settings.lora_alpha)
    return replace(loaded, model=adapted)


def make_job(
    data: Sequence[Path],
    model: str,
    settings: TrainSettings,
    prompt: Prompt | None,
    chat: Turns | None = None,
    kept_words: Path | None = None,
) -> Job:
    """Load the model and the data and make them fit each other.

    Args:
        data: As :func:`glyphsight.train.run.train` takes it.
        model: As it takes it.
        settings: How the model is to be taught.
        prompt: Words around the picture; None for the model's or the datasets', which take turns.
        chat: The turns of the run that goes on; None for those the settings ask for.
        kept_words: What the base of the run that goes on wrote itself; None to ask the base where
            the settings want it. Of plain text a model whose adapter sits on its own base learns to
            say what that base says; any other learns the text itself.

    Raises:
        DatasetError: The data cannot be read, or a record does not fit the model whole.
        ModelError: The model cannot be loaded, or has no words of its own where they are wanted.
    """
    source = resolve(model)
    directory, taught = source.directory, source.run
    kinds = read_kinds(data, settings.validation_records)
    before = _taught_before(directory, taught, [kind.name for kind in kinds])
    kinds = [
        replace(kind, wordings=(own.prompt,)) if (own := known or taught) else kind
        for kind, known in zip(kinds, before, strict=True)
    ]
    if prompt is not None:
        kinds = [replace(kind, wordings=(prompt,)) for kind in kinds]
    text = _text_to_mix_in(root_of(taught).base if taught else model, settings, kept_words)
    turns = chat or {"auto": None, "yes": True, "no": False}[settings.chat]
    origin = load_model(
        model,
        seed=settings.seed,
        training=True,
        chat=turns,
        four_bits=settings.method == "qlora",
        profile=kinds[0].profile,
    )
    continues = hasattr(origin.model, "peft_config") and settings.method != "full"
    as_base = settings.method != "full" and (continues or origin.run is None)
    loaded = _adapted(origin, settings)
    learnt: list[Example] = []
    for kind in kinds:
        learnt += tokenize_records(
            loaded, in_turn(kind.records, kind.wordings), kind.where
        ).examples
    pieces = 0
    if text is not None:
        pieces = pieces_for(len(learnt), settings.text_share)
        learnt += text_pieces(loaded, text, pieces, settings.seed, as_base=as_base)
    name = _lasting_name(source)
    return Job(
        loaded=loaded,
        base=origin.run.base if continues and origin.run else name,
        base_seed=origin.run.seed if continues and origin.run else settings.seed,
        base_profile=origin.run.base_profile if origin.run else kinds[0].profile,
        kinds=[replace(kind, records=[]) for kind in kinds],  # their memory is not needed again
        names=[
            _labelled(known.names, kind.labels) if known else {}
            for kind, known in zip(kinds, before, strict=True)
        ],
        examples=Examples(learnt),
        text_pieces=pieces,
        own_words=None if settings.text_file else text,
        inputs={
            "model": source.lasting_name,
            "data": checksum([file for kind in kinds for file in kind.files]),
            "kinds": [kind.name for kind in kinds] if len(kinds) > 1 else None,
            "text": checksum([text]) if text else None,
            "text_as": ("base" if as_base else "text") if text else None,
            "chat": asdict(loaded.chat) if loaded.chat else None,
        },
    )


def _taught_before(
    directory: Path | None, taught: RunRecord | None, names: list[str]
) -> list[RunRecord | None]:
    """What the run that is gone on from says of kinds of pictures; None where it knows none such.

    A kind goes by its name. The one dataset of a run is whatever was asked to be gone on from.
    """
    if directory is None or taught is None:
        return [None] * len(names)
    records = records_of(weights_of(directory, taught))
    return [records.get(name, taught if len(names) == 1 else None) for name in names]


def _labelled(names: dict[str, str], labels: list[str]) -> dict[str, str]:
    return {label: name for label, name in names.items() if label in labels}


def _lasting_name(source: ModelSource) -> str:
    """The name by which the run finds its base from anywhere.

    Of a kind of pictures it is that of the weights, which is a model for itself.
    """
    if source.directory and source.run and source.run.weights:
        return str(weights_of(source.directory, source.run))
    return source.lasting_name


def _text_to_mix_in(base: str, settings: TrainSettings, kept: Path | None) -> Path | None:
    """The file of plain text that a run takes, None where it takes none."""
    if not settings.text_share:
        return None
    if settings.text_file:
        return Path(settings.text_file)
    return kept or own_words(base)


def start_run(run: Path, job: Job, resolved: ResolvedSettings) -> None:
    """Write the settings and inputs of a new run.

    What a base model wrote itself is copied into it, so that a resumed run finds it unchanged.

    Raises:
        ModelError: There is a run already.
    """
    refuse_existing(run)
    if job.own_words is not None:
        with replacing(run / _WORDS_FILE) as stream:
            stream.write(job.own_words.read_text("utf-8"))
    with replacing(run / _INPUT_FILE) as stream:
        json.dump(job.inputs, stream, indent=2)
    resolved.save(run / SETTINGS_FILE)


def refuse_existing(run: Path) -> None:
    """Raise ModelError where ``run`` holds a run."""
    if (run / SETTINGS_FILE).exists():
        raise ModelError(f"{run}: holds a run already; add --resume or choose another --out")


def settings_to_resume(run: Path, resolved: ResolvedSettings) -> TrainSettings:
    """The settings a run was started with; what is given now must agree with them.

    Raises:
        ModelError: There is no run, or a setting is given with another value.
    """
    saved = {"chat": "no"} | saved_settings(run / SETTINGS_FILE)  # begun before there were chats
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


def words_to_resume(run: Path) -> Path | None:
    """What the base of a run wrote itself when it was started, None where nothing was wanted."""
    kept = run / _WORDS_FILE
    return kept if kept.is_file() else None


def _saved_inputs(run: Path) -> dict[str, Any]:
    file = run / _INPUT_FILE
    try:
        saved: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        turns_from_json(saved.get("chat"))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{file}: damaged ({error}); start the run anew") from error
    return saved


def chat_to_resume(run: Path) -> Turns | None:
    """The turns a run was started with, None where its prompts are plain.

    Raises:
        ModelError: The run's inputs are damaged.
    """
    return turns_from_json(_saved_inputs(run).get("chat"))


def check_same_inputs(run: Path, inputs: dict[str, Any]) -> None:
    """Raise ModelError where a resumed run would go on with another model or other data."""
    before = _saved_inputs(run)
    for name, value in inputs.items():
        if before.get(name) != value:
            raise ModelError(
                f"{run}: was started with another {name} ({before.get(name)}, now {value}); "
                "resume with the same or start a new run"
            )
