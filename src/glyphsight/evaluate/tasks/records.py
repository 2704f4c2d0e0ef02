"""Labelled pictures as a task: a dataset directory, a dataset file or a source."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.dataset import Prompt, Record
from glyphsight.dataset.inspect.items import read_grids, text_width
from glyphsight.dataset.storage import read_info, read_records, split_files
from glyphsight.errors import DatasetError, FormatError
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.tasks.base import Item, Task
from glyphsight.models import RunRecord
from glyphsight.sources import Failure, is_spec, open_source

_OPEN = 1000  # a question that the run does not know is open if it has more answers than this


def records_task(
    data: str, run: RunRecord | None, settings: EvaluateSettings, profile: Profile | None = None
) -> Task:
    """Read labelled pictures as a task, with the labels of the whole split as choices.

    Args:
        data: Dataset directory, dataset file or source SPEC.
        run: Record of the model's training, for its wording, its labels and the profile that a
            source is encoded in; None for a base model.
        settings: Split, limit and seed.
        profile: Profile that a source is encoded in; None for that of the run.

    Raises:
        DatasetError: The data cannot be read or is empty.
    """
    profile = profile or (run.profile if run else PUBLISHED)
    files: list[Path] = []
    counts: list[int] = []
    if is_spec(data):
        records = list(_of_source(data, settings.split, profile))
    else:
        [files] = split_files(Path(data), settings.split).values()
        info, records = read_info(Path(data)), []
        for file in files:
            records += read_records(file, info)
            counts.append(len(records) - sum(counts))
    alone = bool(files) and not Path(data).is_dir()
    if not records:
        split = "" if alone else f": split {settings.split}"
        raise DatasetError(f"{data}{split} holds no record; give other data")
    choices = _choices(records, run)
    answers = {record.answer: (record.answer,) for record in records}  # one tuple for all alike
    return Task(
        data,
        [
            Item(
                one.picture,
                answers[one.answer],
                choices[one.question],
                one.question,
                pictures=len(one.pictures),
            )
            for one in records
        ],
        run.prompt if run else Prompt(),
        plain=False,
        labels=sorted({label for own in choices.values() for label in own}),
        split=None if alone else settings.split,
        files=files,
        counts=counts,
        profile=run.profile if run else None,
    ).limited(settings.limit, settings.seed)


def _of_source(spec: str, split: str, profile: Profile) -> Iterator[Record]:
    source = open_source(spec)
    if split not in source.splits:
        names = ", ".join(source.splits)
        raise DatasetError(f"{spec}: has no split {split!r}; choose one of {names}")
    for part in source.parts(split):
        for batch in source.read(part):
            if isinstance(batch, Failure):
                raise DatasetError(batch.reason)
            texts = encode_batch(batch.pixels, profile)
            for text, label in zip(texts, batch.labels, strict=True):
                yield Record((text,), label)


def _choices(records: Sequence[Record], run: RunRecord | None) -> dict[str, tuple[str, ...]]:
    """Return the answers to choose from for each question; none for an open one."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        found[record.question].add(record.answer)
    known = {one.question: one.labels for one in run.tasks} if run else {}
    return {
        question: ()
        if not known.get(question, True)
        or (question and question not in known and len(answers) > _OPEN)
        else tuple(sorted(answers.union(known.get(question, ()))))
        for question, answers in found.items()
    }


def doubts(items: Sequence[Item], profile: Profile) -> list[str]:
    """Say which texts of one picture are not written in the profile a model was trained on."""
    count: Counter[str] = Counter()
    examples: dict[str, str] = {}
    numbers = [number for number, item in enumerate(items, start=1) if item.pictures == 1]
    grids = read_grids((items[number - 1].ascii_image for number in numbers), profile)
    for number, grid in zip(numbers, grids, strict=True):
        if isinstance(grid, FormatError):
            kind, what = "glyphs", str(grid)
        elif (width := text_width(grid, profile)) != profile.width:
            kind, what = "width", str(width)
        else:
            continue
        count[kind] += 1
        examples.setdefault(kind, f"record {number}: {what}")
    said = {
        "width": f"are not {profile.width} columns wide, as the model was trained",
        "glyphs": f"are not in the glyphs {profile.palette!r} that the model was trained on",
    }
    return [
        f"{count[kind]} of {len(items)} records {what} ({examples[kind]})"
        for kind, what in said.items()
        if count[kind]
    ]
