import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.adjust import find_edges, stretch_contrast

batches = st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.uint8, shape)
)


@pytest.fixture(scope="module")
def some(validation):
    return validation.pixels[:100]


@settings(deadline=None)
@given(batches)
def test_stretched_contrast_is_monotone_and_reaches_both_ends(images):
    for image, out in zip(images, stretch_contrast(images), strict=True):
        order = np.argsort(image.reshape(-1), kind="stable")
        assert (np.diff(out.reshape(-1)[order].astype(int)) >= 0).all()
        if image.min() < image.max():
            assert (out.min(), out.max()) == (0, 255)
        else:
            np.testing.assert_array_equal(out, image)


def test_a_faint_thin_line_is_stretched_too():
    picture = np.full((1, 50, 50), 100, dtype=np.uint8)
    picture[0, 25, :5] = 110
    assert set(np.unique(stretch_contrast(picture))) == {0, 255}


@pytest.mark.parametrize("kind", ["sobel", "dog"])
def test_edges_are_where_brightness_changes_and_of_either_polarity(kind):
    picture = np.zeros((1, 40, 40), dtype=np.uint8)
    picture[0, :, 20:] = 200
    edges = find_edges(picture, kind)
    assert (edges[0, :, 17:23].max(axis=1) == 255).all()
    assert edges[0, :, :10].max() == edges[0, :, 30:].max() == 0
    np.testing.assert_array_equal(find_edges(255 - picture, kind), edges)


@pytest.mark.parametrize("kind", ["sobel", "dog"])
@settings(deadline=None, max_examples=50)
@given(images=batches)
def test_edges_of_anything_are_gray_of_the_same_shape(kind, images):
    edges = find_edges(images, kind)
    assert (edges.shape, edges.dtype) == (images.shape, np.uint8)


@pytest.mark.parametrize("kind", ["sobel", "dog"])
@pytest.mark.parametrize("value", [0, 127, 255])
def test_a_flat_picture_has_no_edges(kind, value):
    flat = np.full((2, 9, 1), value, dtype=np.uint8)
    assert find_edges(flat, kind).max() == 0


EVERYTHING = [
    Profile(width=7, height=5, invert="auto", crop=0.2, contrast=True, threshold="otsu"),
    Profile(edges="sobel", dither="ordered", palette="digits", crop=0.0),
    Profile(edges="dog", dither="floyd-steinberg", palette="blocks", aspect=1.0, invert="yes"),
    Profile(threshold=(1, 255), contrast=True, width=1, height=1),
    Profile(threshold="adaptive", palette="ascii", contrast=True, edges="sobel"),
]


@pytest.mark.parametrize("profile", EVERYTHING)
@settings(deadline=None, max_examples=30)
@given(images=batches)
def test_settings_go_together_for_any_picture(profile, images):
    texts = encode_batch(images, profile)
    assert texts == [encode_batch(image[None], profile)[0] for image in images]
    if profile.height:
        assert all(text.count("\n") == profile.height for text in texts)
