"""The data of many kinds of pictures: what is drawn, and by whom."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from glyphsight.dataset import Record

pytest.importorskip("art")
SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield lambda name: runpy.run_path(str(SCRIPTS / name))
    finally:
        sys.path.remove(str(SCRIPTS))


@pytest.fixture(scope="module")
def kinds(scripts):
    return scripts("eyes/kinds.py")


def test_a_scene_is_drawn_as_its_name_says(kinds):
    random = np.random.default_rng(3)
    for _ in range(20):
        drawn = kinds["scene"](random)
        shapes = drawn.answer.split(", ")
        columns = (drawn.pixels > 128).any(axis=0).astype(int)
        gaps = np.flatnonzero(np.diff(columns, prepend=0, append=0)).reshape(-1, 2)
        assert len(gaps) >= len(shapes)
        if len(gaps) == len(shapes) > 1:
            widest = int(np.diff(gaps, axis=1).argmax())
            assert [one.startswith("large ") for one in shapes].index(True) == widest


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


def test_a_model_that_talks_learns_digits_and_the_unknown_but_no_unknown_letters(scripts, tmp_path):
    eyes = scripts("open_eyes.py")
    plan = eyes["PLANS"]["talk"]
    shown = [("5", "coarse"), ("7", "plain"), ("unknown", "letter"), ("unknown", "blob")]
    every = [
        Record((f"{'█' * 16}\n",), label, source=f"folder:pictures train/{label}/{way}-000-1.png")
        for label, way in shown
    ]
    eyes["save"](tmp_path, {"train": every}, plan)
    found = eyes["clear"](tmp_path, "train", plan)
    assert {one.source for one in found["digits"]} == {"digits: coarse", "digits: plain"}
    assert [one.source for one in found["unknown"]] == ["unknown: blob"]
    own = found | {"letters": [Record((f"{'█' * 16}\n",), "Q")]}
    asked = [eyes["mixed"](own, "train", plan) for _ in range(2)]
    assert len(asked[0]) == 4
    assert asked[0] == asked[1]
    assert not any(one.question for one in eyes["mixed"](own, "validation", plan))


def test_a_scene_is_named_and_asked_about_in_training_alone(scripts):
    eyes = scripts("open_eyes.py")
    own = {"scenes": [Record(("█\n",), "ring, large star, cross")]}
    asked = eyes["mixed"](own, "train", eyes["PLANS"]["scenes"])
    assert len({one.question for one in asked}) == 6
    assert {one.answer for one in asked} <= {"3", "ring", "star", "cross", own["scenes"][0].answer}
    assert eyes["mixed"](own, "validation", eyes["PLANS"]["scenes"]) == own["scenes"]


def test_a_sign_is_typed_whole_or_not_at_all(kinds, monkeypatch):
    box = np.zeros((44, 24), np.uint8)
    box[:, :6] = box[38:] = 255  # an L
    monkeypatch.setitem(kinds["as_art"].__globals__, "write", lambda *_, **__: box)
    ways = {"filled": 0.4, "toned": 0.3, "outlined": 0.3}
    monkeypatch.setitem(kinds["as_art"].__globals__, "ART_WAYS", ways)
    random = np.random.default_rng(1)
    drawn = [kinds["as_art"]("L", Path("font"), random).splitlines() for _ in range(40)]
    for lines in filter(None, drawn):
        assert all(line.strip() for line in lines)
        assert len(lines[-1]) == max(map(len, lines))
    assert sum(map(bool, drawn)) > 20


def test_sides_are_scaled_where_it_is_asked(kinds):
    square = np.zeros((60, 60), np.uint8)
    square[15:45, 15:45] = 255
    tall = [
        np.ptp(np.flatnonzero((one > 127).any(axis=1)))
        for one in (
            kinds["turned"](square, np.random.default_rng(n), 0.0, sides=0.3) for n in range(20)
        )
    ]
    assert min(tall) < 26
    assert max(tall) > 33


def test_what_is_no_sign_holds_more_than_one(kinds):
    line = np.zeros((20, 90), np.uint8)
    asked = []

    def write_line(signs):
        asked.append(signs)
        return line[:, : 30 * len(signs)]

    random = np.random.default_rng(0)
    drawn = [kinds["joined"](write_line, random) for _ in range(60)]
    widths = {(len(signs), one.pixels.shape[1]) for signs, one in zip(asked, drawn, strict=True)}
    assert {one.answer for one in drawn} == {"unknown"}
    assert all(30 * 1.4 <= width <= 30 * signs for signs, width in widths)
    assert len(widths) > 10
    assert not set("".join(asked)) & set("IJ1")
    assert kinds["joined"](lambda _: None, random) is None


@pytest.mark.parametrize(
    "way", ["filled", "toned", "outlined", "shadowed", "cut", "framed", "drawn"]
)
def test_text_art_in_every_way_is_lines_without_spaces_at_their_ends(way, kinds, monkeypatch):
    if way == "drawn":
        pytest.importorskip("skimage", reason="pip install scikit-image")
    assert way in kinds["ART_WAYS"]
    box = np.zeros((44, 24), np.uint8)
    box[:, :6] = box[38:] = 255  # an L
    monkeypatch.setitem(kinds["as_art"].__globals__, "write", lambda *_, **__: box)
    monkeypatch.setitem(kinds["as_art"].__globals__, "ART_WAYS", {way: 1.0})
    random = np.random.default_rng(1)
    drawn = [kinds["as_art"]("L", Path("font"), random) for _ in range(20)]
    assert sum(map(bool, drawn)) > 10
    for one in filter(None, drawn):
        assert one.endswith("\n")
        assert all(line == line.rstrip() for line in one.splitlines())
