import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from glyphsight.codec import Profile, encode_batch, resample, resize
from glyphsight.codec.formats import get_format
from glyphsight.codec.levels import quantize
from glyphsight.codec.resample import FILTERS, resize_to_levels
from glyphsight.errors import FormatError, PictureError

sizes = st.integers(1, 64)


@st.composite
def pictures(draw):
    """Noise, or black and white alone, where rounding and clipping bite hardest."""
    shape = draw(sizes), draw(sizes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if draw(st.booleans()):
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return (rng.random(shape) < draw(st.floats(0, 1))).astype(np.uint8) * np.uint8(255)


def by_pillow(pixels, rows, columns, filter_name="bicubic"):
    kind = Image.Resampling[filter_name.upper()]
    across = Image.fromarray(pixels).resize((columns, len(pixels)), kind)
    return np.asarray(across.resize((columns, rows), kind))


@pytest.mark.parametrize("filter_name", FILTERS)
@settings(max_examples=400, deadline=None)
@given(pixels=pictures(), rows=sizes, columns=sizes)
def test_resizing_equals_two_one_axis_pillow_resizes(filter_name, pixels, rows, columns):
    small = resize(pixels[None], rows, columns, filter_name)[0]
    assert small.dtype == np.uint8
    np.testing.assert_array_equal(small, by_pillow(pixels, rows, columns, filter_name))


@pytest.mark.parametrize("filter_name", FILTERS)
def test_sizes_of_photographs_are_exact_too(filter_name):
    rng = np.random.default_rng(5)
    for height, width, rows, columns in [(611, 997, 33, 100), (3, 2000, 1, 63), (40, 30, 700, 900)]:
        photo = rng.integers(0, 256, (height, width), dtype=np.uint8)
        small = resize(photo[None], rows, columns, filter_name)[0]
        np.testing.assert_array_equal(small, by_pillow(photo, rows, columns, filter_name))


@pytest.mark.parametrize("filter_name", FILTERS)
@settings(max_examples=100, deadline=None)
@given(pixels=pictures(), rows=sizes, columns=sizes, levels=st.integers(2, 16))
def test_levels_cut_on_the_way_are_those_cut_afterwards(filter_name, pixels, rows, columns, levels):
    small = resize(pixels[None], rows, columns, filter_name)
    fused = resize_to_levels(pixels[None], rows, columns, levels, filter_name)
    assert fused.dtype == np.uint8
    np.testing.assert_array_equal(fused, quantize(small, levels))


@pytest.mark.parametrize("filter_name", FILTERS)
@pytest.mark.parametrize("palette", [" #", " ▓█", "0123456789abcdef", "⚫🟤⚪"])
def test_a_batch_is_encoded_as_step_by_step(validation, filter_name, palette):
    profile = Profile(palette=palette, filter=filter_name)
    levels = quantize(resize(validation.pixels, 11, 20, filter_name), len(palette))
    texts = get_format("seed").render_batch(levels, palette)
    assert encode_batch(validation.pixels, profile) == texts


def test_an_unknown_filter_is_refused_with_the_names_there_are():
    with pytest.raises(FormatError, match="unknown filter 'cubic'; give one of nearest, box"):
        resize(np.zeros((1, 4, 4), dtype=np.uint8), 2, 2, "cubic")


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
