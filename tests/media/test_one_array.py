"""A picture gives one array: by path, by stream and as a PIL image, in every mode and container."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from glyphsight.media.picture import load_picture

MODES = (
    *(
        "1",
        "L",
        "LA",
        "La",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBa",
        "RGBX",
        "CMYK",
        "YCbCr",
        "LAB",
        "HSV",
    ),
    *("I", "F", "I;16", "I;16B", "I;16L"),
)
CONTAINERS = {
    "png": {},
    "tiff": {},
    "tif": {"compression": "tiff_lzw"},
    "jpg": {"quality": 90},
    "webp": {"lossless": True},
    "bmp": {},
    "gif": {},
    "tga": {},
    "ppm": {},
    "ico": {"sizes": [(13, 9)]},
    "jp2": {},
    "qoi": {},
    "pcx": {},
    "sgi": {},
    "avif": {"quality": 90},
}
ORIENTATION = 0x0112


def picture(mode, seed, transparency):
    """A picture of 13x9 random pixels; PIL converts to most modes, others are made of bytes."""
    rng = np.random.default_rng(seed)
    if mode.startswith("I;16"):
        wide = rng.integers(0, 65536, (9, 13), dtype=np.uint16)
        image = Image.frombytes(mode, (13, 9), wide.astype(">u2" if mode[-1] == "B" else "<u2"))
    elif mode in ("I", "F"):
        wide = rng.integers(0, 65536, (9, 13), dtype=np.int32)
        image = Image.fromarray(wide if mode == "I" else wide.astype(np.float32))
    else:
        gray, shades = rng.integers(40, 215, (9, 13, 1)), rng.integers(-40, 41, (9, 13, 4))
        shades[..., 3] = rng.integers(-40, 41, (9, 13)) * 5  # of the alpha
        colours = Image.fromarray(np.clip(gray + shades, 0, 255).astype(np.uint8))
        if mode in ("P", "PA"):
            image = colours.convert("RGB").quantize(16)
            if mode == "PA":
                image = image.convert("PA")
        elif mode in ("1", "L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"):
            image = colours if mode == "RGBA" else colours.convert("LA").convert(mode)
            image = (
                colours.convert("RGB").convert(mode) if mode in ("CMYK", "YCbCr", "HSV") else image
            )
        elif mode == "LAB":
            image = Image.frombytes("LAB", (13, 9), rng.integers(0, 256, 351, dtype=np.uint8))
        else:  # alpha in the colours
            image = colours.convert("LA" if mode == "La" else "RGBA").convert(mode)
    if transparency and mode in ("L", "P", "RGB", "1"):
        image.info["transparency"] = {"RGB": image.getpixel((0, 0))}.get(mode, 1)
    return image


def written(image, suffix, orientation):
    """The file, or None where the container cannot hold the mode."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stream = io.BytesIO()
    try:
        image.save(
            stream, Image.registered_extensions()[f".{suffix}"], exif=exif, **CONTAINERS[suffix]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stream.getvalue()


@pytest.mark.parametrize("suffix", CONTAINERS)
@settings(max_examples=60)
@given(
    mode=st.sampled_from(MODES),
    orientation=st.integers(1, 8),
    transparency=st.booleans(),
    background=st.sampled_from(["auto", "black", "white"]),
    seed=st.integers(0, 9),
)
def test_a_file_is_one_array_by_path_by_stream_and_as_an_image(
    tmp_path_factory, suffix, mode, orientation, transparency, background, seed
):
    Image.init()
    if f".{suffix}" not in Image.registered_extensions():
        pytest.skip(f"this Pillow does not write {suffix}")
    image = picture(mode, seed, transparency)
    data = written(image, suffix, orientation)
    if data is None:
        return
    path = tmp_path_factory.getbasetemp() / f"one-array.{suffix}"
    path.write_bytes(data)
    by_path = load_picture(path, background=background)
    by_stream = load_picture(io.BytesIO(data), background=background)
    np.testing.assert_array_equal(by_path, by_stream)
    # a JPEG's luma is read as it is held, an image has its colours
    near = 1 if suffix == "jpg" else 0
    with Image.open(path) as lazy:
        as_image = load_picture(lazy, background=background)
    with Image.open(path if suffix not in ("tif", "tiff") else io.BytesIO(data)) as opened:
        opened.load()  # Pillow shears a TIFF by its path here, before we see it
        as_loaded = load_picture(opened, background=background)
    for other in (as_image, as_loaded):
        assert other.shape == by_path.shape
        assert np.abs(other.astype(int) - by_path).max() <= near
    with Image.open(path) as held:
        turned = held.getexif().get(ORIENTATION, 1) > 4
    assert by_path.shape == ((13, 9) if turned else (9, 13))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", MODES)
def test_the_image_in_memory_is_the_array_of_its_lossless_file(tmp_path, mode, orientation):
    upright = picture(mode, 0, transparency=False)
    tags = upright.getexif()
    tags[ORIENTATION] = orientation
    expected = load_picture(upright)
    for suffix in ("png", "tiff", "tif"):
        data = written(upright, suffix, orientation)
        if data is not None:
            np.testing.assert_array_equal(load_picture(io.BytesIO(data)), expected)


def test_every_mode_is_held_by_some_container():
    held = {
        mode
        for mode in MODES
        for suffix in CONTAINERS
        if written(picture(mode, 0, False), suffix, 1)
    }
    assert held >= set(MODES) - {"La", "RGBa", "PA", "HSV", "I;16L"}, held


def test_orientations_are_those_of_exif(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 13), dtype=np.uint8)
    for orientation in range(1, 9):
        data = written(Image.fromarray(pixels), "png", orientation)
        with Image.open(io.BytesIO(data)) as image:
            upright = np.asarray(ImageOps.exif_transpose(image))
        np.testing.assert_array_equal(load_picture(io.BytesIO(data)), upright)
