"""Datasets that a run learns: records with their wordings, profile and validation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from glyphsight.codec import Profile
from glyphsight.codec.layout import layout_of
from glyphsight.console import say
from glyphsight.dataset import Prompt, Record, load_dataset
from glyphsight.dataset.drawing import backwards, drawn_dataset
from glyphsight.dataset.storage import profile_of, read_info, split_files
from glyphsight.errors import DatasetError, FormatError, ModelError
from glyphsight.models.runs import UNKNOWN, RunRecord
from glyphsight.sampling import stratified_sample
from glyphsight.train.state import is_first_process


class LearnedDataset(NamedTuple):
    """Records of one dataset, which messages call ``where``; record i takes wording i modulo N.

    ``validation_where`` is what messages call its validation split, ``rows`` are those that are
    judged; ``draws`` are the labels whose drawings are learned, empty where pictures are seen.
    """

    where: str
    validation_where: str
    files: list[Path]
    prompts: tuple[Prompt, ...]
    profile: Profile
    records: list[Record]
    validation: list[Record]
    draws: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()


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
        answers = [one.answer for one in judged]  # a file may hold one class after the other
        rows = tuple(stratified_sample(answers, validation_records, 0).tolist())
        judged = [judged[row] for row in rows]
        own = where, judged_where, files, prompts, profile, records, judged
        found.append(LearnedDataset(*own, rows=rows))
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
