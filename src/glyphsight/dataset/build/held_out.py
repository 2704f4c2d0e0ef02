"""Pictures that another dataset holds out for validation, found again in a source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glyphsight.dataset.build.assign import UNUSABLE
from glyphsight.dataset.build.grid_archive import read_names
from glyphsight.dataset.build.scan import Gathered
from glyphsight.dataset.build.write import grids_name
from glyphsight.dataset.filesystem import Place
from glyphsight.dataset.storage import load_dataset, read_manifest
from glyphsight.errors import DatasetError
from glyphsight.sources import Part


def held_out_names(dataset: str, out: str) -> dict[str, str]:
    """What a source calls the pictures in the validation split of a dataset, and their answers.

    Args:
        dataset: Its directory.
        out: Where the dataset goes that is to hold them out too.

    Raises:
        DatasetError: It is no directory or that very place, it has no validation split, or it does
            not say what its records were made from.
    """
    if not Path(dataset).is_dir():
        raise DatasetError(
            f"{dataset}: no directory here; --hold-out takes a dataset's directory, of a remote "
            "one a local copy"
        )
    if Path(dataset).resolve() == Path(out).resolve():
        raise DatasetError(f"{dataset}: --hold-out is to be another dataset than --out")
    spec = read_manifest(Path(dataset)).get("source")
    records = load_dataset(Path(dataset), "validation")
    if not records or not all(record.source.startswith(f"{spec} ") for record in records):
        raise DatasetError(
            f"{dataset}: does not say which pictures it holds out for validation; give a dataset "
            "that glyphsight dataset build made"
        )
    return {record.source.removeprefix(f"{spec} "): record.answer for record in records}


def rows_named(
    place: Place,
    parts: list[Part],
    scanned: Gathered,
    names: Mapping[str, str],
    where: str,
) -> NDArray[np.int64]:
    """The rows of the items of the training split that have these names, ascending.

    Args:
        place: Where the scan left what it found.
        parts: Of the split.
        scanned: What the scan found.
        names: To be found, all of them, and what the answer to each is.
        where: What an error calls the source.

    Raises:
        DatasetError: Some are not in the split, or are there with another answer.
    """
    codes, starts = scanned.items["train"].codes, scanned.starts["train"]
    rows: list[int] = []
    found: set[str] = set()
    for number, part in enumerate(parts):
        with place.reading(grids_name(part, number)) as path:
            for row, name in enumerate(read_names(path), int(starts[number])):
                if name not in names:
                    continue
                answer = names[name] if codes[row] == UNUSABLE else scanned.labels[codes[row]]
                if answer != names[name]:
                    raise DatasetError(
                        f"{where}: the answer to {name} is {answer!r}, in the dataset that holds "
                        f"it out {names[name]!r}; give a dataset of this source"
                    )
                rows.append(row)
                found.add(name)
    if missing := sorted(names.keys() - found):
        raise DatasetError(
            f"{where}: {len(missing)} of the {len(names)} pictures to be held out are not in its "
            f"training split, such as {missing[0]}; give a dataset of this source"
        )
    return np.array(rows, dtype=np.int64)
