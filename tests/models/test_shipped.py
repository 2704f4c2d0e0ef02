import pytest

from glyphsight.evaluate import evaluate, see
from glyphsight.models import load_model
from glyphsight.models.load import SHIPPED

LIMIT = 16_000_000  # bytes that all models in the package may take together


def test_the_models_that_ship_are_small():
    sizes = [path.stat().st_size for path in SHIPPED.parent.rglob("*.safetensors")]
    assert 0 < sum(sizes) < LIMIT
    assert (SHIPPED / "README.md").is_file()


@pytest.mark.slow
def test_the_nano_that_ships_reads_digits():
    result = evaluate("nano", "bundled", limit=500, generate=100, zero_shot=50, quiet=True)
    assert result.score.accuracy >= 0.97
    assert result.generation is not None
    assert result.generation.accuracy >= 0.95
    assert result.zero_shot is not None
    assert result.zero_shot.accuracy < 0.4  # the base of a run is what it was before


@pytest.mark.slow
def test_a_nano_to_be_trained_is_made_from_scratch(golden):
    assert load_model("nano", training=True).run is None
    assert load_model("nano", untaught=True).run is None
    assert see(golden / "five.png", load_model("nano")).label == "5"
