"""Says what is wrong where in a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glyphsight.codec import PUBLISHED, parse
from glyphsight.dataset.record import KEYS, record_from_json
from glyphsight.dataset.storage import SPLITS, read_array
from glyphsight.errors import DatasetError, FormatError


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a dataset.

    Attributes:
        file: The file at fault.
        record: 1-based number of the record in it, 0 for the file as a whole.
        reason: What is wrong.
    """

    file: str
    record: int
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}: record {self.record}" if self.record else self.file
        return f"{place}: {self.reason}"


def _record_problems(value: object, palette: str) -> Iterator[str]:
    try:
        record = record_from_json(value, "")
    except DatasetError as error:
        yield str(error).removeprefix(": ")
        return
    if isinstance(value, dict) and tuple(value) != KEYS:
        yield f"keys are {', '.join(value)}; the format has exactly {', '.join(KEYS)}, in order"
    if not record.response.strip():
        yield "'Response' is empty"
    try:
        width = parse(record.ascii_image, palette).shape[1]
    except FormatError as error:
        yield f"'ASCII_image' {error}"
        return
    if record.size != str(width):
        yield f"'size' says {record.size!r}, the rows are {width} glyphs wide"


def check_dataset(
    path: Path, palette: str = PUBLISHED.palette
) -> tuple[list[Problem], dict[str, int]]:
    """Check a dataset file, or every split of a dataset directory.

    Returns:
        All problems, and the number of records looked at by file.

    Raises:
        DatasetError: There is nothing to check at ``path``.
    """
    files = [path]
    if path.is_dir():
        files = [file for split in SPLITS if (file := path / f"{split}.json").is_file()]
        if not files:
            raise DatasetError(f"{path}: holds none of {', '.join(f'{s}.json' for s in SPLITS)}")
    elif not path.exists():
        raise DatasetError(f"{path}: no such file or directory")
    problems: list[Problem] = []
    counts: dict[str, int] = {}
    for file in files:
        try:
            values = read_array(file)
        except DatasetError as error:
            problems.append(Problem(str(file), 0, str(error).removeprefix(f"{file}: ")))
            continue
        counts[str(file)] = len(values)
        if not values:
            problems.append(Problem(str(file), 0, "holds no record"))
        for number, value in enumerate(values, start=1):
            problems += [
                Problem(str(file), number, reason) for reason in _record_problems(value, palette)
            ]
    return problems, counts
