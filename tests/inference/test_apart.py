"""Several things in one picture are named apart where the model is surer of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from glyphsight.codec import Profile
from glyphsight.codec.gaps import trim_box
from glyphsight.inference import Model
from glyphsight.inference.answer import Answer
from glyphsight.inference.apart import apart
from glyphsight.inference.reading import PictureText, to_text

ROOT = Path(__file__).parents[2]


def answer(label, chance, left=0):
    """Make the answer to a piece of a picture."""
    known = {"unknown": chance, "cat": 1 - chance} if label == "unknown" else {label: chance}
    rest = (False, False, False, label != "unknown")
    return Answer(label, label, chance, known, "", *rest, box=(0, 9, left, left + 9))


@pytest.mark.parametrize(
    ("whole", "left", "right", "labels"),
    [
        (("bag", 0.3), ("cat", 0.9), ("dog", 0.9), ["cat", "dog"]),
        (("bag", 0.8), ("cat", 0.6), ("dog", 0.7), ["bag"]),
        (("pause", 0.97), ("one", 1.0), ("one", 1.0), ["pause"]),  # certain
        (("unknown", 0.99), ("cat", 0.9), ("unknown", 0.8), ["cat", "unknown"]),
        (("unknown", 0.99), ("unknown", 0.8), ("unknown", 0.8), ["unknown"]),
    ],
)
def test_sides_of_a_gap_are_things_where_the_model_is_surer_of_them(whole, left, right, labels):
    half = PictureText("", 9, 9, False, False)
    text = PictureText("", 9, 20, False, False, found="ink", halves=(half, half))
    told = iter([answer(*whole), answer(*left), answer(*right, left=10)])
    found = apart(text, told)
    assert found.labels == labels
    assert bool(found.parts) == (len(labels) > 1)
    assert not found.parts or found.found == "ink"


def house(image, x, y):
    """Draw a house of 140 pixels."""
    pen = ImageDraw.Draw(image)
    roof = [(75, 0), (140, 60), (120, 60), (120, 130), (30, 130), (30, 60), (10, 60)]
    pen.polygon([(x + a, y + b) for a, b in roof], outline=20, width=8)
    pen.rectangle((x + 60, y + 85, x + 90, y + 130), outline=20, width=8)


@pytest.fixture(scope="module")
def sheet():
    """Two rows: a house and a K, a 7 and a house."""
    image = Image.new("L", (420, 420), 250)
    font = ImageFont.load_default(150)
    house(image, 30, 30)
    ImageDraw.Draw(image).text((250, 10), "K", 20, font)
    ImageDraw.Draw(image).text((60, 210), "7", 20, font)
    house(image, 240, 250)
    return np.asarray(image)


@pytest.fixture(scope="module")
def names():
    return Model("nano-names")


def drawn(sheet):
    """Return the boxes of the ink in the quarters of the sheet."""
    quarters = [(0, 205, 0, 215), (0, 205, 215, 420), (205, 420, 0, 215), (205, 420, 215, 420)]
    return [trim_box(sheet < 130, quarter) for quarter in quarters]


@pytest.mark.slow
def test_boxes_lie_in_a_large_photograph(names, sheet):
    large = photographed(sheet.repeat(5, 0).repeat(5, 1))
    [found] = names.see([large])
    assert found.labels == ["house", "K", "7", "house"]
    for part, ink in zip(found.parts, drawn(sheet), strict=True):
        assert np.abs(np.array(part.box) / 5 - ink).max() <= 3, (part.box, ink)


def photographed(pixels):
    shade = np.linspace(1, 0.55, pixels.shape[1])
    grain = np.random.default_rng(0).normal(0, 3, pixels.shape)
    return np.clip(pixels * shade + grain, 0, 255).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("photo", [False, True])
def test_things_are_named_in_reading_order_with_their_boxes(names, sheet, photo):
    [answer] = names.see([photographed(sheet) if photo else sheet])
    assert [one.label for one in answer.things] == ["house", "K", "7", "house"]
    assert answer.label == "house"
    boxes = np.array([one.box for one in answer.parts])
    assert (boxes[:2, 1] < boxes[2:, 0]).all()
    assert (boxes[[0, 2], 3] < boxes[[1, 3], 2]).all()
    for box, ink in zip(boxes, drawn(sheet), strict=True):
        assert np.abs(box - ink).max() <= 3, (box, ink)
    assert (answer.found == "dark ink on light paper, evened out a shadow") == photo


@pytest.mark.slow
def test_the_sheet_of_the_readme_is_read_as_it_says(names):
    [found] = names.see([ROOT / "docs" / "images" / "four-things.jpg"])
    assert found.labels == ["house", "K", "umbrella", "7"]
    chances = ", ".join(f"{one.label} ({100 * one.probability:.1f} %)" for one in found.parts)
    assert f"4 things: {chances}" in (ROOT / "docs" / "seeing.md").read_text("utf-8")


@pytest.mark.slow
def test_one_thing_of_several_strokes_stays_one(names):
    image = Image.new("L", (200, 200), 250)
    for left in (60, 110):
        ImageDraw.Draw(image).rectangle((left, 40, left + 30, 160), fill=20)
    [answer] = names.see([np.asarray(image)])
    assert (answer.label, answer.parts) == ("pause", ())
    assert "frame" not in names.see([photographed(np.asarray(image))])[0].found


def test_a_picture_of_more_than_a_dozen_pieces_is_not_parted():
    profile = Profile(paper=True, format="plain", crop=0.0, invert="auto")
    dots = np.full((200, 200), 250, np.uint8)
    dots[20:40, 20:40] = dots[20:40, 120:140] = 0
    assert len(to_text(dots, profile).halves) == 2
    dots[10::20, 10::20] = 0
    assert to_text(dots, profile).halves == ()
    few = to_text(np.full((200, 200), 250, np.uint8), profile)
    assert few.halves == ()


@pytest.mark.slow
@pytest.mark.parametrize("photo", [False, True])
def test_a_thing_in_a_printed_frame_is_named_without_it(names, photo):
    image = Image.new("L", (400, 400), 250)
    ImageDraw.Draw(image).rectangle((80, 90, 310, 320), outline=20, width=4)
    house(image, 120, 140)
    tilted = image.rotate(2, Image.Resampling.BILINEAR, fillcolor=250)
    [found] = names.see([photographed(np.asarray(tilted)) if photo else np.asarray(tilted)])
    assert (found.label, found.parts) == ("house", ())
    assert ("frame" in found.found) == (not photo)  # in a photograph its lines went as ruled ones
    assert np.abs(np.array(found.box) - [140, 270, 130, 260]).max() <= 12
