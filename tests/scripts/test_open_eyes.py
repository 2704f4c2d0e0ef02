"""The data of many kinds of pictures: what is drawn, and by whom."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("art")
SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def kinds():
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield runpy.run_path(str(SCRIPTS / "eyes" / "kinds.py"))
    finally:
        sys.path.remove(str(SCRIPTS))


def test_a_scene_is_drawn_as_its_answers_say(kinds):
    random = np.random.default_rng(3)
    for _ in range(20):
        drawn = kinds["scene"](random)
        shapes, asked = drawn.answer.split(", "), dict(drawn.questions)
        assert asked["How many shapes are there?"] == str(len(shapes))
        assert asked.get("Which shape is furthest left?", shapes[0]) == shapes[0]
        gaps = np.diff((drawn.pixels > 128).any(axis=0).astype(int))
        assert (gaps == 1).sum() >= len(shapes) - 1


def test_every_name_belongs_to_one_part(kinds):
    parts = [kinds["part_of"](f"family {number}", 12, 4) for number in range(1000)]
    assert parts == [kinds["part_of"](f"family {number}", 12, 4) for number in range(1000)]
    assert 80 < parts.count("test") < 160
    assert 15 < parts.count("validation") < 65


def test_text_art_becomes_a_bright_picture_on_black(kinds):
    pixels = kinds["picture_of"]("# #\n # \n")
    assert pixels[0, 0] == 0
    assert pixels.max() == 255
    assert pixels.shape == (28, 24)


def test_another_pen_changes_the_strokes_and_loses_no_picture(kinds):
    thin = np.zeros((20, 20), dtype=np.uint8)
    thin[10, 3:17] = 255
    assert (kinds["penned"](thin, wider=True) > 0).sum() > 2 * (thin > 0).sum()
    assert np.array_equal(kinds["penned"](thin, wider=False), thin)  # it would vanish
    thick = np.kron(thin, np.ones((3, 3), dtype=np.uint8))
    assert 0 < (kinds["penned"](thick, wider=False) > 0).sum() < (thick > 0).sum()
