import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from glyphsight.codec import Profile
from glyphsight.errors import FormatError, GlyphsightError, ModelError
from glyphsight.evaluate.sweep import plot, read_plan, run_sweep, table, write_findings

PLANS = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))


def plan_of(tmp_path, text):
    path = tmp_path / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return read_plan(path)


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_every_committed_plan_can_be_read(path):
    assert read_plan(path).cells()


def test_a_plan_crosses_everything_and_takes_every_encoding_before_the_next_seed(tmp_path):
    plan = plan_of(
        tmp_path, "encodings: [seed, braille]\ntokens: [32, 64]\nrecords: [8, 16]\nseeds: [0, 1]"
    )
    cells = plan.cells()
    assert len(cells) == 16
    assert [c.seed for c in cells] == [0] * 8 + [1] * 8
    assert cells[0].key == "seed-32tokens-8-seed0"
    assert cells[1].profile == Profile(format="braille", palette=" █")


@pytest.mark.slow
def test_a_plan_may_raise_the_limit_of_pixels(tmp_path, golden):
    (tmp_path / "pictures" / "five").mkdir(parents=True)
    shutil.copy(golden / "five.png", tmp_path / "pictures" / "five")
    text, source = "encodings: [seed]\ntokens: [3]\n", f"folder:{tmp_path / 'pictures'}"
    with pytest.raises(GlyphsightError, match=r"five\.png: 784 .* max_pixels: 784 in a .* plan"):
        run_sweep(plan_of(tmp_path, text + "max_pixels: 783"), source, tmp_path / "a", quiet=True)
    plan = plan_of(tmp_path, text + "max_pixels: 784")
    [gap] = run_sweep(plan, source, tmp_path / "b", quiet=True)  # so it read the picture
    assert "one column of format seed costs" in gap["left_out"]


def test_palettes_make_encodings_of_their_own(tmp_path):
    plan = plan_of(
        tmp_path,
        "encodings: [plain, {format: plain, name: dotted, palette: ' .#', threshold: otsu}]\n"
        "palettes: [seed, ' .:#']\nwidths: 20",
    )
    assert [(name, profile.palette) for name, profile in plan.encodings] == [
        ("plain seed", " ▓█"),
        ("plain  .:#", " .:#"),
        ("dotted", " .#"),
    ]
    assert plan.encodings[2][1].threshold == "otsu"
    assert plan.cells()[0].width == 20


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tokens: [32]", "encodings"),
        ("encodings: [plain]", "give tokens or widths"),
        ("encodings: [plain]\ntokens: [8]\nwidths: [8]", "give tokens or widths"),
        ("encodings: [plain]\ntokens: [0]", "tokens holds 0; give whole numbers from 1"),
        (
            "encodings: [plain]\ntokens: [8]\nseeds: [-1]",
            "seeds holds -1; give whole numbers from 0",
        ),
        ("encodings: [plain, plain]\ntokens: [8]", "plain-8tokens-8192-seed0 comes twice"),
        ("encodings: [{name: x}]\ntokens: [8]", "names no format; give one"),
        ("encodings: [{format: plain, width: 9}]\ntokens: [8]", "width is chosen by"),
        ("encodings: [{format: plain, wide: 9}]\ntokens: [8]", "plain: .*wide"),
        ("encodings: [morse]\ntokens: [8]", "morse: format is 'morse'; give one of"),
        ("encodings: [braille]\npalettes: [seed]\ntokens: [8]", "braille: carries 2 levels"),
        ("encodings: [plain]\ntokens: [8]\nspeed: 3", "a plan has no speed"),
        ("encodings: [plain]\ntokens: [8]\nvalidation: 0", "validation is 0; give a whole number"),
        ("encodings: [plain]\ntokens: [8]\nmodel: 3", "model is 3; give text"),
        ("encodings: [plain]\ntokens: [8]\ntrain: {epochs: 2}", "epochs is decided by records"),
        ("- a list", "give settings by name"),
    ],
)
def test_a_wrong_plan_is_named_with_the_fix(tmp_path, text, complaint):
    with pytest.raises((ModelError, FormatError), match=complaint) as error:
        plan_of(tmp_path, text)
    assert "plan.yaml" in str(error.value)


def result(encoding, tokens, accuracy, seed=0, records=64, budget=32):
    return {
        **{"encoding": encoding, "tokens": tokens, "accuracy": accuracy, "seed": seed},
        **{"records": records, "budget": budget, "rows": 5, "columns": 10, "nats": 0.5, "n": 200},
        "profile": {"width": 10},
    }


def test_the_table_has_means_over_seeds_with_wilson_intervals_and_the_plot_draws_them():
    results = [
        *(result("dear", 60, 0.7), result("best", 90, 0.95)),
        *(result("good", 30, 0.8, 0), result("good", 30, 0.9, 1)),
        result("dear", 60, 0.7, records=32),
        {"encoding": "none", "budget": 3, "left_out": "too dear"},
    ]
    lines = [line.split(" | ") for line in table(results).splitlines()[2:]]
    assert [(line[0], line[4]) for line in lines] == [
        ("| dear", "32"),
        ("| good", "64"),
        ("| dear", "64"),
        ("| best", "64"),
    ]
    good = lines[1]
    assert good[2:6] == ["10x5", "30.0", "64", "85.00 %"]
    assert good[6:] == ["79.39-89.29", "80.00-90.00 (n = 2)", "0.500 |"]  # Wilson's of 170 of 200
    drawn = plot(results)
    assert drawn.startswith("<svg")
    assert drawn == plot(results)


@pytest.mark.slow
def test_a_sweep_measures_goes_on_and_keeps_to_its_plan(tmp_path):
    text = "encodings: [plain, quadrant]\ntokens: [24]\nrecords: [16]\nvalidation: 40\n"
    plan, out = plan_of(tmp_path, text), tmp_path / "out"
    results = run_sweep(plan, "bundled", out, quiet=True)
    assert [r["encoding"] for r in results] == ["plain", "quadrant"]
    for found in results:
        assert found["n"] == 40
        assert 0 <= found["accuracy"] <= 1
        assert found["interval"][0] <= found["accuracy"] <= found["interval"][1]
        assert 1 < found["tokens"] <= 26  # other pictures than those the grid was chosen by
        assert found["records"] == 16
    assert results[1]["rows"] % 2 == 0 == results[1]["columns"] % 2
    assert not list(out.glob("cells/*/run"))
    lines = (out / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == results

    clocks = {"seconds", "training_seconds"}
    (out / "results.jsonl").write_text(lines[0] + "\n" + lines[1][:50], encoding="utf-8")
    again = run_sweep(plan, "bundled", out, quiet=True)
    assert again[0] == results[0]
    assert [{k: v for k, v in r.items() if k not in clocks} for r in again] == [
        {k: v for k, v in r.items() if k not in clocks} for r in results
    ]

    assert "| plain" in write_findings(results, out)
    assert (out / "accuracy.svg").read_text().startswith("<svg")
    with pytest.raises(GlyphsightError, match=r"written with validation 40, now 30; choose ano"):
        run_sweep(replace(plan, validation=30), "bundled", out, quiet=True)
    other = "encodings: [{format: plain, palette: ' .#'}, quadrant]\ntokens: [24]\n"
    with pytest.raises(ModelError, match="give the encoding another name"):
        run_sweep(
            plan_of(tmp_path, other + "records: [16]\nvalidation: 40"), "bundled", out, quiet=True
        )
    dear = "encodings: [seed]\ntokens: [3]\nrecords: [16]\nvalidation: 40"
    [gap] = run_sweep(plan_of(tmp_path, dear), "bundled", out, quiet=True)
    assert "one column of format seed costs" in gap["left_out"]
    assert "Left out: seed, 3 tokens: one column" in write_findings([*results, gap], out)
    much = "encodings: [plain]\ntokens: [24]\nrecords: [30000]\nvalidation: 40"
    with pytest.raises(ModelError, match="bundled: holds 20000 training pictures, not 30000"):
        run_sweep(plan_of(tmp_path, much), "bundled", out, quiet=True)
    # Results of other plans stay: those of the first are there without a run.
    assert run_sweep(plan, "bundled", out, quiet=True) == again
    kept = [json.loads(line) for line in (out / "results.jsonl").read_text("utf-8").splitlines()]
    assert kept == [*again, gap]
    (out / "results.jsonl").write_text("{}\n")
    with pytest.raises(ModelError, match=r"results\.jsonl: line 1: damaged"):
        run_sweep(plan, "bundled", out, quiet=True)


DOCS = Path(__file__).parents[2] / "docs"
PUBLISHED_SWEEPS = sorted((DOCS / "encodings").glob("*.jsonl"))


@pytest.mark.parametrize("path", PUBLISHED_SWEEPS, ids=lambda path: path.stem)
def test_the_documentation_shows_what_was_measured_by_the_committed_plan(path):
    results = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    plan = read_plan(DOCS.parent / "sweeps" / f"{path.stem}.yaml")
    wanted = {(c.name, c.tokens, c.width, c.records, c.seed) for c in plan.cells()}
    found = {
        (
            r["encoding"],
            r["budget"],
            None if r["budget"] else r["profile"]["width"],
            r["records"],
            r["seed"],
        )
        for r in results
    }
    assert found == wanted
    assert table(results) in (DOCS / "encodings.md").read_text(encoding="utf-8")


def test_there_is_a_published_sweep():
    assert {path.stem for path in PUBLISHED_SWEEPS} >= {"encodings"}
