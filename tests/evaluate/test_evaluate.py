import json
import re

import pytest
from PIL import Image

from glyphsight.errors import ModelError
from glyphsight.evaluate import evaluate, see
from glyphsight.evaluate.record import record_evaluation
from glyphsight.models import load_model
from glyphsight.sources import open_source

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def evaluation(nano_run, digits):
    return evaluate(str(nano_run), str(digits), generate=20, zero_shot=20, quiet=True)


def test_the_figures_agree_with_the_samples(evaluation):
    right = sum(sample.answer == sample.truth for sample in evaluation.samples)
    assert evaluation.score.accuracy == right / evaluation.score.n
    assert sum(map(sum, evaluation.confusion)) == evaluation.score.n == len(evaluation.samples)
    assert evaluation.generation.n == evaluation.zero_shot.n == 20
    low, high = evaluation.score.interval
    assert low < evaluation.score.accuracy < high


def test_json_has_accuracy_count_and_interval_at_the_top(evaluation):
    document = json.loads(json.dumps(evaluation.as_json()))
    assert set(document) >= {"accuracy", "n", "interval", "majority", "zero_shot", "confusion"}


def test_a_source_gives_the_same_figures_as_the_dataset_built_from_it(nano_run, digits, evaluation):
    from_source = evaluate(str(nano_run), "bundled", limit=60, generate=0, zero_shot=0, quiet=True)
    assert from_source.score == evaluation.score


def test_the_report_is_one_file_that_loads_nothing(evaluation, nano_run, tmp_path):
    record_evaluation(evaluation, tmp_path, run=nano_run)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert f"{100 * evaluation.score.accuracy:.2f} %" in page
    assert "<svg" in page
    with Image.open(tmp_path / "confusion.png") as picture:
        assert picture.width > 300
    assert len((tmp_path / "samples.jsonl").read_text().splitlines()) == evaluation.score.n


def test_see_answers_a_picture_either_way_round(nano_run):
    loaded = load_model(str(nano_run))
    digit = open_source("bundled").load("validation").pixels[0]
    bright, dark = see(digit, loaded), see(255 - digit, loaded)
    assert not bright.inverted
    assert dark.inverted
    assert bright.ascii_image == dark.ascii_image
    assert sum(bright.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert bright.label == next(iter(bright.probabilities))


def test_see_needs_a_model_whose_labels_are_known():
    with pytest.raises(ModelError, match="not trained with glyphsight"):
        see(open_source("bundled").load("test").pixels[0], load_model("nano"))
