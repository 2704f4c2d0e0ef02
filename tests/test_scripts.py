"""Scripts and benchmarks run."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glyphsight.evaluate.baselines import Grids

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted([*(ROOT / "scripts").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")])


def run(program, *arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(program), *map(str, arguments)])
    monkeypatch.setattr(sys, "path", [str(program.parent), *sys.path])
    runpy.run_path(str(program), run_name="__main__")


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_every_program_says_what_it_does(program, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(program, "--help", monkeypatch=monkeypatch)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")


def test_the_pictures_of_the_readme_are_those_of_its_script(tmp_path, monkeypatch):
    run(ROOT / "scripts" / "readme_pictures.py", "--out", tmp_path, monkeypatch=monkeypatch)
    kept = ROOT / "docs" / "images"
    with Image.open(tmp_path / "seven.png") as drawn, Image.open(kept / "seven.png") as before:
        assert np.array_equal(np.asarray(drawn), np.asarray(before))
    assert (tmp_path / "seven-text.png").stat().st_size > 0


def test_learning_curves_are_drawn_one_after_the_other(tmp_path, monkeypatch):
    histories = sorted((ROOT / "docs" / "training").glob("sight-[12]*.jsonl"))
    out = tmp_path / "curves.svg"
    program = ROOT / "scripts" / "training_curves.py"
    run(program, *histories, "--out", out, monkeypatch=monkeypatch)
    drawn = out.read_text("utf-8")
    assert drawn.startswith("<svg")
    assert all(history.stem in drawn for history in histories)


@pytest.fixture(scope="module")
def ceilings():
    return runpy.run_path(str(ROOT / "benchmarks" / "ceilings.py"))


def test_a_shift_moves_by_one_cell_and_lets_the_darkest_level_in(ceilings):
    shifted = ceilings["shifted"]
    grid = np.zeros((5, 5), dtype=np.uint8)
    grid[2, 2] = 2
    moved = shifted(np.repeat(grid[None], 200, axis=0), np.random.default_rng(0))
    places = {tuple(int(at) for at in np.argwhere(one)[0]) for one in moved}
    assert places == {(row, column) for row in (1, 2, 3) for column in (1, 2, 3)}
    assert (moved.sum(axis=(1, 2)) == 2).all()
    flat = np.full((50, 1, 9), 1, dtype=np.uint8)
    assert shifted(flat, np.random.default_rng(0)).sum(axis=(1, 2)).min() == 8


@pytest.mark.slow
def test_the_cnn_learns_and_the_same_seed_gives_the_same_answers(ceilings, validation):
    cells = [(pixels[::2, ::2] > 128).astype(np.uint8) for pixels in validation.pixels[:800]]
    labels = list(validation.labels[:800])
    train, test = Grids(cells[:600], labels[:600], 2, ""), Grids(cells[600:], labels[600:], 2, "")
    task, names = ceilings["Task"].of(train, test, 0)
    classes, what, trained_on = ceilings["cnn"](task, 32, 60)
    assert (
        np.mean([names[one] == truth for one, truth in zip(classes, test.labels, strict=True)])
        > 0.6
    )
    assert what.startswith("small CNN, one-cell shifts, epoch ")
    assert trained_on == 540
    assert np.array_equal(ceilings["cnn"](task, 32, 60)[0], classes)
