"""The kinds of pictures that a run is taught: each dataset is one, in a text of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glyphsight.codec import Profile
from glyphsight.dataset import Prompt, Record, load_dataset
from glyphsight.dataset.looking.grids import GridReader
from glyphsight.dataset.storage import read_frame, read_manifest, split_files
from glyphsight.errors import DatasetError, FormatError, ModelError

_LOOKED_AT = 1000  # records


@dataclass(frozen=True)
class Kind:
    """What a dataset has to teach.

    Attributes:
        name: Of its directory, or of its file less the ending.
        files: Of its training split.
        prompt: Words around the picture.
        profile: How the pictures were turned into text.
        framed: Whether they lie in a dark frame, as MNIST's do.
        records: What is learnt.
        validation: Records the accuracy is taken on; empty without a validation split.
    """

    name: str
    files: list[Path]
    prompt: Prompt
    profile: Profile
    framed: bool
    records: list[Record]
    validation: list[Record]

    @property
    def where(self) -> str:
        """Its file or directory, for messages."""
        return str(self.files[0] if len(self.files) == 1 else self.files[0].parent)

    @property
    def labels(self) -> list[str]:
        """The answers, sorted."""
        return sorted({record.response for record in self.records + self.validation})


def read_kinds(data: Sequence[Path], prompt: Prompt | None, most: int) -> list[Kind]:
    """Read datasets that are to be learnt together.

    Args:
        data: Dataset directories or files.
        prompt: Words around the pictures; None for each dataset's own.
        most: Validation records to take of each.

    Raises:
        DatasetError: One cannot be read or holds nothing to learn.
        ModelError: Two have the same name.
    """
    kinds = [_read(path, prompt, most) for path in data]
    names = [kind.name for kind in kinds]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ModelError(
            f"--data: two datasets are called {twice[0]}; a run keeps what it is taught by these "
            "names, so rename a directory"
        )
    return kinds


def kind_name(data: Path) -> str:
    """What a dataset is called: its directory's name, or its file's less the ending."""
    place = data.resolve()
    return place.name if place.is_dir() else place.stem


def _read(data: Path, prompt: Prompt | None, most: int) -> Kind:
    [files] = split_files(data, "train").values()
    records = load_dataset(data, "train")
    if not records:
        where = files[0] if len(files) == 1 else data
        raise DatasetError(f"{where}: holds no record to learn from")
    held_out = load_dataset(data, "validation") if "validation" in split_files(data) else []
    profile = _profile_of(data, records)
    return Kind(
        name=kind_name(data),
        files=files,
        prompt=prompt or read_frame(data).wordings[0],
        profile=profile,
        framed=in_a_frame(records, profile),
        records=records,
        validation=held_out[:most],
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


def in_a_frame(records: list[Record], profile: Profile) -> bool:
    """Whether a good part of the pictures have a bare margin of a tenth, as MNIST's do.

    Changed copies do not always, so a quarter of the first records is enough; of Fashion-MNIST's
    pictures fewer than a tenth do. Where the profile crops or draws edges the text does not tell.
    """
    if profile.crop is not None or profile.edges != "none" or profile.threshold == "adaptive":
        return True
    texts = [record.ascii_image for record in records[:_LOOKED_AT]]
    grids = [grid for grid in GridReader(profile).read(texts) if not isinstance(grid, FormatError)]
    framed = 0
    for grid in grids:
        rows, columns = (max(1, round(extent * 3 / 28)) for extent in grid.shape)
        inner = (slice(rows, -rows), slice(columns, -columns))
        ink = grid != grid[0, 0]
        framed += bool(ink[inner].any()) and int(ink[inner].sum()) == int(ink.sum())
    return 4 * framed >= len(grids)
