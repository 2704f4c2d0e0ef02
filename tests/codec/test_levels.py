from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.codec.levels import apply_thresholds, otsu_thresholds, quantize, to_levels
from glyphsight.codec.profile import palette_of_levels

pictures = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.uint8, shape)
)
WAYS = [
    {},
    {"threshold": "otsu"},
    {"threshold": "adaptive"},
    {"dither": "ordered"},
    {"dither": "floyd-steinberg"},
]


def profile_of(levels, **how):
    return Profile(palette=palette_of_levels(levels), **how)


@pytest.mark.parametrize("how", WAYS)
@settings(deadline=None, max_examples=60)
@given(gray=pictures, levels=st.integers(2, 16))
def test_levels_are_in_range_and_a_batch_is_its_pictures(how, gray, levels):
    profile = profile_of(levels, **how)
    grid = to_levels(gray, profile)
    assert grid.shape == gray.shape
    assert grid.dtype == np.uint8
    assert grid.max() < levels
    for picture, one in zip(gray, grid, strict=True):
        np.testing.assert_array_equal(to_levels(picture[None], profile)[0], one)


@given(levels=st.integers(2, 16))
def test_equal_levels_are_value_times_levels_over_256(levels):
    value = np.arange(256, dtype=np.uint8)
    expected = value.astype(int) * levels // 256
    np.testing.assert_array_equal(quantize(value, levels), expected)
    same = to_levels(value[None, None], profile_of(levels))[0, 0]
    np.testing.assert_array_equal(same, expected)
    thresholds = [-(-256 * k // levels) for k in range(1, levels)]
    np.testing.assert_array_equal(apply_thresholds(value, thresholds), expected)


@pytest.mark.parametrize("how", [{}, {"threshold": "otsu"}, {"threshold": (80, 160)}])
@settings(deadline=None)
@given(gray=arrays(np.uint8, (1, 6, 6)))
def test_a_global_cut_never_makes_the_brighter_cell_the_darker_level(how, gray):
    grid = to_levels(gray, Profile(**how)).reshape(-1)
    order = np.argsort(gray.reshape(-1), kind="stable")
    assert (np.diff(grid[order].astype(int)) >= 0).all()


def between_variance(gray, thresholds):
    levels = apply_thresholds(gray, thresholds)
    parts = [gray[levels == level].astype(float) for level in range(len(thresholds) + 1)]
    return sum(len(part) * (part.mean() - gray.mean()) ** 2 for part in parts if len(part))


@settings(deadline=None, max_examples=60)
@given(
    gray=st.lists(st.sampled_from([0, 3, 50, 51, 99, 128, 200, 255]), min_size=1, max_size=40),
    levels=st.integers(2, 4),
)
def test_otsu_is_as_good_as_the_best_of_all_cuts(gray, levels):
    gray = np.array(gray, dtype=np.uint8)
    found = otsu_thresholds(gray, levels)
    values = np.unique(gray)
    if len(values) < levels:
        assert found is None
        return
    every = combinations(values[1:].tolist(), levels - 1)
    best = max(between_variance(gray, thresholds) for thresholds in every)
    assert len(found) == levels - 1
    assert between_variance(gray, found) == pytest.approx(best)


def test_otsu_parts_two_heaps():
    gray = np.array([10, 12, 14, 200, 210, 220], dtype=np.uint8)
    assert otsu_thresholds(gray, 2) == (200,)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("value", [0, 1, 85, 127, 128, 254, 255])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 11, 20), (1, 1, 30), (1, 30, 1)])
def test_a_flat_picture_is_taken(how, value, shape):
    for levels in (2, 3, 16):
        grid = to_levels(np.full(shape, value, dtype=np.uint8), profile_of(levels, **how))
        assert grid.max() < levels


def test_adaptive_cutting_finds_ink_where_the_light_falls_off():
    light = np.tile(np.linspace(60, 250, 40), (20, 1))
    ink = np.zeros((20, 40), dtype=bool)
    ink[5:15, 4::8] = True
    page = np.where(ink, light - 40, light).astype(np.uint8)
    grid = to_levels(page[None], Profile(palette=" █", threshold="adaptive"))[0]
    assert (grid[ink] == 0).all()
    equal = to_levels(page[None], Profile(palette=" █"))[0]
    assert not (equal[ink] == 0).all()


@pytest.mark.parametrize("levels", [2, 3, 5, 16])
@settings(deadline=None, max_examples=40)
@given(value=st.integers(0, 255))
def test_ordered_dithering_keeps_the_mean_of_a_flat_region(levels, value):
    gray = np.full((1, 8, 8), value, dtype=np.uint8)
    grid = to_levels(gray, profile_of(levels, dither="ordered"))
    assert abs(grid.mean() * 255 / (levels - 1) - value) <= 255 / (levels - 1) / 32 + 1e-9


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_floyd_steinberg_keeps_the_mean_of_real_pictures(validation, levels):
    gray = validation.pixels[:200]
    grid = to_levels(gray, profile_of(levels, dither="floyd-steinberg"))
    means = grid.mean(axis=(1, 2)) * 255 / (levels - 1)
    assert np.abs(means - gray.mean(axis=(1, 2))).max() < 3  # lost over the border


def serial_floyd_steinberg(gray, levels):
    rows, columns = gray.shape
    work, step = gray.astype(float), 255.0 / (levels - 1)
    grid = np.zeros(gray.shape, dtype=int)
    for y in range(rows):
        for x in range(columns):
            level = min(max(np.floor(work[y, x] / step + 0.5), 0), levels - 1)
            grid[y, x] = level
            error = (work[y, x] - level * step) / 16.0
            for dy, dx, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                if y + dy < rows and 0 <= x + dx < columns:
                    work[y + dy, x + dx] += share * error
    return grid


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 12), (12, 5)])
def test_floyd_steinberg_is_the_serial_one(shape):
    gray = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    grid = to_levels(gray, Profile(palette=" █", dither="floyd-steinberg"))
    for picture, one in zip(gray, grid, strict=True):
        np.testing.assert_array_equal(one, serial_floyd_steinberg(picture, 2))


def test_the_default_profile_writes_what_it_always_did(golden, validation):
    assert encode_batch(validation.pixels[:50], Profile()) == encode_batch(validation.pixels[:50])
    assert Profile() == PUBLISHED
