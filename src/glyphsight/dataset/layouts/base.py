"""What a layout is: how the records of a split are written, and read back as JSON values."""

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
    ``tail``; see :func:`join`. Its bytes are the same however the split is cut into pieces.

    Attributes:
        name: What ``--output`` calls it.
        suffix: Of its files, with the dot.
        sharded: Whether each piece of a split is a file of its own.
        sourced: Whether a row says where it was made from; where false, the file of
            :func:`glyphsight.dataset.storage.sources_file` beside it does.
        card: Whether a dataset card, ``README.md``, belongs to it.
        head: First bytes of a file that is joined from pieces.
        between: Bytes between two pieces.
        tail: Its last bytes.
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
            records: The records of the piece, in order.
            stream: Where to; it is not closed.
            wordings: Words around the picture; record number i of the split takes
                ``wordings[i % len(wordings)]``.
            first: Number of the first record in its split, from 0.

        Returns:
            How many records were written.
        """
        ...

    def read(self, file: Path) -> Iterator[Any]:
        """Each record of a whole file as JSON values, in memory that does not grow where it can.

        Raises:
            DatasetError: Names the file, the place in it and what is wrong.
        """
        ...


def join(output: Output, pieces: Iterable[Path], stream: IO[bytes]) -> None:
    """Make the one file of a split from its pieces, in order; those without a record are left out.

    Args:
        output: A layout that is not sharded.
        pieces: Files with what ``write`` wrote.
        stream: Where to.
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
