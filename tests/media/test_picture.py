import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile

from glyphsight.codec import encode_batch
from glyphsight.errors import PictureError
from glyphsight.media.picture import load_picture, save_picture


def saved(image, path, **options):
    image.save(path, **options)
    return load_picture(path)


@pytest.fixture
def five(golden):
    with Image.open(golden / "five.png") as image:
        return np.array(image)


def test_gray_comes_back_as_it_is(five, tmp_path):
    np.testing.assert_array_equal(saved(Image.fromarray(five), tmp_path / "x.png"), five)
    np.testing.assert_array_equal(load_picture(five), five)
    np.testing.assert_array_equal(load_picture(Image.fromarray(five)), five)


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tiff", "webp", "pgm", "ppm"])
def test_lossless_files_of_every_common_kind_give_the_same_pixels(five, tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    image = Image.fromarray(five)
    np.testing.assert_array_equal(saved(image, tmp_path / f"x.{suffix}", **options), five)


def test_colours_become_luma(tmp_path):
    image = Image.new("RGB", (3, 1))
    image.putpixel((0, 0), (255, 0, 0))
    image.putpixel((1, 0), (0, 255, 0))
    image.putpixel((2, 0), (0, 0, 255))
    assert saved(image, tmp_path / "x.png").tolist() == [[76, 150, 29]]  # ITU-R 601-2
    assert load_picture(np.asarray(image)).tolist() == [[76, 150, 29]]


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)])
def test_ink_on_transparent_stands_out_from_its_background(five, tmp_path, ink, paper):
    rgba = np.zeros((28, 28, 4), dtype=np.uint8)
    rgba[..., :3] = ink
    rgba[..., 3] = five
    gray = saved(Image.fromarray(rgba), tmp_path / "x.png")
    np.testing.assert_array_equal(gray, load_picture(rgba))
    assert abs(gray.astype(int) - np.where(ink, five, 255 - five)).max() <= 1
    assert gray[0, 0] == paper


def test_faint_ink_on_transparent_stands_out_too():
    rgba = np.zeros((9, 9, 4), dtype=np.uint8)
    rgba[3:6, 3:6, 3] = 100
    gray = load_picture(rgba)
    assert (gray[0, 0], gray[4, 4]) == (255, 155)


def keyed(row, bits, kind, key):
    """A PNG of one row, of a kind (0 gray, 2 RGB) and a key colour, that is transparent."""
    values = np.array([row]).repeat(1 + kind, axis=1)
    packed = np.packbits((values[..., None] >> np.arange(bits)[::-1] & 1).astype(np.uint8))
    parts = [
        (b"IHDR", struct.pack(">2I5B", len(row), 1, bits, kind, 0, 0, 0)),
        (b"tRNS", struct.pack(">H", key) * (1 + kind)),
        (b"IDAT", zlib.compress(b"\0" + packed.tobytes())),
        (b"IEND", b""),
    ]
    return io.BytesIO(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in parts
        )
    )


@pytest.mark.parametrize("kind", [0, 2], ids=["gray", "RGB"])
@pytest.mark.parametrize("key", [65_535, 30_000, 20_001, 20_000, 78, 5])
def test_a_key_colour_of_sixteen_bits_is_transparent_and_no_other_colour(kind, key):
    row = [5, 20_000, 20_001, 40_000, 65_535]
    gray = load_picture(keyed(row, 16, kind, key), background="white")[0].astype(int)
    expected = [255 if value == key else value / 257 for value in row]
    assert np.abs(gray - expected).max() <= 1
    if kind:  # a PIL image has lost what tells the key colour from others
        opened = Image.open(keyed(row, 16, kind, key))
        kept = load_picture(opened, background="white")[0].astype(int)
        assert np.abs(kept - np.array(row) / 257).max() <= 1


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_key_of_few_bits_is_transparent_and_no_other_gray(bits):
    top = 2**bits - 1
    for key in {0, 1, top - 1, top}:
        row = list(range(top + 1))
        expected = [255 if value == key else value * 255 // top for value in row]
        for given in (keyed(row, bits, 0, key), Image.open(keyed(row, bits, 0, key))):
            assert load_picture(given, background="white").tolist() == [expected], key


def test_a_fully_transparent_picture_is_flat(tmp_path):
    assert np.ptp(saved(Image.new("RGBA", (9, 9)), tmp_path / "x.png")) == 0


@pytest.mark.parametrize("transparency", [0, b"\0\xff\xff"])
def test_a_palette_with_transparency_shows_its_opaque_part(tmp_path, transparency):
    image = Image.new("P", (4, 1))
    image.putpalette([255, 0, 255, 255, 255, 255, 0, 0, 0])
    image.putdata([0, 1, 1, 0])
    image.save(tmp_path / "x.png", transparency=transparency)
    assert load_picture(tmp_path / "x.png").tolist() == [[0, 255, 255, 0]]


def test_sixteen_bits_are_brought_to_eight(tmp_path):
    wide = np.array([[0, 257, 32_896, 65_535]], dtype=np.uint16)
    assert saved(Image.fromarray(wide), tmp_path / "x.png").tolist() == [[0, 1, 128, 255]]


def test_floating_point_is_brought_to_eight_bits(tmp_path):
    wide = np.array([[0.0, 0.5, 1.0, np.nan]], dtype=np.float32)
    assert saved(Image.fromarray(wide), tmp_path / "x.tiff").tolist() == [[0, 128, 255, 0]]


def test_bilevel_is_black_and_white(tmp_path):
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert saved(image, tmp_path / "x.png").tolist() == [[0, 255]]


def test_a_cmyk_jpeg_keeps_its_polarity(five, tmp_path):
    gray = saved(Image.fromarray(five).convert("CMYK"), tmp_path / "x.jpg", quality=100)
    assert abs(gray.astype(int) - five).mean() < 3


def test_a_photo_comes_upright(five, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    lying = Image.fromarray(np.rot90(five))
    np.testing.assert_array_equal(saved(lying, tmp_path / "x.png", exif=exif), five)
    with Image.open(tmp_path / "x.png") as image:
        np.testing.assert_array_equal(load_picture(image), five)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "I;16"])
@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_an_uncompressed_tiff_is_the_same_by_path_and_by_stream(tmp_path, mode, orientation):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image = (
        Image.fromarray(pixels.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "x.tiff", exif=exif)
    by_path = load_picture(tmp_path / "x.tiff")
    assert by_path.shape == ((20, 31) if orientation == 1 else (31, 20))
    by_stream = load_picture(io.BytesIO((tmp_path / "x.tiff").read_bytes()))
    np.testing.assert_array_equal(by_path, by_stream)
    exact = mode in ("L", "P", "I;16", "RGB", "RGBA")
    upright = load_picture(Image.fromarray(pixels)) if orientation == 1 else None
    if exact and upright is not None:
        np.testing.assert_array_equal(by_path, upright)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_one_pixel_is_a_picture(tmp_path, mode):
    suffix = "tiff" if mode == "CMYK" else "png"
    assert saved(Image.new(mode, (1, 1)), tmp_path / f"x.{suffix}").shape == (1, 1)


def test_the_first_frame_of_an_animation_is_read(five, tmp_path):
    frames = [Image.fromarray(five), Image.fromarray(255 - five)]
    gray = saved(frames[0], tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(gray, five)


@pytest.mark.parametrize("suffix", ["gif", "webp", "tiff", "png"])
def test_another_frame_can_be_chosen_and_a_missing_one_is_named(five, tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(five).save(
        path, save_all=True, append_images=[Image.fromarray(255 - five)], **options
    )
    np.testing.assert_array_equal(load_picture(path, frame=1), 255 - five)
    for frame in (2, -1):
        with pytest.raises(
            PictureError, match=rf"has no frame {frame}; give --frame a number from 0 to 1"
        ):
            load_picture(path, frame=frame)


def test_transparency_is_laid_on_the_chosen_background(tmp_path):
    path = tmp_path / "x.png"
    Image.new("RGBA", (2, 2), (128, 128, 128, 0)).save(path)
    assert load_picture(path, background="black").max() == 0
    assert load_picture(path, background="white").min() == 255
    with pytest.raises(PictureError, match="background 'red'; give auto, black or white"):
        load_picture(path, background="red")


def test_the_pixel_limit_can_be_raised_and_lowered(five, tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(five).save(path)
    before = Image.MAX_IMAGE_PIXELS
    assert load_picture(path, max_pixels=28 * 28).shape == (28, 28)
    with pytest.raises(PictureError, match="784 pixels, the limit is 783; shrink it, or raise"):
        load_picture(path, max_pixels=783)
    large = tmp_path / "large.png"
    Image.new("1", (10_000, 10_000)).save(large)
    assert load_picture(large, max_pixels=10**8).shape == (10_000, 10_000)
    assert before == Image.MAX_IMAGE_PIXELS


def png(side):
    stream = io.BytesIO()
    Image.new("L", (side, side)).save(stream, "PNG")
    return stream.getvalue()


def icon(kind, *parts):
    """An icon of files that it declares to be 16 or 32 pixels wide."""
    if kind == "ico":
        index, at = b"", 6 + 16 * len(parts)
        for part in parts:
            index += struct.pack("<4B2H2I", 16, 16, 0, 0, 1, 32, len(part), at)
            at += len(part)
        return struct.pack("<3H", 0, 1, len(parts)) + index + b"".join(parts)
    names = zip((b"icp4", b"ic11"), parts, strict=False)
    body = b"".join(name + struct.pack(">I", 8 + len(part)) + part for name, part in names)
    return b"icns" + struct.pack(">I", 8 + len(body)) + body


@pytest.mark.parametrize("kind", ["ico", "icns"])
def test_a_picture_inside_an_icon_is_refused_before_it_is_decoded(kind, monkeypatch):
    small, large = png(16), png(300)
    assert load_picture(io.BytesIO(icon(kind, small, small))).shape in [(16, 16), (32, 32)]

    def decode(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", decode)
    for data in (icon(kind, large), icon(kind, small, large)):
        with pytest.raises(PictureError, match="90,000 pixels, the limit is 1,000"):
            load_picture(io.BytesIO(data), max_pixels=1000)


def test_a_bitmap_inside_an_icon_counts_without_its_mask(tmp_path):
    Image.new("RGBA", (16, 16), "red").save(
        tmp_path / "x.ico", sizes=[(16, 16)], bitmap_format="bmp"
    )
    assert load_picture(tmp_path / "x.ico", max_pixels=256).shape == (16, 16)
    with pytest.raises(PictureError, match="pixels, the limit is 255"):
        load_picture(tmp_path / "x.ico", max_pixels=255)


def test_a_frame_larger_than_the_first_is_refused(tmp_path):
    path = tmp_path / "x.tiff"
    pages = [Image.new("L", (10, 10)), Image.new("L", (50, 50))]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert load_picture(path, max_pixels=100).shape == (10, 10)
    with pytest.raises(PictureError, match="2,500 pixels, the limit is 100"):
        load_picture(path, max_pixels=100, frame=1)


def test_threads_read_with_limits_of_their_own(golden, tmp_path):
    sides = [10, 60, 110, 160, 210, 260]
    for side in sides:
        (tmp_path / f"{side}.png").write_bytes(png(side))
    state = (Image.MAX_IMAGE_PIXELS, list(warnings.filters))

    def read(task):
        side, limit = task
        try:
            return load_picture(tmp_path / f"{side}.png", max_pixels=limit**2).shape[0] == side
        except PictureError as error:
            return f"{side**2:,} pixels, the limit is {limit**2:,}" in str(error) and side > limit

    tasks = [(side, limit) for side in sides for limit in sides] * 20
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, tasks))
    assert state == (Image.MAX_IMAGE_PIXELS, list(warnings.filters))


@pytest.mark.parametrize("mode", ["La", "RGBa", "LAB", "HSV", "YCbCr", "PA", "I", "F"])
def test_every_mode_of_a_pil_image_is_read(mode):
    assert load_picture(Image.new(mode, (3, 2))).shape == (2, 3)


def test_a_jpeg_may_be_decoded_smaller_but_is_not_unless_asked(five, tmp_path):
    path = tmp_path / "x.jpg"
    Image.fromarray(np.kron(five, np.ones((20, 20), dtype=np.uint8))).save(path)
    assert load_picture(path).shape == (560, 560)
    assert load_picture(path, jpeg_at_least=80).shape == (140, 140)
    assert load_picture(path, jpeg_at_least=600).shape == (560, 560)


def png_header(width, height):
    """A PNG that promises ``width`` x ``height`` pixels and holds one row's worth of nothing."""
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0))]
    chunks += [(b"IDAT", zlib.compress(b"\0" * 10)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    return data


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "an empty file; save the picture again"),
        (b"hello, world\n", "not a picture in any format Pillow reads"),
        (b"\x89PNG\r\n\x1a\n", "damaged|not a picture"),
        (png_header(28, 28), "damaged or cut off"),
        (png_header(10_000, 10_000), "100,000,000 pixels, the limit is 89,478,485; shrink it"),
        (png_header(60_000, 60_000), "3,600,000,000 pixels, the limit is"),
    ],
    ids=["empty", "text", "magic alone", "cut off", "large", "bomb"],
)
def test_what_is_no_picture_is_named_with_what_is_wrong(tmp_path, data, complaint):
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(PictureError, match=complaint) as caught:
        load_picture(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def outcome(picture):
    """The pixels, or what the error says; any other exception passes."""
    try:
        return load_picture(picture)
    except PictureError as error:
        return str(error)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tiff"])
def test_a_file_cut_off_anywhere_gives_a_picture_or_a_picture_error(five, tmp_path, suffix):
    whole, part = tmp_path / f"whole.{suffix}", tmp_path / f"part.{suffix}"
    Image.fromarray(five).save(whole)
    data = whole.read_bytes()
    outcomes = []
    for length in range(0, len(data), max(1, len(data) // 60)):
        part.write_bytes(data[:length])
        outcomes.append(outcome(part))
    refused = [each for each in outcomes if isinstance(each, str)]
    assert len(refused) > len(outcomes) / 2
    assert all(error.startswith(f"{part}: ") for error in refused)
    assert all(each.shape == (28, 28) for each in outcomes if not isinstance(each, str))


@pytest.mark.parametrize("kind", ["DDS", "AVIF", "JPEG2000", "ICO", "SGI", "PCX", "QOI"])
def test_garbled_files_give_a_picture_or_a_picture_error(five, kind):
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow does not write {kind}")
    stream = io.BytesIO()
    Image.fromarray(five).convert("RGB").save(stream, kind)
    rng = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(stream.getvalue())
        for place in rng.integers(0, min(len(data), 200), 4):
            data[place] = rng.integers(0, 256)
        result = outcome(io.BytesIO(data))
        assert not isinstance(result, str) or result.startswith("the open file: ")


def test_a_missing_file_a_directory_and_an_empty_name_are_named(tmp_path):
    with pytest.raises(PictureError, match=r"nothing\.png: no such file"):
        load_picture(tmp_path / "nothing.png")
    with pytest.raises(PictureError, match="is a directory; name the pictures in it"):
        load_picture(tmp_path)
    with pytest.raises(PictureError, match="'': no such file"):
        load_picture("")


def test_a_lazily_opened_pil_image_that_is_cut_off_is_named(golden, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes((golden / "five.png").read_bytes()[:-80])
    with Image.open(path) as image, pytest.raises(PictureError, match=r"x\.png: damaged"):
        load_picture(image)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((5, 5)),
        np.zeros((5, 5), dtype=bool),
        np.zeros(5, dtype=np.uint8),
        np.zeros((5, 5, 1), dtype=np.uint8),
        np.zeros((5, 5, 5), dtype=np.uint8),
        np.zeros((1, 5, 5, 3), dtype=np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_an_array_of_another_kind_is_refused(array):
    with pytest.raises(PictureError, match="array"):
        load_picture(array)


@pytest.mark.parametrize("thing", [None, 5, [[0, 255]], b"x.png"])
def test_what_can_be_no_picture_at_all_is_refused(thing):
    with pytest.raises(PictureError, match=f"{type(thing).__name__} is no picture; give a path"):
        load_picture(thing)


def test_a_saved_picture_is_read_back(five, tmp_path):
    save_picture(five, tmp_path / "new" / "x.png")
    np.testing.assert_array_equal(load_picture(tmp_path / "new" / "x.png"), five)


@pytest.mark.parametrize("name", ["x", "x.txt", "x.psd", "x.xbm"])
def test_a_picture_is_not_saved_where_no_format_fits(five, tmp_path, name):
    with pytest.raises(PictureError, match=f"{name}: .*use .png"):
        save_picture(five, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_jpegs_gray_is_its_own_luma(tmp_path, options):
    y, x = np.mgrid[0:90, 0:120]
    colour = np.stack([x * 2, y * 2, 255 - x - y], axis=-1).astype(np.uint8)
    Image.fromarray(colour).save(tmp_path / "photo.jpg", quality=90, **options)
    by_colours = np.asarray(Image.open(tmp_path / "photo.jpg").convert("L")).astype(int)
    gray = load_picture(tmp_path / "photo.jpg")
    assert np.abs(gray - by_colours).max() <= 1  # but for rounding
    assert encode_batch(gray[None]) == encode_batch(by_colours[None].astype(np.uint8))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_jpeg_without_luma_and_chroma_goes_by_its_colours(tmp_path, mode):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as image:
        np.testing.assert_array_equal(load_picture(tmp_path / "photo.jpg"), image.convert("L"))


def test_a_program_that_draws_is_no_picture(five, tmp_path):
    with pytest.raises(PictureError, match="not a picture"):
        saved(Image.fromarray(five), tmp_path / "five.eps")
