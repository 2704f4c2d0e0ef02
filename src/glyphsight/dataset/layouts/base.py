"""Contract of a layout: it writes the records of a split and reads them as JSON values."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.record import Record


class Output(Protocol):
    """A layout of dataset files.

    A split is written in pieces of consecutive records, each apart and in any order. Where
    ``sharded`` is true a piece is a file, ``data/train-00000-of-00007.parquet``. Where it is false
    the split is the one file ``train.json``: ``head``, the pieces with ``between`` between them,
    ``tail``; see :func:`join`. Its bytes are the same however the split is divided into pieces.

    Attributes:
        name: Name for ``--output``.
        suffix: Suffix of its files, with the dot.
        sharded: Whether each piece of a split is a file of its own.
        sourced: Whether a row has the source of its record; where false, the file of
            :func:`glyphsight.dataset.storage.sources_file` beside it has it.
        card: Whether a dataset card, ``README.md``, belongs to it.
        head: First bytes of a file that is joined from pieces.
        between: Bytes between two pieces.
        tail: Last bytes of such a file.
    """

    name: str
    suffix: str
    sharded: bool
    sourced: bool
    card: bool
    head: bytes
    between: bytes
    tail: bytes

    def write(
        self,
        records: Iterable[Record],
        stream: IO[bytes],
        wordings: Sequence[Prompt],
        first: int = 0,
    ) -> int:
        """Write one piece of a split.

        Args:
            records: Records of the piece, in order.
            stream: Open file to write to; it is not closed.
            wordings: Words around the picture; record number i of the split takes
                ``wordings[i % len(wordings)]``.
            first: Number of the first record in its split, from 0.

        Returns:
            Number of records written.
        """
        ...

    def read(self, file: Path) -> Iterator[Any]:
        """Yield each record of a file as JSON values, in bounded memory where the layout allows.

        Raises:
            DatasetError: Names the file, the line or record and what is wrong.
        """
        ...


def join(output: Output, pieces: Iterable[Path], stream: IO[bytes]) -> None:
    """Join the pieces of a split to its one file, in order; empty pieces are left out.

    Args:
        output: Layout that is not sharded.
        pieces: Files that ``write`` wrote.
        stream: Open file to write to.
    """
    stream.write(output.head)
    some = False
    for piece in pieces:
        if not piece.stat().st_size:
            continue
        if some:
            stream.write(output.between)
        with piece.open("rb") as source:
            shutil.copyfileobj(source, stream, 1 << 20)
        some = True
    stream.write(output.tail)
