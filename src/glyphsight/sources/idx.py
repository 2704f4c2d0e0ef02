"""MNIST and its successors: IDX files as published, gzip or not, and the bundled digits."""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError
from glyphsight.sources.base import Batch, Failure, Part, ranges
from glyphsight.sources.location import directory

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_UNSIGNED_BYTE = 0x08
_HEADER = 4 + 4 * 255  # bytes, at most
_BATCH = 1024


@lru_cache(maxsize=2)
def _unpacked(path: Path, stamp: int) -> bytes:
    """Unpack a gzip file, whole: it cannot be read from the middle."""
    return gzip.decompress(path.read_bytes())


class IdxFile:
    """One IDX file of unsigned bytes, gzip-compressed or not; plain ones are read as needed.

    Attributes:
        path: The file.
        shape: Dimensions, as its header states them; the first is the number of items.

    Raises:
        DatasetError: Names the file and what is wrong with it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as stream:
            head = stream.read(_HEADER)
            size = stream.seek(0, os.SEEK_END)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] != _UNSIGNED_BYTE or not head[3]:
            raise DatasetError(
                f"{path}: not an IDX file of unsigned bytes (starts with "
                f"{head[:4].hex() or 'nothing'}, expected 000008 and the number of dimensions); "
                "fetch the file again"
            )
        self._start = 4 + 4 * head[3]
        if len(head) < self._start:
            raise DatasetError(f"{path}: cut off inside its header; fetch the file again")
        self.shape: tuple[int, ...] = struct.unpack(f">{head[3]}I", head[4 : self._start])
        if math.prod(self.shape) != size - self._start:
            raise DatasetError(
                f"{path}: header says {'x'.join(map(str, self.shape))} = {math.prod(self.shape)} "
                f"bytes, {size - self._start} follow; fetch the file again"
            )

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        """Open the content; of a gzip file, what it holds."""
        try:
            with self.path.open("rb") as stream:
                if stream.read(2) == b"\x1f\x8b":
                    yield io.BytesIO(_unpacked(self.path, self.path.stat().st_mtime_ns))
                else:
                    stream.seek(0)
                    yield stream
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetError(
                f"{self.path}: cannot be read ({error}); fetch the file again"
            ) from error

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Read items ``start`` to ``stop``: uint8[stop - start, ...].

        Raises:
            DatasetError: The file was changed meanwhile.
        """
        shape = (stop - start, *self.shape[1:])
        with self._open() as stream:
            stream.seek(self._start + start * math.prod(shape[1:]))
            data = stream.read(math.prod(shape))
        if len(data) != math.prod(shape):
            raise DatasetError(f"{self.path}: changed while it was read; start again")
        return np.frombuffer(data, dtype=np.uint8).reshape(shape)


class IdxSource:
    """A directory with the four IDX files of MNIST, Fashion-MNIST or another set like them."""

    licence = ""  # the files state none

    def __init__(self, location: str) -> None:
        self._directory = directory(location, "idx:DIR with IDX files")
        self.splits = tuple(
            split for split, names in _FILES.items() if self._find(names[0]) is not None
        )
        if not self.splits:
            raise DatasetError(
                f"{self._directory}: holds no IDX pictures; expected {_FILES['train'][0]}[.gz] "
                f"or {_FILES['test'][0]}[.gz]; give their directory"
            )

    def _find(self, name: str) -> Path | None:
        candidates = (self._directory / name, self._directory / f"{name}.gz")
        return next((path for path in candidates if path.is_file()), None)

    def parts(self, split: str) -> list[Part]:
        """Split the items into ranges."""
        return ranges(split, self._pair(split)[0].shape[0])

    def read(self, part: Part) -> Iterator[Batch | Failure]:
        """Read the items of a range, labelled with the numbers of the label file."""
        images, labels = self._pair(part.split)
        begin, end = map(int, part.location)
        for start in range(begin, end, _BATCH):
            stop = min(start + _BATCH, end)
            yield Batch(
                images.read(start, stop),
                [str(label) for label in labels.read(start, stop).tolist()],
                [f"{images.path.name}:{index}" for index in range(start, stop)],
            )

    def _pair(self, split: str) -> tuple[IdxFile, IdxFile]:
        """Open the pictures and the labels of a split."""
        images_name, labels_name = _FILES[split]
        images_path, labels_path = self._find(images_name), self._find(labels_name)
        if images_path is None or labels_path is None:
            missing = images_name if images_path is None else labels_name
            raise DatasetError(f"{self._directory / missing}[.gz]: missing; fetch it")
        images, labels = IdxFile(images_path), IdxFile(labels_path)
        if not math.prod(images.shape):
            raise DatasetError(f"{images_path}: holds no pictures; fetch it again")
        if len(images.shape) != 3:
            raise DatasetError(
                f"{images_path}: {len(images.shape)} dimensions, pictures have 3; fetch it again"
            )
        if labels.shape != images.shape[:1]:
            raise DatasetError(
                f"{labels_path}: {labels.shape[0]} labels for {images.shape[0]} pictures in "
                f"{images_path.name}; the two files do not belong together; fetch both again"
            )
        return images, labels


class BundledSource:
    """The MNIST digits that ship with the package, so that everything works offline.

    ``assets/digits.npz`` is made by ``scripts/bundle_digits.py``: 20,000 training and 2,000
    validation digits from MNIST's training file, stratified, and its complete test file, 10,000.
    """

    splits = ("train", "validation", "test")
    licence = "MNIST by Yann LeCun and Corinna Cortes, CC BY-SA 3.0"

    def __init__(self, location: str = "") -> None:
        if location:
            raise DatasetError("the bundled digits take no location; drop it")

    def parts(self, split: str) -> list[Part]:
        """Split the digits into ranges."""
        return ranges(split, len(_bundled(split)))

    def read(self, part: Part) -> Iterator[Batch | Failure]:
        """Read the digits of a range; ids name the item's index in MNIST's own file."""
        yield _bundled(part.split).take(np.arange(*map(int, part.location)))


@lru_cache(maxsize=3)
def _bundled(split: str) -> Batch:
    """Load all digits of a split, once per process."""
    resource = files("glyphsight") / "assets" / "digits.npz"
    with resource.open("rb") as stream, np.load(stream) as archive:
        pixels, labels = archive[f"{split}_pixels"], archive[f"{split}_labels"]
        indices = archive[f"{split}_indices"]
    origin = "t10k" if split == "test" else "train"
    return Batch(
        pixels,
        [str(label) for label in labels.tolist()],
        [f"{origin}-images-idx3-ubyte:{index}" for index in indices.tolist()],
    )
