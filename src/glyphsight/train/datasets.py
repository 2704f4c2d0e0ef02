"""Datasets that a run learns together, and the questions that their records ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from glyphsight.codec import Profile
from glyphsight.dataset import Prompt, Record, load_dataset
from glyphsight.dataset.storage import read_info, read_manifest, split_files
from glyphsight.errors import DatasetError, ModelError
from glyphsight.models.record import RunRecord, Task

Names = dict[str, str] | Sequence[dict[str, str] | None] | None
"""Meanings of labels: of one dataset, or of each of several, None where labels say it."""


@dataclass(frozen=True)
class LearnedDataset:
    """Training and validation records of one dataset.

    Attributes:
        where: Its file or directory, for messages.
        files: Files of the training split.
        prompts: Wordings; record i takes wording i modulo their number.
        profile: Profile of the pictures.
        records: Training records.
        validation: Validation records; empty without a validation split.
    """

    where: str
    files: list[Path]
    prompts: tuple[Prompt, ...]
    profile: Profile
    records: list[Record]
    validation: list[Record]


def read_datasets(
    data: Sequence[Path], validation_records: int, before: RunRecord | None
) -> list[LearnedDataset]:
    """Read datasets that are learned together.

    Args:
        data: Dataset directories or files.
        validation_records: Validation records per dataset at most.
        before: Record of the run that the training starts from. A dataset in the default wording
            takes the wordings of that run.

    Raises:
        DatasetError: A dataset cannot be read or holds no training record.
        ModelError: Two datasets differ in their profile.
    """
    found = [_read(path, validation_records) for path in data]
    for other in found[1:]:
        _require_same_profile(found[0], other)
    if before is None:
        return found
    default = (Prompt(),)
    return [
        replace(one, prompts=before.prompts) if one.prompts == default else one for one in found
    ]


def _read(data: Path, validation_records: int) -> LearnedDataset:
    [files] = split_files(data, "train").values()
    where = str(files[0] if len(files) == 1 else data)
    records = load_dataset(data)
    if not records:
        raise DatasetError(f"{where}: holds no record to learn from; build the dataset again")
    has_validation = "validation" in split_files(data)
    return LearnedDataset(
        where=where,
        files=files,
        prompts=read_info(data).wordings,
        profile=_profile_of(data, records),
        records=records,
        validation=load_dataset(data, "validation")[:validation_records] if has_validation else [],
    )


def _profile_of(data: Path, records: list[Record]) -> Profile:
    """Return the profile in the manifest, or what a dataset file alone tells of it."""
    manifest = read_manifest(data)
    try:
        if "profile" in manifest:
            return Profile(**manifest["profile"])
    except TypeError as error:
        raise DatasetError(
            f"{data}: profile in its manifest: damaged ({error}); build the dataset again"
        ) from error
    if not records[0].pictures:
        return Profile()
    try:
        return Profile(width=int(records[0].size.split()[0]))
    except (ValueError, IndexError):
        raise DatasetError(
            f"{data}: record 1: size {records[0].size!r} is no number of columns; "
            "run glyphsight dataset check"
        ) from None


def _require_same_profile(first: LearnedDataset, other: LearnedDataset) -> None:
    ours, theirs = asdict(first.profile), asdict(other.profile)
    for field, value in ours.items():
        if theirs[field] != value:
            raise ModelError(
                f"{first.where} and {other.where}: {field} of their profiles differs ({value!r} "
                f"and {theirs[field]!r}); build both datasets with one profile"
            )


def all_prompts(datasets: Sequence[LearnedDataset]) -> tuple[Prompt, ...]:
    """Return the wordings of all datasets, each once, in order."""
    return tuple(dict.fromkeys(prompt for one in datasets for prompt in one.prompts))


def make_tasks(
    datasets: Sequence[LearnedDataset], names: Names, before: RunRecord | None, most_labels: int
) -> tuple[Task, ...]:
    """Group the records of datasets by question.

    Args:
        datasets: Datasets that are learned together.
        names: Meanings of labels, as :data:`Names` says.
        before: Record of the run that the training starts from; it names labels that ``names``
            does not.
        most_labels: Distinct answers to a question beyond which its answers are open.

    Raises:
        ModelError: A named answer is none of the data's, or names are not those of each dataset.
    """
    given = [names] if isinstance(names, dict) else list(names or [None] * len(datasets))
    if len(given) != len(datasets):
        raise ModelError(f"names: give those of each of {len(datasets)} datasets, or None for one")
    answers: dict[str, set[str]] = {}
    meanings: dict[str, dict[str, str]] = {}
    if before is not None:
        meanings = {task.question: dict(task.names) for task in before.tasks}
    for one, own in zip(datasets, given, strict=True):
        here: dict[str, set[str]] = {}
        for record in one.records + one.validation:
            here.setdefault(record.question, set()).add(record.answer)
        known = set().union(*here.values())
        if unknown := sorted(set(own or {}) - known):
            raise ModelError(
                f"names: {unknown[0]!r} is no answer of {one.where}; its answers are: "
                f"{', '.join(sorted(known)[:most_labels])}"
            )
        for question, labels in here.items():
            answers.setdefault(question, set()).update(labels)
            if own is not None:
                meanings[question] = meanings.get(question, {}) | own
    return tuple(
        Task(
            question,
            tuple(sorted(labels)) if len(labels) <= most_labels else (),
            {k: v for k, v in meanings.get(question, {}).items() if k in labels},
        )
        for question, labels in answers.items()
    )
