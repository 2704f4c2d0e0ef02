import numpy as np
import pytest
from PIL import Image

import glyphsight
from glyphsight.errors import PictureError


@pytest.fixture(scope="module")
def five(golden) -> str:
    return (golden / "five.txt").read_bytes().decode("utf-8")


def test_the_published_picture_gives_the_published_text_from_a_path(golden, five):
    assert glyphsight.encode(golden / "five.png") == five
    assert glyphsight.encode(str(golden / "five.png")) == five


def test_the_published_picture_gives_the_published_text_from_an_open_file(golden, five):
    with (golden / "five.png").open("rb") as stream:
        assert glyphsight.encode(stream) == five


def test_the_published_picture_gives_the_published_text_from_a_pil_image(golden, five):
    with Image.open(golden / "five.png") as image:
        assert glyphsight.encode(image) == five
        assert glyphsight.encode(image.convert("RGB")) == five
        assert glyphsight.encode(image.convert("RGBA")) == five


def test_the_published_picture_gives_the_published_text_from_an_array(golden, five):
    with Image.open(golden / "five.png") as image:
        pixels = np.asarray(image)
    assert glyphsight.encode(pixels) == five
    assert glyphsight.encode(np.stack([pixels] * 3, axis=-1)) == five
    assert glyphsight.encode_batch(pixels[None]) == [five]


def test_two_thousand_digits_agree_with_pillow_and_a_plain_loop(validation):
    expected = []
    for pixels in validation.pixels:
        across = Image.fromarray(pixels).resize((20, 28), Image.Resampling.BICUBIC)
        values = np.asarray(across.resize((20, 11), Image.Resampling.BICUBIC)).tolist()
        text = ""
        for number, row in enumerate(values, start=1):
            cells = "".join(" ▓█"[value * 3 // 256] for value in row)
            text += f"<row:{number}>{cells}</row:{number}>\n"
        expected.append(text)
    assert glyphsight.encode_batch(validation.pixels) == expected


@pytest.mark.parametrize(
    ("height", "width", "columns", "rows"),
    [(28, 28, 20, 11), (1, 1, 20, 11), (28, 28, 40, 22), (10, 1000, 20, 1), (60, 30, 20, 22)],
)
def test_rows_follow_the_proportions_of_the_picture(height, width, columns, rows):
    pixels = np.zeros((1, height, width), dtype=np.uint8)
    text = glyphsight.encode_batch(pixels, glyphsight.Profile(width=columns))[0]
    assert glyphsight.parse(text).shape == (rows, columns)


@pytest.mark.parametrize(
    ("value", "glyph"), [(0, " "), (85, " "), (86, "▓"), (170, "▓"), (171, "█")]
)
def test_the_three_levels_are_equal_thirds(value, glyph):
    text = glyphsight.encode(np.full((28, 28), value, dtype=np.uint8))
    assert text.startswith(f"<row:1>{glyph * 20}</row:1>\n")


def test_an_empty_batch_gives_no_texts():
    assert glyphsight.encode_batch(np.zeros((0, 28, 28), dtype=np.uint8)) == []


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (np.zeros((1, 28, 28)), r"uint8\[N, H, W\], not float64"),
        (np.zeros((28, 28), dtype=np.uint8), r"uint8\[N, H, W\], not uint8\[28, 28\]"),
        (np.zeros((1, 0, 28), dtype=np.uint8), "0x28 pixels hold nothing"),
        (np.zeros((1, 20_000, 1), dtype=np.uint8), "220000 rows of 20 columns, too large"),
    ],
)
def test_what_is_no_batch_of_pictures_is_refused(images, complaint):
    with pytest.raises(PictureError, match=complaint):
        glyphsight.encode_batch(images)


@pytest.mark.parametrize(
    "change",
    [
        lambda five: five / 255,
        lambda five: (five / 255).astype(np.float16),
        lambda five: five.astype(np.float32),
        lambda five: five.astype(np.uint16),
        lambda five: five.astype(np.uint16) * 257,
        lambda five: five.astype(np.int64),
        lambda five: five > 127,
        lambda five: (five > 127).astype(np.int8),
    ],
)
def test_the_advice_for_an_array_of_another_dtype_makes_the_picture(golden, change):
    with Image.open(golden / "five.png") as image:
        five = np.asarray(image)[None]
    array = change(five)
    with pytest.raises(PictureError) as error:
        glyphsight.encode_batch(array)
    made = eval(str(error.value).rpartition(" as ")[2])
    bilevel = array.max() == 1 and array.dtype.kind != "f"
    expected = np.where(five > 127, 255, 0) if bilevel else five
    assert made.dtype == np.uint8
    assert np.array_equal(made, expected)
    glyphsight.encode_batch(made)


def test_numbers_beyond_0_to_255_are_to_be_scaled():
    with pytest.raises(PictureError, match="scale its numbers to 0"):
        glyphsight.encode_batch(np.full((1, 28, 28), -3.0))
