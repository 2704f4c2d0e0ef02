from dataclasses import replace

import numpy as np
import pytest

from glyphsight.codec import Profile, encode_batch, prepare, resize
from glyphsight.codec.encode import columns_of
from glyphsight.codec.prepare import crop_to_content, prepare_batch
from glyphsight.media.change import Augmentation, augment
from glyphsight.sources import load_split, open_source

CENTRED = Profile(invert="auto", centre=True)


@pytest.fixture(scope="module")
def some(validation):
    return validation.pixels[:500]


def on_a_large_light_canvas(pixels, rng):
    """The digit three to seven times as large, dark on light, somewhere on the canvas."""
    size = 28 * int(rng.integers(3, 8))
    height, width = (int(size * rng.uniform(1.5, 3)) for _ in range(2))
    canvas = np.full((height, width), 255, dtype=np.uint8)
    y, x = rng.integers(0, height - size + 1), rng.integers(0, width - size + 1)
    canvas[y : y + size, x : x + size] = 255 - resize(pixels[None], size, size)[0]
    return canvas


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_no_digit_of_mnist_changes_in_either_polarity(split):
    pixels = load_split(open_source("bundled"), split).pixels
    for given in (pixels, 255 - pixels):
        [same] = prepare_batch(given, CENTRED)
        np.testing.assert_array_equal(same, pixels)
        [same] = prepare_batch(given, Profile(centre=True))
        np.testing.assert_array_equal(same, given)


def test_a_digit_is_said_to_be_inverted_and_not_to_be_centred(some):
    for pixels in some[:50]:
        dark = prepare(255 - pixels, CENTRED)
        assert (dark.inverted, dark.centred) == (True, False)
        np.testing.assert_array_equal(dark.pixels, pixels)
        bright = prepare(pixels, CENTRED)
        assert (bright.inverted, bright.centred) == (False, False)
    assert prepare(some[0], Profile(invert="yes")).inverted
    plain = prepare(255 - some[0], Profile())
    assert (plain.inverted, plain.centred) == (False, False)


@pytest.mark.parametrize("large", [False, True])
def test_a_batch_is_prepared_as_its_pictures_are_one_by_one(some, large):
    rng = np.random.default_rng(2)
    pixels = augment(some, Augmentation(shift=5, scale=0.3), 0, 0, np.arange(len(some)))[:60]
    pixels[::3] = 255 - pixels[::3]
    pixels[5] = rng.integers(0, 256, (28, 28))
    pixels[7] = 9
    if large:
        pixels = np.kron(pixels, np.ones((3, 3), dtype=np.uint8))
    one_by_one = [prepare(picture, CENTRED) for picture in pixels]
    assert 0 < sum(one.centred for one in one_by_one) < len(pixels)
    together = [picture for piece in prepare_batch(pixels, CENTRED) for picture in piece]
    for one, other in zip(one_by_one, together, strict=True):
        np.testing.assert_array_equal(one.pixels, other)
    texts = encode_batch(pixels, CENTRED)
    assert texts == [encode_batch(picture[None], CENTRED)[0] for picture in pixels]
    assert texts == [encode_batch(one.pixels[None])[0] for one in one_by_one]


def test_a_dark_picture_is_centred_in_its_own_polarity(some):
    moved = np.pad(some[0], ((40, 0), (0, 60)))
    bright = prepare(moved, Profile(centre=True))
    dark = prepare(255 - moved, Profile(centre=True))
    assert bright.centred
    assert dark.centred
    np.testing.assert_array_equal(255 - dark.pixels, bright.pixels)


def test_a_digit_off_centre_on_a_large_light_canvas_comes_back_to_the_middle(some):
    rng = np.random.default_rng(0)
    off, shifted = [], []
    for pixels in some[:200]:
        centred = prepare(on_a_large_light_canvas(pixels, rng), CENTRED)
        assert centred.inverted
        assert centred.centred
        assert centred.pixels.shape == (28, 28)
        off.append(np.abs(centred.pixels.astype(int) - pixels).mean())
        shifted.append(np.abs(np.roll(pixels, 1, axis=1).astype(int) - pixels).mean())
    # Nearer to the original than the original moved by a pixel; 5.3 against 16 when written.
    assert np.median(off) < 8 < np.median(shifted)
    assert np.percentile(off, 99) < 25


def test_the_centre_of_mass_lies_where_mnist_has_it(some):
    rng = np.random.default_rng(1)
    for pixels in some[:100]:
        mass = prepare(on_a_large_light_canvas(pixels, rng), CENTRED).pixels.astype(float)
        for axis in (0, 1):
            centre = (mass.sum(axis=1 - axis) * np.arange(28)).sum() / mass.sum()
            assert 13.4 < centre < 14.6


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (1, 50), (300, 200)])
@pytest.mark.parametrize("value", [0, 127, 255])
def test_a_flat_picture_comes_back_as_it_is(shape, value):
    flat = np.full(shape, value, dtype=np.uint8)
    centred = prepare(flat, CENTRED)
    assert not centred.centred
    np.testing.assert_array_equal(centred.pixels, flat)


@pytest.mark.parametrize("shape", [(2, 1), (1, 2), (3, 500), (500, 3), (1000, 1000)])
def test_a_single_bright_pixel_in_any_picture_fills_28x28_pixels(shape):
    speck = np.zeros(shape, dtype=np.uint8)
    speck[-1, -1] = 255
    centred = prepare(speck, CENTRED)
    assert centred.pixels.shape == (28, 28)
    assert centred.pixels.max() == 255


def test_faint_pencil_is_brought_to_full_contrast(some):
    faint = 200 - (some[0] // 4)
    centred = prepare(np.pad(faint, 40, constant_values=200), CENTRED)
    assert centred.inverted
    assert centred.centred
    assert centred.pixels.min() == 0
    assert centred.pixels.max() > 240


def test_auto_polarity_gives_either_version_the_same_text(some):
    profile = Profile(invert="auto")
    assert encode_batch(255 - some, profile) == encode_batch(some, profile) == encode_batch(some)
    assert encode_batch(255 - some, Profile(invert="yes")) == encode_batch(some)


@pytest.mark.parametrize("light", [False, True])
def test_cropping_takes_the_content_and_the_margin(light):
    picture = np.zeros((60, 80), dtype=np.uint8)
    picture[20:40, 30:40] = 255
    picture = 255 - picture if light else picture

    def cropped(margin):
        return next(crop_to_content(picture[None], margin))

    assert cropped(0.0).shape == (20, 10)
    assert cropped(0.1).shape == (24, 14)
    assert cropped(1.0).shape == (60, 50)
    assert (cropped(0.0) == picture[20, 30]).all()


def test_polarity_is_judged_before_the_picture_is_cropped(some):
    profile = Profile(invert="auto", crop=0.0)
    assert encode_batch(255 - some, profile) == encode_batch(some, Profile(crop=0.0))


def test_pictures_of_a_batch_are_cropped_each_to_its_own_size(some):
    profile = Profile(crop=0.1)
    assert encode_batch(some[:5], profile) == [encode_batch(p[None], profile)[0] for p in some[:5]]


def test_a_word_keeps_its_shape_and_digits_stay_as_they_are(some):
    narrow = Profile(width=16, height=9, format="plain", crop=0.0)
    wide = replace(narrow, widest=48)
    texts = zip(encode_batch(some, wide), encode_batch(some, narrow), strict=True)
    assert sum(own != before for own, before in texts) <= 2  # digits more than twice as wide
    word = np.concatenate(list(some[:3]), axis=1)[None]
    [text] = encode_batch(word, wide)
    assert {len(line) for line in text.splitlines()} == {columns_of(text, wide)}
    assert columns_of(text, wide) > 40
