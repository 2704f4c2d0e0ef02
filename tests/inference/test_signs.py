"""A line of letters and digits is parted where the model's own probabilities say."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from glyphsight.errors import ModelError, PictureError
from glyphsight.inference import Model
from glyphsight.inference.signs import _lattice, _likeliest, _Piece, read_signs


def line(text, size=64):
    """Write text dark on light."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = map(int, font.getbbox(text))
    image = Image.new("L", (right - left + 20, bottom - top + 20), 250)
    ImageDraw.Draw(image).text((10 - left, 10 - top), text, 20, font)
    return np.asarray(image)


@pytest.fixture(scope="module")
def names():
    return Model("nano-names")


@pytest.mark.slow
@pytest.mark.parametrize("text", ["X7", "GLYPH4", "82MK3"])
def test_a_line_is_read_sign_by_sign(names, text):
    answer = read_signs(names, line(text))
    assert answer.written == answer.label == text
    assert [part.label for part in answer.parts] == list(text)
    assert 0 < answer.probability <= 1
    lefts = [part.box[2] for part in answer.parts]
    assert lefts == sorted(lefts)


@pytest.mark.slow
def test_a_photographed_line_is_read_and_its_boxes_lie_in_the_photograph(names):
    drawn = np.kron(line("X7K"), np.ones((3, 3), np.uint8))
    page = np.full((drawn.shape[0] + 200, drawn.shape[1] + 300), 250.0)
    page[80 : 80 + drawn.shape[0], 180 : 180 + drawn.shape[1]] = drawn
    shade = np.linspace(1, 0.55, page.shape[1])
    grain = np.random.default_rng(0).normal(0, 3, page.shape)
    taken = np.clip(page * shade + grain, 0, 255).astype(np.uint8)
    answer = read_signs(names, taken)
    assert answer.written == "X7K"
    for part in answer.parts:
        top, bottom, left, right = part.box
        inside = taken[top:bottom, left:right] < 80
        assert inside.mean() > 0.15
        assert inside[[0, 1, -2, -1]].any(axis=1).sum() >= 2
    dark = np.argwhere(taken < 80)
    found = answer.box
    assert np.abs(np.array([found[0], found[2]]) - dark.min(axis=0)).max() <= 6
    assert np.abs(np.array([found[1], found[3]]) - dark.max(axis=0)).max() <= 6


@pytest.mark.slow
def test_light_signs_on_dark_are_read_too(names):
    assert read_signs(names, 255 - line("R2")).written == "R2"


@pytest.mark.slow
@pytest.mark.parametrize("level", [0, 255])
def test_a_blank_picture_says_nothing(names, level):
    answer = read_signs(names, np.full((40, 90), level, np.uint8))
    assert answer.written == ""
    assert answer.empty
    assert answer.name == "nothing I know"


@pytest.mark.slow
def test_a_model_without_letters_is_refused():
    with pytest.raises(ModelError, match="names 10 letters and digits, too few"):
        read_signs(Model("nano-digits"), line("5"))


@pytest.mark.slow
def test_a_picture_with_too_many_places_to_part_it_is_refused(names):
    comb = np.zeros((30, 600), np.uint8)
    comb[:, ::4] = 255
    with pytest.raises(PictureError, match="crop it to one line"):
        read_signs(names, comb)


@pytest.mark.slow
@pytest.mark.parametrize(("text", "read"), [("I7", "I7"), ("HI7", "HI7"), ("K4-R", "K4R")])
def test_a_bar_is_a_sign_and_a_dash_is_passed_over(names, text, read):
    answer = read_signs(names, line(text))
    assert answer.written == read
    assert answer.probability > 0.2
    assert answer.known
    assert not any(part.empty for part in answer.parts)


@pytest.mark.slow
def test_wide_gaps_part_a_line_as_narrow_ones_do(names):
    far = np.pad(line("B4"), ((0, 0), (0, 400)), constant_values=250)
    together = np.concatenate([far, line("B4")], axis=1)
    assert read_signs(names, together).written == "B4B4"


@pytest.mark.slow
@pytest.mark.parametrize(("ink", "ground"), [(130, 200), (120, 60), (150, 250)])
def test_pale_ink_is_read(names, ink, ground):
    shown = ground + (ink - ground) * (250 - line("K4R").astype(float)) / 230
    assert read_signs(names, shown.astype(np.uint8)).written == "K4R"


@pytest.mark.slow
def test_what_the_model_calls_unknown_is_not_known(names, monkeypatch):
    run = names.trained
    task = replace(run.tasks[0], labels=(*run.tasks[0].labels, "unknown"))
    monkeypatch.setattr(Model, "trained", replace(run, tasks=(task,)))
    monkeypatch.setattr(
        Model, "score", lambda _, asked: [[*[-300.0] * len(run.tasks[0].labels), 0.0]] * len(asked)
    )
    answer = read_signs(names, line("A"))
    assert not answer.known
    assert np.isfinite(answer.probability)


def test_a_picture_without_pixels_is_refused(names):
    with pytest.raises(PictureError):
        read_signs(names, np.zeros((0, 0), np.uint8))


def test_pieces_lie_between_cuts_and_their_boxes_hold_all_ink():
    ink = np.zeros((20, 60), bool)
    ink[2:18, 3:9] = ink[5:15, 14:20] = ink[2:18, 50:53] = True
    pieces, last = _lattice(ink)
    assert last == 3
    boxes = {(piece.start, piece.end): piece.box for piece in pieces}
    assert boxes[0, 1] == (2, 18, 3, 9)
    assert boxes[0, 2] == (2, 18, 3, 20)
    assert boxes[2, 3] == (2, 18, 50, 53)
    assert (0, 3) not in boxes  # too wide
    assert _lattice(np.zeros((5, 5), bool)) == ([], 0)


def test_the_row_of_pieces_with_the_largest_sum_is_taken():
    a, b, both, last = (_Piece(*ends, (0, 1, 0, 1)) for ends in ((0, 1), (1, 2), (0, 2), (2, 3)))
    assert _likeliest({a: -0.1, b: -0.2, both: -0.5, last: -0.1}, 3) == [a, b, last]
    assert _likeliest({a: -0.4, b: -0.2, both: -0.5, last: -0.1}, 3) == [both, last]
    assert _likeliest({a: -1.0, last: -1.0}, 3) == []
