from itertools import pairwise

import numpy as np
import pytest

from glyphsight.codec.encode import level_grids
from glyphsight.dataset.likeness import alike_hashes, exact_hashes
from glyphsight.media.change import Augmentation, augment


def grids(pixels):
    return np.concatenate(list(level_grids(pixels)))


def test_equal_grids_and_they_alone_have_equal_hashes(validation):
    levels = grids(validation.pixels)
    hashes = exact_hashes(levels)
    assert hashes.dtype == np.uint64
    different = len(np.unique(levels.reshape(len(levels), -1), axis=0))
    assert len(np.unique(hashes)) == different
    np.testing.assert_array_equal(exact_hashes(levels.copy()[::-1])[::-1], hashes)


def test_the_shape_counts():
    assert exact_hashes(np.zeros((1, 2, 6), np.uint8)) != exact_hashes(
        np.zeros((1, 3, 4), np.uint8)
    )


def test_a_hash_does_not_depend_on_the_pictures_beside(validation):
    levels = grids(validation.pixels[:100])
    for hashes in (exact_hashes, alike_hashes):
        one_by_one = np.concatenate([hashes(levels[i : i + 1]) for i in range(100)])
        np.testing.assert_array_equal(hashes(levels), one_by_one)


def test_the_same_picture_saved_a_little_differently_is_alike(validation):
    pixels = validation.pixels[:500]
    noise = np.random.default_rng(0).integers(-3, 4, pixels.shape)
    noisy = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    first, second = grids(pixels), grids(noisy)
    same = exact_hashes(first) == exact_hashes(second)
    alike = alike_hashes(first) == alike_hashes(second)
    assert (alike >= same).all()
    assert alike.mean() > same.mean() + 0.05
    assert alike.mean() > 0.8


def test_alike_pictures_of_different_digits_do_not_occur(validation):
    levels, labels = grids(validation.pixels), np.array(validation.labels)
    hashes = alike_hashes(levels)
    order = np.argsort(hashes, kind="stable")
    pairs = [(a, b) for a, b in pairwise(order) if hashes[a] == hashes[b]]
    for a, b in pairs:
        assert labels[a] == labels[b]
        assert (levels[a] != levels[b]).sum() <= 12
    moved = augment(validation.pixels, Augmentation(4, 0, 0, 0), 0, 1, np.arange(len(levels)))
    assert (alike_hashes(grids(moved)) == hashes).mean() < 0.1


@pytest.mark.parametrize("shape", [(0, 11, 20), (3, 1, 1), (3, 1, 40), (3, 50, 2), (3, 100, 120)])
def test_any_shape_of_grid_has_its_hashes(shape):
    levels = np.random.default_rng(0).integers(0, 3, shape, dtype=np.uint8)
    for hashes in (exact_hashes, alike_hashes):
        assert hashes(levels).shape == (shape[0],)


def test_plain_pictures_of_different_brightness_are_not_alike():
    plain = np.repeat(np.arange(3, dtype=np.uint8), 11 * 20).reshape(3, 11, 20)
    assert len(np.unique(alike_hashes(plain))) == 3
