"""A training run worked out before anything is written: datasets, model, examples and record."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glyphsight.codec import Profile
from glyphsight.console import say
from glyphsight.dataset import BuildSettings, Prompt, Record
from glyphsight.dataset.drawing import PREFIX
from glyphsight.dataset.prompt import in_turn
from glyphsight.dataset.storage import read_manifest
from glyphsight.errors import DatasetError, ModelError
from glyphsight.files import checksum
from glyphsight.inference import Model, Request
from glyphsight.inference.draw import named
from glyphsight.models import LoadedModel, load_model, nano
from glyphsight.models.load import new_adapter
from glyphsight.models.nano import MadeFor
from glyphsight.models.runs import ModelSource, RunRecord, Task, resolve
from glyphsight.models.tokens import merged_pictures
from glyphsight.train.answers import add_answers
from glyphsight.train.data import Example, reads_apart, share_beginnings, tokenize_records
from glyphsight.train.learned import LearnedDataset, read_datasets
from glyphsight.train.settings import ResolvedSettings, TrainSettings
from glyphsight.train.state import (
    WORDS_FILE,
    is_first_process,
    read_inputs,
    require_same,
    world_size,
)
from glyphsight.train.tasks import (
    Names,
    frequent_answers,
    make_tasks,
    questions_of,
    replies_of,
    takes_any,
)
from glyphsight.train.text import own_words, pieces_for, text_pieces

_MANY_EPOCHS = 10**6


@dataclass(frozen=True)
class Job:
    """A model, examples to learn, and the record that the run will have."""

    loaded: LoadedModel  # the model, with its adapter where one is trained
    record: RunRecord  # record of the run, its training figures as far as they are known
    validation: list[Record]  # validation records of all datasets
    examples: list[Example]  # tokenized training records, all of them, then pieces of plain text
    own_words: Path | None  # file of the text that the base model wrote, None where it wrote none
    known: int  # tokens of the model that it starts from; those after them are new answers
    inputs: dict[str, Any]  # inputs that a resumed run must find unchanged

    def _steps_per_epoch(self, batch_size: int) -> int:
        return math.ceil(len(self.examples) / (batch_size * world_size()))

    def steps(self, settings: TrainSettings) -> int:
        """Return the optimizer steps of the whole run, or more than minutes ever allow."""
        if settings.max_steps > 0:
            return settings.max_steps
        epochs = settings.epochs or (_MANY_EPOCHS if settings.minutes else 1)
        return math.ceil(self._steps_per_epoch(settings.batch_size) * epochs)

    def records_seen(self, step: int, batch_size: int) -> int:
        """Return the number of records and texts taken after ``step`` steps, repeats counted.

        Where rows hold several records, the last epoch's are counted by their mean.
        """
        epochs, rest = divmod(step, self._steps_per_epoch(batch_size))
        rows, whole = len(self.examples), sum(one.records for one in self.examples)
        return epochs * whole + round(min(rest * batch_size * world_size(), rows) * whole / rows)


def with_its_adapter(resolved: ResolvedSettings, model: str | Path) -> ResolvedSettings:
    """Take over rank and scale of the adapter that the training starts from; refuse others."""
    source = resolve(model)
    if source.run is None or source.adapter is None or resolved.values.method == "full":
        return resolved
    saved = json.loads(source.adapter.read_text("utf-8"))
    own = {"lora_rank": saved["r"], "lora_alpha": saved["lora_alpha"]}
    for name, value in own.items():
        if resolved.origin[name] == "given" and getattr(resolved.values, name) != value:
            raise ModelError(
                f"{name} {getattr(resolved.values, name)}: the adapter of {model} has {value} and "
                "keeps it; leave it out, or start from a base model"
            )
    return ResolvedSettings(
        replace(resolved.values, **own), resolved.origin | dict.fromkeys(own, "model")
    )


def _adapted(loaded: LoadedModel, settings: TrainSettings) -> LoadedModel:
    """Return the model as the method wants it: with a trainable adapter, or whole."""
    if settings.method == "answers":
        return loaded
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
    model: str | Path,
    settings: TrainSettings,
    names: Names = None,
    begun: Path | None = None,
) -> Job:
    """Load the model and the data and make them fit each other.

    A run that is resumed, in the directory ``begun``, keeps its chat and the text of its base.

    Raises:
        DatasetError: The data cannot be read, or a record does not fit the model whole.
        ModelError: The model cannot be loaded, the datasets differ in their profile, the base
            cannot write the text that is wanted, or the resumed run was started with other inputs.
    """
    source = resolve(model)
    before, chat = read_inputs(begun) if begun else ({}, None)
    datasets = read_datasets(data, settings.validation_records, source.run)
    tasks = make_tasks(datasets, names, source.run, settings.most_labels)
    profile = datasets[0].profile
    text = _text_to_mix_in(source, settings, begun)
    answers = frequent_answers(datasets) if source.lasting_name == nano.NAME else ()
    own = source.run.made_for if source.run else MadeFor(profile, answers)
    origin = load_model(
        model,
        seed=settings.seed,
        training=True,
        chat=chat or {"auto": None, "yes": True, "no": False}[settings.chat],
        four_bits=settings.method == "qlora",
        made_for=own,
    )
    stays_adapter = hasattr(origin.model, "peft_config") and settings.method != "full"
    # An adapter on its own base learns of plain text what that base says; any other the text.
    as_base = settings.method != "full" and (stays_adapter or origin.run is None)
    loaded, known = _adapted(origin, settings), len(origin.tokenizer)
    if source.run and source.origin == nano.NAME and settings.method in ("full", "answers"):
        loaded, own = add_answers(loaded, own, replies_of(datasets, tasks))
    if settings.method == "answers":
        _require_answers(loaded, source, datasets, tasks)
    learned: list[Example] = []
    pictures = any(one.draws or record.pictures for one in datasets for record in one.records)
    if pictures and origin.run and is_first_process():
        _say_new_profile(origin.run.profile, datasets[0])
    drawn = {label for one in datasets for label in one.draws}
    lost = set(origin.run.draws) - drawn if origin.run else set()
    if lost and is_first_process():
        say(
            f"glyphsight: warning: {model} draws {named(sorted(lost))}, and the new run will not; "
            "add --data draw:DATA to keep it"
        )
    if pictures and (why := merged_pictures(loaded.tokenizer, profile)):
        raise ModelError(f"{loaded.name}: {why}")
    for one in datasets:
        asked = in_turn(one.records, one.prompts)
        texts = tokenize_records(loaded, asked, one.where)
        # Answers that are fitted to their pictures need a text each.
        fitted = settings.method == "answers" or len(loaded.tokenizer) > known
        learned += texts if fitted else _shared(loaded, texts, asked, one)
    records, pieces = sum(one.records for one in learned), 0
    if text is not None:
        pieces = pieces_for(records, settings.text_share)
        learned += text_pieces(loaded, text, pieces, settings.seed, as_base=as_base)
    sums = [PREFIX * bool(one.draws) + checksum(one.files) for one in datasets]
    kept = origin.run if stays_adapter else None
    record = RunRecord(
        base=kept.base if kept else source.lasting_name,
        seed=kept.seed if kept else settings.seed,
        prompts=tuple(dict.fromkeys(prompt for one in datasets for prompt in one.prompts)),
        profile=profile,
        tasks=tasks,
        training={"records": records, "text_pieces": pieces, "data_sha256": sums},
        chat=loaded.chat,
        base_profile=own.profile,
        base_answers=own.answers,
        free=takes_any(questions_of(datasets), source.run),
        draws=tuple(sorted(drawn)),
    )
    inputs = {
        "model": source.lasting_name,
        "data": sums,
        "text": checksum([text]) if text else None,
        "text_as": ("base" if as_base else "text") if text else None,
        "chat": asdict(loaded.chat) if loaded.chat else None,
        # Another number of rows makes other steps.
        "rows": str(len(learned)) if any(one.rests for one in learned) else None,
    }
    if begun:
        require_same(begun, before, inputs)
    for one in datasets:
        _require_room(loaded, record, one)
    judged = [record for one in datasets for record in one.validation]
    words = None if settings.text_file else text
    return Job(loaded, record, judged, learned, words, known, inputs)


def _shared(
    loaded: LoadedModel,
    texts: list[Example],
    asked: Sequence[tuple[Record, Prompt]],
    one: LearnedDataset,
) -> list[Example]:
    """Put questions about one picture into one row, where the model reads them apart; say so."""
    rows = share_beginnings(texts, asked)
    if len(rows) == len(texts) or not reads_apart(loaded, rows):
        return texts
    if is_first_process():
        before, now = (sum(len(row.ids) for row in some) for some in (texts, rows))
        say(
            f"glyphsight: {one.where}: questions about one picture share its text: {len(texts):,} "
            f"records in {len(rows):,} rows, {now / before:.0%} of the tokens"
        )
    return rows


def _require_answers(
    loaded: LoadedModel, source: ModelSource, datasets: list[LearnedDataset], tasks: Sequence[Task]
) -> None:
    """Raise ModelError where answers cannot be fitted, each a token of a trained nano."""
    why = ""
    if not source.run or source.origin != nano.NAME or source.adapter:
        why = f"{source.name} is no trained nano; start --from one, such as nano-names"
    elif any(one.draws for one in datasets):
        why = "it cannot learn to draw; leave draw:DATA out, or leave --method out"
    else:
        for reply in replies_of(datasets, tasks):
            if len(loaded.tokenizer(reply, add_special_tokens=False)["input_ids"]) > 1:
                why = (
                    f"the answer {reply!r} takes several tokens; shorten it, or leave --method out"
                )
        if not all(task.labels for task in tasks):
            why = "it chooses among labels, at most --set most_labels; leave --method out"
    if why:
        raise ModelError(f"method answers: {why}")


def _say_new_profile(before: Profile, one: LearnedDataset) -> None:
    """Warn of pictures that become text in another way than those the run was trained on."""
    known, now = asdict(before), asdict(one.profile)
    changed = [
        f"{name} {known[name]!r}, now {now[name]!r}" for name in now if known[name] != now[name]
    ]
    if changed:
        source = read_manifest(Path(one.where)).get("source", "SOURCE")
        say(
            f"glyphsight: warning: {one.where}: its profile is not that of the run trained from "
            f"({'; '.join(changed)}); the new run reads pictures in this one alone, and loses a "
            "part of what the run learned of its own texts. To keep it, build the data as the run "
            f"reads: {BuildSettings(profile=before).command(source)}"
        )


def _require_room(loaded: LoadedModel, run: RunRecord, one: LearnedDataset) -> None:
    """Raise DatasetError where a validation record does not fit the window as it is asked."""
    asked = [
        Request.about(
            run.prompt,
            record.picture,
            run.task(record.question).labels or [record.answer],
            record.question,
        )
        for record in one.validation
    ]
    for row, why in Model(loaded).too_long(asked).items():
        raise DatasetError(f"{one.validation_where}: record {one.rows[row] + 1}: {why}")


def _text_to_mix_in(
    source: ModelSource, settings: TrainSettings, begun: Path | None
) -> Path | None:
    """Return the file of plain text that a run learns, None where it learns none."""
    if settings.text_file or not settings.text_share:
        return Path(settings.text_file) if settings.text_file else None
    if begun and (begun / WORDS_FILE).is_file():
        return begun / WORDS_FILE
    return own_words(source.origin)
