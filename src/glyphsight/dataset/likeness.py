"""Pictures that are the same, or nearly: two hashes of the level grid.

Two pictures are the *same* when their level grids are equal, and *alike* when on a grid of 12 x 12
areas brightness rises in the same places, along the rows and down the columns (the difference hash,
Krawetz 2013, in both directions). A few cells may differ; equality is all that is ever asked, so
that likeness depends on no order and costs a sort.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

_SIDE = 12


def exact_hashes(levels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Hash each grid with its shape: equal where the grids are."""
    count, rows, columns = levels.shape
    return _digests(levels.reshape(count, rows * columns), f"{rows}x{columns}:".encode())


def alike_hashes(levels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Hash each grid by what it looks like: equal where grids are the same or nearly so.

    A grid in which brightness rises nowhere has nothing to compare: its own hash stands for it.
    Takes uint8[N, rows, columns], gives uint64[N].
    """
    count, rows, columns = levels.shape
    if not count:
        return np.zeros(0, dtype=np.uint64)
    gray = levels.astype(np.float64)
    across = _area(rows, _SIDE) @ gray @ _area(columns, _SIDE + 1).T
    down = _area(rows, _SIDE + 1) @ gray @ _area(columns, _SIDE).T
    right, below = across[:, :, 1:] > across[:, :, :-1], down[:, 1:] > down[:, :-1]
    rises = np.concatenate([right.reshape(count, -1), below.reshape(count, -1)], axis=1)
    hashes = _digests(np.packbits(rises, axis=1), b"alike:")
    flat = ~rises.any(axis=1)
    hashes[flat] = exact_hashes(levels[flat])
    return hashes


def _digests(rows: NDArray[np.uint8], prefix: bytes) -> NDArray[np.uint64]:
    """Return 64 bits of BLAKE2b of each row."""
    seed = blake2b(prefix, digest_size=8)
    data = np.ascontiguousarray(rows).tobytes()
    width = rows.shape[1]
    found = []
    for row in range(len(rows)):
        one = seed.copy()
        one.update(data[row * width : (row + 1) * width])
        found.append(one.digest())
    return np.frombuffer(b"".join(found), dtype="<u8").astype(np.uint64)


@lru_cache(maxsize=64)
def _area(size: int, areas: int) -> NDArray[np.float64]:
    """Return weights [areas, size] that sum cells by area.

    They are whole numbers, so that sums are exact on any machine, in whatever order it adds.
    """
    start, cell = np.arange(areas)[:, None] * size, np.arange(size) * areas
    overlap = np.minimum(start + size, cell + areas) - np.maximum(start, cell)
    weights: NDArray[np.float64] = np.maximum(overlap, 0).astype(np.float64)
    return weights
