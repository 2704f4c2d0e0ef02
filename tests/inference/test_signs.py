"""A line of letters and digits is parted where the model's own probabilities say."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from glyphsight.errors import ModelError, PictureError
from glyphsight.inference import Model
from glyphsight.inference.signs import _cuts, _likeliest, _pieces, read_signs


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


def test_pieces_lie_between_cuts_and_their_boxes_hold_all_ink():
    ink = np.zeros((20, 40), bool)
    ink[2:18, 3:9] = ink[5:15, 14:20] = ink[2:18, 30:33] = True
    cuts = _cuts(ink)
    assert {cuts[0], cuts[-1]} == {3, 33}
    assert {11, 25} <= set(cuts)
    pieces = _pieces(ink, cuts)
    assert pieces[0, cuts.index(11)] == (2, 18, 3, 9)
    assert pieces[cuts.index(11), cuts.index(25)] == (5, 15, 14, 20)


def test_the_row_of_pieces_with_the_largest_sum_is_taken():
    ends = [(0, 1), (1, 2), (0, 2), (2, 3)]
    assert _likeliest(ends, np.array([-0.1, -0.2, -0.5, -0.1])) == [0, 1, 3]
    assert _likeliest(ends, np.array([-0.4, -0.2, -0.5, -0.1])) == [2, 3]
    assert _likeliest([(0, 1), (2, 3)], np.array([-1.0, -1.0])) == []
