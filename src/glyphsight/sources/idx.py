"""The IDX files in which MNIST and its successors are published, gzip or not."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError
from glyphsight.sources.base import Failure, Part, Pictures, ranges

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_UNSIGNED_BYTE = 0x08
_BATCH = 1024


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, gzip-compressed or not.

    Returns:
        uint8 array with the dimensions the file's header states.

    Raises:
        DatasetError: Names the file and what is wrong with it.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); fetch the file again") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _UNSIGNED_BYTE or not data[3]:
        raise DatasetError(
            f"{path}: not an IDX file of unsigned bytes (starts with {data[:4].hex() or 'nothing'},"
            " expected 000008 and the number of dimensions)"
        )
    dimensions = data[3]
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise DatasetError(f"{path}: cut off inside its header; fetch the file again")
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    size = 1
    for length in shape:
        size *= length
    if len(data) - start != size:
        raise DatasetError(
            f"{path}: header says {'x'.join(map(str, shape))} = {size} bytes, "
            f"{len(data) - start} follow; fetch the file again"
        )
    try:
        return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)
    except ValueError as error:  # 64 dimensions at most, and no length beyond memory
        raise DatasetError(f"{path}: its header makes no sense ({error}); fetch it again") from None


class IdxSource:
    """A directory with the four IDX files of MNIST, Fashion-MNIST or another set in their layout.

    Attributes:
        splits: Those whose files are there: ``train`` and ``test``.
        licence: Empty; the files state none.
    """

    licence = ""

    def __init__(self, location: str) -> None:
        self._directory = Path(location)
        if not self._directory.is_dir():
            raise DatasetError(f"{self._directory}: no such directory; give idx:DIR with IDX files")
        self.splits = tuple(
            split for split, names in _FILES.items() if self._find(names[0]) is not None
        )
        if not self.splits:
            raise DatasetError(
                f"{self._directory}: holds no IDX pictures; expected {_FILES['train'][0]}[.gz] "
                f"or {_FILES['test'][0]}[.gz]"
            )

    def _find(self, name: str) -> Path | None:
        candidates = (self._directory / name, self._directory / f"{name}.gz")
        return next((path for path in candidates if path.is_file()), None)

    def parts(self, split: str) -> list[Part]:
        """Ranges of items."""
        return ranges(split, len(self._load(split)))

    def read(self, part: Part) -> Iterator[Pictures | Failure]:
        """Items of a range, labelled with the numbers of the label file."""
        start, stop = map(int, part.place)
        for at in range(start, stop, _BATCH):
            yield self._load(part.split).take(np.arange(at, min(at + _BATCH, stop)))

    def _load(self, split: str) -> Pictures:
        """A whole split; the files are read once a process."""
        images_name, labels_name = _FILES[split]
        images_path, labels_path = self._find(images_name), self._find(labels_name)
        if images_path is None or labels_path is None:
            missing = images_name if images_path is None else labels_name
            raise DatasetError(f"{self._directory / missing}[.gz]: missing")
        stamps = tuple(path.stat().st_mtime_ns for path in (images_path, labels_path))
        return _read_pair(images_path, labels_path, stamps)


@lru_cache(maxsize=4)
def _read_pair(images_path: Path, labels_path: Path, stamps: tuple[int, ...]) -> Pictures:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if not images.size:
        raise DatasetError(f"{images_path}: holds no pictures")
    if images.ndim != 3:
        raise DatasetError(f"{images_path}: {images.ndim} dimensions, pictures have 3")
    if labels.shape != images.shape[:1]:
        raise DatasetError(
            f"{labels_path}: {len(labels)} labels for {len(images)} pictures in "
            f"{images_path.name}; the two files do not belong together"
        )
    return Pictures(
        images,
        [str(label) for label in labels.tolist()],
        [f"{images_path.name}:{index}" for index in range(len(images))],
    )
