import numpy as np
import pytest

from glyphsight.codec import frame_like_mnist, resize


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


def test_mnist_digits_come_back_as_they_are(validation):
    framed = [frame_like_mnist(pixels) for pixels in validation.pixels]
    assert sum(f.inverted for f in framed) == 0
    assert sum(f.cropped for f in framed) <= len(framed) // 500
    for pixels, result in zip(validation.pixels, framed, strict=True):
        if not result.cropped:
            np.testing.assert_array_equal(result.pixels, pixels)


def test_inverted_digits_are_turned_and_nothing_else(some):
    for pixels in some:
        turned = frame_like_mnist(255 - pixels)
        assert turned.inverted
        assert not turned.cropped
        np.testing.assert_array_equal(turned.pixels, pixels)


def test_a_digit_off_centre_on_a_large_light_canvas_comes_back_to_its_frame(some):
    rng = np.random.default_rng(0)
    off, shifted = [], []
    for pixels in some[:200]:
        framed = frame_like_mnist(on_a_large_light_canvas(pixels, rng))
        assert framed.inverted
        assert framed.cropped
        assert framed.pixels.shape == (28, 28)
        off.append(np.abs(framed.pixels.astype(int) - pixels).mean())
        shifted.append(np.abs(np.roll(pixels, 1, axis=1).astype(int) - pixels).mean())
    # Nearer to the original than the original moved by a pixel; 5.3 against 16 when written.
    assert np.median(off) < 8 < np.median(shifted)
    assert np.percentile(off, 99) < 25


def test_the_centre_of_mass_lies_where_mnist_has_it(some):
    rng = np.random.default_rng(1)
    for pixels in some[:100]:
        mass = frame_like_mnist(on_a_large_light_canvas(pixels, rng)).pixels.astype(float)
        for axis in (0, 1):
            centre = (mass.sum(axis=1 - axis) * np.arange(28)).sum() / mass.sum()
            assert 13.4 < centre < 14.6


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (1, 50), (300, 200)])
@pytest.mark.parametrize("value", [0, 127, 255])
def test_a_flat_picture_comes_back_as_it_is(shape, value):
    flat = np.full(shape, value, dtype=np.uint8)
    framed = frame_like_mnist(flat)
    assert not framed.cropped
    np.testing.assert_array_equal(framed.pixels, flat)


@pytest.mark.parametrize("shape", [(2, 1), (1, 2), (3, 500), (500, 3), (1000, 1000)])
def test_a_single_bright_pixel_in_any_picture_gives_a_frame(shape):
    speck = np.zeros(shape, dtype=np.uint8)
    speck[-1, -1] = 255
    framed = frame_like_mnist(speck)
    assert framed.pixels.shape == (28, 28)
    assert framed.pixels.max() == 255


def test_faint_pencil_is_brought_to_full_contrast(some):
    faint = 200 - (some[0] // 4)
    framed = frame_like_mnist(np.pad(faint, 40, constant_values=200))
    assert framed.inverted
    assert framed.cropped
    assert framed.pixels.min() == 0
    assert framed.pixels.max() > 240
