"""Windows and components are those of scipy."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from glyphsight.codec.windows import grow, label_components, median, positions, shrink, window_mean


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)))
def test_components_are_those_of_scipy(mask: NDArray[np.bool_]) -> None:
    labels, boxes = label_components(mask)
    expected, number = ndimage.label(mask, np.ones((3, 3)))
    assert len(boxes) == number
    rows = [np.flatnonzero((labels == one + 1).any(axis=1)) for one in range(number)]
    assert boxes[:, 0].tolist() == [own[0] for own in rows]
    assert boxes[:, 1].tolist() == [own[-1] + 1 for own in rows]
    pairs = set(zip(labels.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20)),
    st.integers(0, 9).map(lambda half: 2 * half + 1),
)
def test_windows_are_those_of_scipy(image: NDArray[np.uint8], size: int) -> None:
    assert (grow(image, size) == ndimage.maximum_filter(image, size, mode="nearest")).all()
    assert (shrink(image, size) == ndimage.minimum_filter(image, size, mode="nearest")).all()
    mean = ndimage.uniform_filter(image.astype(float), size, mode="nearest")
    assert np.allclose(window_mean(image, size), mean)


@given(hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(0, 255, width=32)))
def test_medians_and_positions_are_those_of_numpy(values: NDArray[np.float32]) -> None:
    assert median(values) == np.median(values)
    mask = values[None] > 100
    found = positions(mask)
    assert [one.tolist() for one in found] == [one.tolist() for one in np.nonzero(mask)]
