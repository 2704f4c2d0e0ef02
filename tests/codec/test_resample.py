import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from glyphsight.codec import resample, resize
from glyphsight.errors import PictureError

sizes = st.integers(1, 64)


@st.composite
def pictures(draw):
    """Noise, or black and white alone, where rounding and clipping bite hardest."""
    shape = draw(sizes), draw(sizes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if draw(st.booleans()):
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return (rng.random(shape) < draw(st.floats(0, 1))).astype(np.uint8) * np.uint8(255)


def by_pillow(pixels, rows, columns):
    across = Image.fromarray(pixels).resize((columns, len(pixels)), Image.Resampling.BICUBIC)
    return np.asarray(across.resize((columns, rows), Image.Resampling.BICUBIC))


@settings(max_examples=300, deadline=None)
@given(pictures(), sizes, sizes)
def test_resizing_equals_two_one_axis_pillow_resizes(pixels, rows, columns):
    small = resize(pixels[None], rows, columns)[0]
    assert small.dtype == np.uint8
    np.testing.assert_array_equal(small, by_pillow(pixels, rows, columns))


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (1, 64), (64, 1), (20, 11)])
@pytest.mark.parametrize("period", [1, 2, 3, 7])
def test_checkerboards_survive_exactly_up_and_down(size, period):
    y, x = np.indices((48, 40)) // period
    board = ((x + y) % 2 * 255).astype(np.uint8)
    np.testing.assert_array_equal(resize(board[None], *size)[0], by_pillow(board, *size))


@pytest.mark.parametrize("value", [0, 1, 127, 128, 254, 255])
def test_a_flat_picture_stays_flat(value):
    flat = np.full((1, 37, 53), value, dtype=np.uint8)
    assert np.unique(resize(flat, 11, 20)).tolist() == [value]


def test_the_same_size_is_the_same_picture(validation):
    np.testing.assert_array_equal(resize(validation.pixels[:10], 28, 28), validation.pixels[:10])


def test_a_batch_gives_what_its_pictures_give_one_by_one(validation):
    pixels = validation.pixels[:50]
    single = [resize(picture[None], 11, 20)[0] for picture in pixels]
    np.testing.assert_array_equal(resize(pixels, 11, 20), single)


@pytest.mark.parametrize("pictures_a_chunk", [1, 3, 49, 50, 51])
def test_chunk_borders_do_not_matter(validation, monkeypatch, pictures_a_chunk):
    pixels = validation.pixels[:50]
    whole = resize(pixels, 11, 20)
    monkeypatch.setattr(resample, "_CHUNK_BYTES", pictures_a_chunk * 8 * 28 * 28)
    np.testing.assert_array_equal(resize(pixels, 11, 20), whole)


def test_a_slice_of_a_larger_array_is_read_as_it_looks(validation):
    mirrored = validation.pixels[:20:2, ::-1, 3:25]
    np.testing.assert_array_equal(
        resize(mirrored, 11, 20), resize(np.ascontiguousarray(mirrored), 11, 20)
    )


def test_more_than_memory_holds_is_refused_before_it_is_asked_for():
    with pytest.raises(PictureError, match="1x1 pixels would become 1000000 rows of 1000000"):
        resize(np.zeros((1, 1, 1), dtype=np.uint8), 10**6, 10**6)
