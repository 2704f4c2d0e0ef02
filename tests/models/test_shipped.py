import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import glyphsight
from asking import see
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.models import load_model
from glyphsight.models.load import without_peft_warning
from glyphsight.models.runs import SHIPPED_RUNS, UNKNOWN
from glyphsight.models.smollm2 import ensure_smollm2

ANGLES = np.arange(10) * np.pi / 5  # of a star's points
LIMIT = 31_000_000  # bytes that all models in the package may take together


def test_the_models_that_ship_are_small():
    for run in SHIPPED_RUNS.values():
        assert (run / "README.md").is_file()
    assets = SHIPPED_RUNS["nano-digits"].parent
    assert 0 < sum(path.stat().st_size for path in assets.rglob("*.safetensors")) < LIMIT


@pytest.mark.slow
def test_the_nano_that_ships_reads_digits():
    result = evaluate(
        "nano-digits",
        "bundled",
        EvaluateSettings(limit=500, generate=100, zero_shot=50),
        quiet=True,
    )
    assert result.score.accuracy >= 0.97
    assert result.generation is not None
    assert result.generation.accuracy >= 0.95
    assert result.zero_shot is not None
    assert result.zero_shot.accuracy < 0.4  # the base of a run is what it was before


@pytest.mark.slow
def test_the_nano_that_ships_for_clothes_answers_by_name():
    loaded = load_model("nano-fashion")
    assert not loaded.run.profile.centre
    assert len(loaded.run.tasks[0].names) == 10
    assert loaded.run.labels == [*map(str, range(10)), UNKNOWN]
    bar = np.zeros((28, 28), dtype=np.uint8)
    bar[2:27, 8:20] = 200
    bar[12:27, 13:15] = 0
    assert see(bar, loaded).name == "trousers"
    assert not any(see(sign(letter), loaded).known for letter in "AMR")


def sign(letter):
    """A letter, dark on light, 60 pixels high."""
    drawn = Image.new("L", (80, 80), 235)
    ImageDraw.Draw(drawn).text((20, 8), letter, 40, ImageFont.load_default(60))
    return np.asarray(drawn)


@pytest.mark.slow
def test_the_nano_that_names_needs_not_be_told_the_kind():
    star = Image.new("L", (90, 90), 255)
    points = [
        (45 + r * np.sin(a), 45 - r * np.cos(a)) for r, a in zip([40, 16] * 5, ANGLES, strict=True)
    ]
    ImageDraw.Draw(star).polygon(points, 20)
    asked = [sign("R"), sign("4"), np.asarray(star)]
    assert [one.label for one in glyphsight.see(asked, "nano-names")] == ["R", "4", "star"]


@pytest.mark.slow
def test_the_nano_that_ships_says_when_it_does_not_know():
    strange = [sign("A"), sign("M"), sign("W"), np.full((60, 60), 230, np.uint8)]
    assert not any(one.known for one in glyphsight.see(strange, "nano-digits"))
    assert [one.label for one in glyphsight.see([sign("3"), sign("5")], "nano-digits")] == [
        "3",
        "5",
    ]


@pytest.mark.slow
def test_the_adapter_that_ships_reads_digits_and_is_asked_unless_another_is_named(golden):
    result = evaluate(
        "sight", "bundled", EvaluateSettings(limit=100, generate=10, zero_shot=10), quiet=True
    )
    assert result.score.accuracy >= 0.92
    assert result.generation is not None
    assert result.generation.accuracy >= 0.8
    assert glyphsight.see(golden / "five.png").label == "5"


@pytest.mark.slow
def test_the_adapter_that_ships_needs_peft_alone(golden, monkeypatch, capsys):
    page = Path(__file__).parents[2] / "docs" / "other-runtimes.md"
    [code] = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    hub = "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert code.count(hub) == 1
    monkeypatch.chdir(golden)
    with without_peft_warning():
        exec(code.replace(hub, str(ensure_smollm2())), {})
    assert capsys.readouterr().out == " 5\n"


@pytest.mark.slow
def test_a_nano_to_be_trained_is_made_from_scratch(golden):
    for training in (False, True):
        assert load_model("nano", training=training).run is None
    assert see(golden / "five.png", load_model("nano-digits")).label == "5"
