"""Labelled pictures as a task: a dataset directory, a dataset file or a source."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.codec.prepare import dark_on_light
from glyphsight.dataset import BuildSettings, Prompt, Record
from glyphsight.dataset.inspect.items import read_grids, read_profile, text_width
from glyphsight.dataset.storage import no_split, read_info, read_manifest, read_records, split_files
from glyphsight.errors import DatasetError, FormatError
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.tasks.base import Item, Task
from glyphsight.models import RunRecord
from glyphsight.sources import Failure, is_spec, open_source
from glyphsight.train.settings import TrainSettings

_READ = {"format", "palette", "width", "height"}  # of another one a model can make nothing
_OPEN = TrainSettings.most_labels  # answers that the run does not know; with more it is open


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
    notes: list[str] = []
    if is_spec(data):
        records, notes = _of_source(data, settings, profile)
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
    notes += _strangers(records, run)
    choices = _choices(records, run)
    answers = {record.answer: (record.answer,) for record in records}  # one tuple for all alike
    items = []
    for one in records:
        answer, labels = answers[one.answer], choices[one.question]
        items.append(Item(one.picture, answer, labels, one.question, pictures=len(one.pictures)))
    return Task(
        data,
        items,
        run.prompt if run else Prompt(),
        plain=False,
        labels=sorted({label for own in choices.values() for label in own}),
        split=None if alone else settings.split,
        files=files,
        counts=counts,
        profile=run.profile if run else None,
        notes=notes,
    ).limited(settings.limit, settings.seed)


def _of_source(
    spec: str, settings: EvaluateSettings, profile: Profile
) -> tuple[list[Record], list[str]]:
    """Read a split of a source: its records, and how its pictures were changed."""
    source, split = open_source(spec, settings.max_pixels), settings.split
    things = getattr(source, "things", "pictures")
    if split not in source.splits:
        raise no_split(spec, split, source.splits)
    records: list[Record] = []
    failed: list[str] = []
    changed: Counter[str] = Counter()
    for part in source.parts(split):
        for batch in source.read(part):
            if isinstance(batch, Failure):
                failed.append(batch.reason)
                continue
            texts = encode_batch(batch.pixels, profile, changed=changed)
            for text, label, question in zip(texts, batch.labels, batch.questions, strict=True):
                records.append(Record((text,), label, question))
    if failed:
        count = len(records) + len(failed)
        raise DatasetError(
            f"{spec}: {len(failed):,} of {count:,} {things} of split {split} cannot be read; the "
            f"first: {failed[0]}"
        )
    notes = [
        f"{count:,} of {len(records):,} {things} of split {split} were {how}, as the model needs it"
        for how, count in changed.items()
        if count
    ]
    return records, notes


def _strangers(records: Sequence[Record], run: RunRecord | None) -> list[str]:
    """Say where no answer of the data is a label that the model was trained on."""
    known = {label for task in (run.tasks if run else ()) for label in task.labels}
    if not known or any(record.answer in known for record in records):
        return []
    some = ", ".join(map(repr, sorted(known)[:4]))
    return [
        f"no answer of the data, such as {records[0].answer!r}, is a label that the model was "
        f"trained on, such as {some}; give the data that it was trained for"
    ]


def _choices(records: Sequence[Record], run: RunRecord | None) -> dict[str, tuple[str, ...]]:
    """Return the answers to choose from for each question; none for an open one."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        found[record.question].add(record.answer)
    known = {one.question: one.labels for one in run.tasks} if run else {}
    return {
        question: ()
        if not known.get(question, True) or len(answers.difference(known.get(question, ()))) > _OPEN
        else tuple(sorted(answers.union(known.get(question, ()))))
        for question, answers in found.items()
    }


def doubts(task: Task, ours: Profile) -> list[str]:
    """Say how the texts of a task differ from those that a model was trained on.

    Raises:
        DatasetError: By its manifest or by most of its texts the data is in another format, palette
            or size, or in another polarity.
    """
    manifest: dict[str, Any] = read_manifest(Path(task.data)) if task.files else {}
    theirs = read_profile(Path(task.data)) if manifest.get("profile") else ours
    other = [
        name
        for name in manifest.get("profile") or {}
        if name != "threshold" and getattr(theirs, name) != getattr(ours, name)
    ]
    rows = [row for row, item in enumerate(task.items) if item.pictures == 1]
    found: defaultdict[str, list[str]] = defaultdict(list)
    grids = read_grids((task.items[row].ascii_image for row in rows), ours)
    for row, grid in zip(rows, grids, strict=True):
        if isinstance(grid, FormatError):
            found[f"are not in the glyphs {ours.palette!r}"].append(f"{task.name(row)}: {grid}")
        elif not ours.has_columns(width := text_width(grid, ours)):
            found[f"are not {ours.width} columns wide"].append(f"{task.name(row)}: {width}")
        elif "invert" in other and dark_on_light(grid[None])[0]:
            found["are not bright on dark"].append(task.name(row))
    said = [
        f"{len(where)} of {len(task.items)} records {what}, as the model was trained ({where[0]})"
        for what, where in found.items()
    ]
    if _READ.intersection(other) or any(2 * len(where) > len(rows) for where in found.values()):
        names = dict.fromkeys(("format", "width", *other))
        reads, holds = (
            ", ".join(f"{name} {getattr(one, name)!r}" for name in names) for one in (ours, theirs)
        )
        source = manifest.get("source", "SOURCE")
        raise DatasetError(
            f"{task.data}: {f'is of {holds}' if other else said[0]}; the model reads {reads}: take "
            f"--data {shlex.quote(source)}, which is read as the model needs it, or build the "
            "dataset again: " + BuildSettings(profile=ours).command(source)
        )
    return [*task.notes, *said] + [
        f"{name} of the data is {getattr(theirs, name)!r}, the model learned with "
        f"{getattr(ours, name)!r}"
        for name in other
    ]
