from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyphsight.errors import DatasetError
from glyphsight.media.change import Augmentation, augment

STILL = Augmentation(shift=0, rotation=0, scale=0, shear=0)


def changed(pixels, how=STILL, seed=0, turn=1):
    return augment(pixels, how, seed, turn, np.arange(len(pixels)))


def only(**ranges):
    return replace(STILL, **ranges)


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 20)),
    st.builds(
        Augmentation,
        shift=st.floats(0, 50),
        rotation=st.floats(0, 180),
        scale=st.floats(0, 0.9),
        shear=st.floats(0, 2),
        stroke=st.floats(0, 3),
    ),
    st.integers(0, 2**70),
)
def test_shape_and_type_stay_whatever_the_ranges(shape, how, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    result = changed(pixels, how, seed)
    assert result.shape == pixels.shape
    assert result.dtype == np.uint8
    assert result.max() <= pixels.max()


@pytest.mark.parametrize("shape", [(3, 28, 28), (2, 1, 1), (2, 5, 8), (2, 33, 17)])
def test_zero_ranges_give_the_same_pixels_exactly(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(changed(pixels), pixels)


def test_no_pictures_give_no_pictures():
    assert changed(np.zeros((0, 28, 28), dtype=np.uint8), Augmentation()).shape == (0, 28, 28)


def test_seed_and_turn_decide(validation):
    pixels = validation.pixels[:20]
    once, again = changed(pixels, Augmentation(), 1), changed(pixels, Augmentation(), 1)
    np.testing.assert_array_equal(once, again)
    for seed, turn in ((2, 1), (1, 2)):
        other = changed(pixels, Augmentation(), seed, turn)
        assert (once != other).any(axis=(1, 2)).all()


def test_a_picture_becomes_the_same_whatever_is_beside_it(validation):
    how = Augmentation(stroke=0.7, noise=20)
    numbers = np.arange(1000, 1040)
    whole = augment(validation.pixels[:40], how, 3, 2, numbers)
    for some in (slice(0, 1), slice(7, 20), slice(39, 40)):
        part = augment(validation.pixels[:40][some], how, 3, 2, numbers[some])
        np.testing.assert_array_equal(part, whole[some])


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
        only(stroke=0.2),
        only(noise=12),
    ],
    ids=["shift", "rotation", "scale", "shear", "stroke", "noise"],
)
def test_each_range_changes_digits_a_little(validation, how):
    pixels = validation.pixels[:100]
    result = changed(pixels, how)
    assert (result != pixels).any(axis=(1, 2)).mean() > 0.95
    ink = result.sum(axis=(1, 2)) / pixels.sum(axis=(1, 2))
    assert 0.7 < ink.min() < ink.max() < 1.35


def test_a_share_of_the_copies_is_mirrored_and_nothing_else_changes(validation):
    pixels = validation.pixels[:400]
    result = changed(pixels, only(mirror=0.5))
    same = (result == pixels).all(axis=(1, 2))
    mirrored = (result == pixels[:, :, ::-1]).all(axis=(1, 2))
    assert (same | mirrored).all()
    assert 0.4 < (mirrored & ~same).mean() < 0.6
    np.testing.assert_array_equal(changed(pixels, only(mirror=1)), pixels[:, :, ::-1])


def test_what_lies_outside_is_black():
    white = np.full((50, 9, 9), 255, dtype=np.uint8)
    moved = changed(white, Augmentation(shift=30, rotation=0, scale=0, shear=0))
    assert (moved.reshape(50, -1).min(axis=1) == 0).mean() > 0.9
    gone = np.abs(moved.astype(int)).sum(axis=(1, 2)) == 0
    assert gone.any()


def test_strokes_grow_and_shrink_by_whole_pixels_and_parts_of_them():
    bar = np.zeros((200, 9, 9), dtype=np.uint8)
    bar[:, :, 3:6] = 255
    widths = changed(bar, only(stroke=1.0))[:, 4].sum(axis=1) / 255
    assert 1 <= widths.min() < 1.2
    assert 4.8 < widths.max() <= 5
    assert ((changed(bar, only(stroke=1.0)) == bar).all(axis=(1, 2))).mean() < 0.1


def test_noise_stays_in_its_range_and_differs_from_pixel_to_pixel():
    gray = np.full((300, 12, 12), 128, dtype=np.uint8)
    change = changed(gray, only(noise=30.0)).astype(int) - 128
    assert -30 <= change.min() < -25
    assert 25 < change.max() <= 30
    assert abs(change.mean()) < 0.5
    strength = np.abs(change).max(axis=(1, 2))
    assert strength.min() < 3
    assert (change.reshape(300, -1).std(axis=1) > 0).mean() > 0.95


@pytest.mark.parametrize(
    "ranges",
    [
        {"shift": -1.0},
        {"noise": float("nan")},
        {"scale": 1.0},
        {"stroke": float("inf")},
        {"mirror": 1.5},
    ],
)
def test_a_range_that_makes_no_sense_is_refused(ranges):
    with pytest.raises(DatasetError, match=next(iter(ranges))):
        Augmentation(**ranges)
