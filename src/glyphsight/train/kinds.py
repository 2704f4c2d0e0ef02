"""The kinds of pictures that a run is taught: each dataset is one, in a text of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glyphsight.codec import Profile
from glyphsight.dataset import Prompt, Record, load_dataset
from glyphsight.dataset.storage import read_info, read_manifest, split_files
from glyphsight.errors import DatasetError, ModelError


@dataclass(frozen=True)
class Kind:
    """What a dataset has to teach.

    Attributes:
        name: Of its directory, or of its file less the ending.
        where: Its file or directory as it was given, for messages.
        files: Of its training split.
        wordings: Words around the picture, which take turns; the model is asked in the first.
        profile: How the pictures were turned into text.
        labels: The answers, sorted.
        count: How many training records there are.
        records: These; empty once they are cut into tokens.
        validation: Records the accuracy is taken on; empty without a validation split.
    """

    name: str
    where: str
    files: list[Path]
    wordings: tuple[Prompt, ...]
    profile: Profile
    labels: list[str]
    count: int
    records: list[Record]
    validation: list[Record]

    @property
    def prompt(self) -> Prompt:
        """Return the wording the model is asked in."""
        return self.wordings[0]


def read_kinds(data: Sequence[Path], most: int) -> list[Kind]:
    """Read datasets that are to be learnt together.

    Args:
        data: Dataset directories or files.
        most: Validation records to take of each.

    Raises:
        DatasetError: One cannot be read or holds nothing to learn.
        ModelError: Two have the same name.
    """
    places: dict[str, Path] = {}
    for path in data:
        name = kind_name(path)
        if name in places:
            raise ModelError(
                f"{places[name]} and {path} are both called {name}, and a run keeps what it is "
                "taught by these names; rename one"
            )
        places[name] = path
    return [_read(name, path, most) for name, path in places.items()]


def kind_name(data: Path) -> str:
    """What a dataset is called: its directory's name, or its file's less the ending."""
    place = data if data.name not in ("", "..") else data.resolve()  # a link goes by its own name
    return place.name if place.is_dir() else place.stem


def _read(name: str, data: Path, most: int) -> Kind:
    [files] = split_files(data, "train").values()
    where = str(files[0] if len(files) == 1 else data)
    records = load_dataset(data)
    if not records:
        raise DatasetError(f"{where}: holds no record to learn from")
    held_out = load_dataset(data, "validation") if "validation" in split_files(data) else []
    validation = held_out[:most]
    profile = _profile_of(data, records)
    return Kind(
        name=name,
        where=where,
        files=files,
        wordings=read_info(data).wordings,
        profile=profile,
        labels=sorted({record.answer for record in records + validation}),
        count=len(records),
        records=records,
        validation=validation,
    )


def _profile_of(data: Path, records: list[Record]) -> Profile:
    """The profile the dataset was built with, as far as a dataset file alone tells it."""
    manifest = read_manifest(data)
    try:
        if "profile" in manifest:
            return Profile(**manifest["profile"])
    except TypeError as error:
        raise DatasetError(
            f"{data}: profile in its manifest: damaged ({error}); build the dataset anew"
        ) from error
    try:
        return Profile(width=int(records[0].size))
    except ValueError:
        raise DatasetError(
            f"{data}: record 1: size {records[0].size!r} is no number of columns; "
            "see glyphsight dataset check"
        ) from None
