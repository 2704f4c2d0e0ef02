import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyphsight.dataset.augment import Augmentation, augment

STILL = Augmentation(shift=0, rotation=0, scale=0, shear=0)


def changed(pixels, how=STILL, seed=0):
    return augment(pixels, how, np.random.default_rng(seed))


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 20)),
    st.builds(
        Augmentation,
        shift=st.floats(0, 50),
        rotation=st.floats(0, 180),
        scale=st.floats(0, 0.9),
        shear=st.floats(0, 2),
    ),
    st.integers(0, 2**32),
)
def test_shape_and_type_stay_whatever_the_ranges(shape, how, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    result = augment(pixels, how, rng)
    assert result.shape == pixels.shape
    assert result.dtype == np.uint8
    assert result.max() <= pixels.max()


@pytest.mark.parametrize("shape", [(3, 28, 28), (2, 1, 1), (2, 5, 8), (2, 33, 17)])
def test_zero_ranges_give_the_same_pixels_exactly(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(changed(pixels), pixels)


def test_no_pictures_give_no_pictures():
    assert changed(np.zeros((0, 28, 28), dtype=np.uint8), Augmentation()).shape == (0, 28, 28)


def test_the_generator_decides_alone(validation):
    pixels = validation.pixels[:20]
    once, again = changed(pixels, Augmentation(), 1), changed(pixels, Augmentation(), 1)
    np.testing.assert_array_equal(once, again)
    assert (once != changed(pixels, Augmentation(), 2)).any(axis=(1, 2)).all()


def test_the_input_is_left_alone(validation):
    pixels = validation.pixels[:20].copy()
    changed(pixels, Augmentation())
    np.testing.assert_array_equal(pixels, validation.pixels[:20])


@pytest.mark.parametrize(
    "how",
    [
        Augmentation(shift=1.5, rotation=0, scale=0, shear=0),
        Augmentation(shift=0, rotation=12, scale=0, shear=0),
        Augmentation(shift=0, rotation=0, scale=0.1, shear=0),
        Augmentation(shift=0, rotation=0, scale=0, shear=0.15),
    ],
    ids=["shift", "rotation", "scale", "shear"],
)
def test_each_range_changes_digits_a_little(validation, how):
    pixels = validation.pixels[:100]
    result = changed(pixels, how)
    assert (result != pixels).any(axis=(1, 2)).mean() > 0.95
    ink = result.sum(axis=(1, 2)) / pixels.sum(axis=(1, 2))
    assert 0.75 < ink.min() < ink.max() < 1.35


def test_what_lies_outside_is_black():
    white = np.full((50, 9, 9), 255, dtype=np.uint8)
    moved = changed(white, Augmentation(shift=30, rotation=0, scale=0, shear=0))
    assert (moved.reshape(50, -1).min(axis=1) == 0).mean() > 0.9
    gone = np.abs(moved.astype(int)).sum(axis=(1, 2)) == 0
    assert gone.any()
