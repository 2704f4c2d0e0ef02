"""A training run worked out before anything is written: datasets, model, examples and record."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from glyphsight.codec import Profile
from glyphsight.codec.layout import layout_of
from glyphsight.console import say
from glyphsight.dataset import BuildSettings, Prompt, Record, load_dataset
from glyphsight.dataset.drawing import PREFIX, backwards, drawn_dataset
from glyphsight.dataset.prompt import in_turn
from glyphsight.dataset.storage import profile_of, read_info, read_manifest, split_files
from glyphsight.errors import DatasetError, FormatError, ModelError
from glyphsight.files import checksum, normal
from glyphsight.inference import Model, Request
from glyphsight.inference.draw import named
from glyphsight.models import LoadedModel, load_model, nano
from glyphsight.models.load import new_adapter
from glyphsight.models.nano import MadeFor
from glyphsight.models.runs import UNKNOWN, ModelSource, RunRecord, Task, resolve
from glyphsight.models.tokens import merged_pictures
from glyphsight.train.data import (
    Example,
    own_words,
    pieces_for,
    text_pieces,
    tokenize_records,
)
from glyphsight.train.settings import ResolvedSettings, TrainSettings
from glyphsight.train.state import (
    WORDS_FILE,
    is_first_process,
    read_inputs,
    require_same,
    world_size,
)

Names = dict[str, str] | Sequence[dict[str, str] | None] | None
"""Meanings of labels: of one dataset, or of each of several, None where labels say it."""
MOST_QUESTIONS = 100
"""Largest number of questions that a run lists all; one that is trained on more is free."""
_MANY_EPOCHS = 10**6
_FREQUENT = 20
_MOST_ANSWERS = 2000
_LONG_ANSWER = 40


class LearnedDataset(NamedTuple):
    """Records of one dataset, which messages call ``where``; record i takes wording i modulo N.

    ``validation_where`` is what messages call its validation split; ``draws`` are the labels whose
    drawings are learned, empty where pictures are seen.
    """

    where: str
    validation_where: str
    files: list[Path]
    prompts: tuple[Prompt, ...]
    profile: Profile
    records: list[Record]
    validation: list[Record]
    draws: tuple[str, ...] = ()


def read_datasets(
    data: Sequence[Path], validation_records: int, before: RunRecord | None
) -> list[LearnedDataset]:
    """Read datasets that are learned together, each with ``validation_records`` at most.

    A dataset in the default wording takes those of ``before``, the run that the training starts
    from. One that is named ``draw:PATH`` is learned backwards, and not validated.

    Raises:
        DatasetError: A dataset cannot be read or holds no training record.
        ModelError: Two datasets differ in their profile, or in the wording they are asked in.
    """
    found = []
    for given in data:
        path, drawn = drawn_dataset(given)
        [files] = split_files(path, "train").values()
        judged_in = split_files(path).get("validation", [])
        where, judged_where = (str(own[0] if len(own) == 1 else path) for own in (files, judged_in))
        records = load_dataset(path)
        if not records:
            raise DatasetError(f"{where}: holds no record to learn from; build the dataset again")
        prompts = read_info(path).wordings
        if before is not None and prompts == (Prompt(),):
            prompts = before.prompts
        profile = _profile_of(path, records)
        if drawn:
            records, draws = _drawings(path, records, profile)
            found.append(LearnedDataset(where, "", files, prompts, profile, records, [], draws))
            continue
        judged = load_dataset(path, "validation") if judged_in else []
        judged = judged[:validation_records]
        found.append(LearnedDataset(where, judged_where, files, prompts, profile, records, judged))
    first = found[0]
    for other in found[1:]:
        for field, value in asdict(first.profile).items():
            if (theirs := getattr(other.profile, field)) != value:
                raise ModelError(
                    f"{first.where} and {other.where}: {field} of their profiles differs "
                    f"({value!r} and {theirs!r}); build both datasets with one profile"
                )
        if other.prompts[0] != first.prompts[0]:
            asked, theirs = (
                json.dumps(vars(one.prompts[0]), ensure_ascii=False) for one in (first, other)
            )
            raise ModelError(
                f"{first.where} and {other.where}: a run is asked in one wording, theirs differ "
                f"({asked} and {theirs}); build both datasets with one --wordings, or train a run "
                "on each"
            )
    return found


def _drawings(
    data: Path, records: list[Record], profile: Profile
) -> tuple[list[Record], tuple[str, ...]]:
    """Return records read backwards, and the labels they draw; say how many are left out."""
    try:
        size = len(layout_of(profile))
    except FormatError as error:
        raise FormatError(f"{data}: {error}") from None
    known = [
        one
        for one in records
        if one.answer != UNKNOWN and not one.question and len(one.pictures) == 1
    ]
    if not known:
        raise DatasetError(
            f"{data}: all its records are unknown, have a question of their own or not one "
            "picture; build one of labelled pictures"
        )
    some = [one for one in known if len(one.picture) == size]
    if not some:
        raise DatasetError(
            f"{data}: none of its pictures has the {profile.rows(1, 1)} rows of {profile.width} "
            "columns that are drawn; build it with --height"
        )
    if (left := len(records) - len(some)) and is_first_process():
        say(
            f"glyphsight: {data}: {left} of {len(records)} records are not drawn: they are "
            "unknown, have a question of their own, not one picture or another size"
        )
    return backwards(some), tuple(sorted({one.answer for one in some}))


def _profile_of(data: Path, records: list[Record]) -> Profile:
    """Return the profile in the manifest, or what a dataset file alone tells of it."""
    if (known := profile_of(data)) is not None:
        return known
    if not records[0].pictures:
        return Profile()
    try:
        profile = Profile(width=int(records[0].size.split()[0]))
    except (ValueError, IndexError):
        raise DatasetError(
            f"{data}: record 1: size {records[0].size!r} is no number of columns; "
            "run glyphsight dataset check"
        ) from None
    if is_first_process():
        say(
            f"glyphsight: warning: {data}: has no manifest that says how its pictures became "
            f"text; see will read others with width {profile.width} and the defaults, such "
            'as "invert": "no"; name it in manifest.json beside it: {"profile": {...}}'
        )
    return profile


def make_tasks(
    datasets: Sequence[LearnedDataset], names: Names, before: RunRecord | None, most_labels: int
) -> tuple[Task, ...]:
    """Group the records of datasets by question; ``before`` names labels that ``names`` does not.

    Of more than :data:`MOST_QUESTIONS` questions, of which the run is free, those are listed of
    which each label has 20 records, on average: fewer may leave a label out. The commonest is
    listed in any case.

    Raises:
        ModelError: A named answer is none of the data's, or names are not those of each dataset.
    """
    listed = [names] if isinstance(names, dict) else list(names or [None] * len(datasets))
    given = [{normal(label): name for label, name in (own or {}).items()} for own in listed]
    if len(given) != len(datasets):
        raise ModelError(f"names: give those of each of {len(datasets)} datasets, or None for one")
    answers: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    meanings: dict[str, dict[str, str]] = {}
    if before is not None:
        meanings = {task.question: task.names for task in before.tasks}
    for one, own in zip(datasets, given, strict=True):
        if one.draws:
            continue
        records = one.records + one.validation
        known = {record.answer for record in records}
        if unknown := sorted(set(own) - known):
            raise ModelError(
                f"names: {unknown[0]!r} is no answer of {one.where}; give some of "
                f"{', '.join(sorted(known)[:most_labels])}"
            )
        for record in records:
            answers.setdefault(record.question, set()).add(record.answer)
            counts[record.question] += 1
        for question in {record.question for record in records}:
            meanings[question] = meanings.get(question, {}) | own
    if not answers:
        return before.tasks if before else (Task(),)
    free = len(answers) > MOST_QUESTIONS
    fewest = 2 if free else 1  # one answer is no choice
    found = [
        Task(
            question,
            tuple(sorted(labels)) if fewest <= len(labels) <= most_labels else (),
            {k: v for k, v in meanings[question].items() if k in labels},
        )
        for question, labels in answers.items()
    ]
    if not free:
        return tuple(found)
    common = dict(counts.most_common(MOST_QUESTIONS))
    first = next(iter(common))
    return tuple(
        task
        for task in found
        if task.question == first
        or 0 < _FREQUENT * len(task.labels) <= common.get(task.question, 0)
    )


def frequent_answers(datasets: Sequence[LearnedDataset]) -> tuple[str, ...]:
    """List answers of one line that at least 20 records give or draw, the commonest 2,000.

    A letter or digit of ASCII is left out: any nano has a token for it.
    """
    counts: Counter[str] = Counter()
    for one in datasets:
        counts.update(dict.fromkeys(one.draws, _FREQUENT))
        counts.update(record.answer for record in one.records if not one.draws)
    found = [
        answer
        for answer, count in counts.most_common(_MOST_ANSWERS)
        if count >= _FREQUENT and len(answer.splitlines()) == 1 and len(answer) <= _LONG_ANSWER
    ]
    return tuple(sorted(one for one in found if not re.fullmatch("[0-9A-Za-z]", one)))


def stays_free(questions: Collection[str], before: RunRecord | None) -> bool:
    """Tell whether a run takes any question; one trained further to name alone takes none more."""
    asks = len(questions) > 1 or "" not in questions
    return len(questions) > MOST_QUESTIONS or bool(before and before.free and asks)


def _questions(datasets: Sequence[LearnedDataset]) -> set[str]:
    seen = (own for own in datasets if not own.draws)
    return {one.question for own in seen for one in own.records + own.validation}


@dataclass(frozen=True)
class Job:
    """A model, examples to learn, and the record that the run will have.

    Attributes:
        loaded: The model, with its adapter where one is trained.
        record: Record of the run, its training figures as far as they are known.
        validation: Validation records of all datasets.
        examples: Tokenized training records, all of them, then pieces of plain text.
        own_words: File of the text that the base model wrote, None where it wrote none.
        inputs: Inputs that a resumed run must find unchanged.
    """

    loaded: LoadedModel
    record: RunRecord
    validation: list[Record]
    examples: list[Example]
    own_words: Path | None
    inputs: dict[str, Any]

    def _steps_per_epoch(self, batch_size: int) -> int:
        return math.ceil(len(self.examples) / (batch_size * world_size()))

    def steps(self, settings: TrainSettings) -> int:
        """Return the optimizer steps of the whole run, or more than minutes ever allow."""
        if settings.max_steps > 0:
            return settings.max_steps
        epochs = settings.epochs or (_MANY_EPOCHS if settings.minutes else 1)
        return math.ceil(self._steps_per_epoch(settings.batch_size) * epochs)

    def records_seen(self, step: int, batch_size: int) -> int:
        """Return the number of examples taken after ``step`` steps, repeats counted."""
        epochs, rest = divmod(step, self._steps_per_epoch(batch_size))
        whole = len(self.examples)
        return epochs * whole + min(rest * batch_size * world_size(), whole)


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
    loaded = _adapted(origin, settings)
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
        learned += tokenize_records(loaded, in_turn(one.records, one.prompts), one.where)
    records, pieces = len(learned), 0
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
        free=stays_free(_questions(datasets), source.run),
        draws=tuple(sorted(drawn)),
    )
    inputs = {
        "model": source.lasting_name,
        "data": sums,
        "text": checksum([text]) if text else None,
        "text_as": ("base" if as_base else "text") if text else None,
        "chat": asdict(loaded.chat) if loaded.chat else None,
    }
    if begun:
        require_same(begun, before, inputs)
    for one in datasets:
        _require_room(loaded, record, one)
    judged = [record for one in datasets for record in one.validation]
    return Job(loaded, record, judged, learned, None if settings.text_file else text, inputs)


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
        raise DatasetError(f"{one.validation_where}: record {row + 1}: {why}")


def _text_to_mix_in(
    source: ModelSource, settings: TrainSettings, begun: Path | None
) -> Path | None:
    """Return the file of plain text that a run learns, None where it learns none."""
    if settings.text_file or not settings.text_share:
        return Path(settings.text_file) if settings.text_file else None
    if begun and (begun / WORDS_FILE).is_file():
        return begun / WORDS_FILE
    return own_words(source.origin)
