import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from glyphsight.codec import Profile, encode_batch
from glyphsight.dataset import Record, write_records
from glyphsight.errors import DatasetError
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.evaluate.report import record_study
from glyphsight.evaluate.study import describe
from glyphsight.models import LoadedModel, load_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def evaluation(nano_run, digits):
    return evaluate(
        str(nano_run), str(digits), EvaluateSettings(generate=20, zero_shot=20), quiet=True
    )


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
    from_source = judge(str(nano_run), "bundled", limit=60)
    assert from_source.score == evaluation.score


def test_the_report_is_one_file_that_loads_nothing(evaluation, nano_run, tmp_path):
    record_study(describe(evaluation), tmp_path, run=nano_run)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert f"{100 * evaluation.score.accuracy:.2f} %" in page
    assert "<svg" in page
    with Image.open(tmp_path / "confusion.png") as picture:
        assert picture.width > 300
    assert len((tmp_path / "samples.jsonl").read_text().splitlines()) == evaluation.score.n


@pytest.fixture(scope="module")
def run(nano_run):
    return load_model(nano_run)


def judge(model, data, **options):
    settings = EvaluateSettings(**{"generate": 0, "zero_shot": 0} | options)
    return evaluate(model, str(data), settings, quiet=True)


def write(pictures, path, profile):
    texts = encode_batch(pictures.pixels, profile)
    pairs = zip(texts, pictures.labels, strict=True)
    write_records((Record(text, label, size=str(profile.width)) for text, label in pairs), path)
    return path


def test_a_limit_changes_no_candidate_answer_of_a_base_model(digits):
    few, all_digits = (judge(load_model("nano"), digits, limit=n) for n in (3, None))
    assert few.score.n == 3
    assert few.labels == all_digits.labels == [str(digit) for digit in range(10)]


def test_a_single_file_has_no_split(run, digits, evaluation, tmp_path):
    result = judge(run, digits / "test.json", split="nonsense")
    assert result.score == evaluation.score
    assert result.split is result.as_json()["split"] is None
    record_study(describe(result), tmp_path, run=None)
    assert "split" not in (tmp_path / "report.html").read_text("utf-8")
    assert evaluation.split == "test"


def test_a_file_without_records_is_named(run, tmp_path):
    (tmp_path / "none.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"none\.json holds no record"):
        judge(run, tmp_path / "none.json")


def test_figures_as_they_should_be_come_without_a_warning(evaluation):
    assert evaluation.warnings == evaluation.as_json()["warnings"] == []


def test_records_of_another_width_are_warned_of_in_json_and_report(run, validation, tmp_path):
    file = write(validation.take(np.arange(4)), tmp_path / "narrow.json", Profile(width=16))
    result = judge(run, file)
    [warning] = result.as_json()["warnings"]
    assert warning == (
        "4 of 4 records are not 20 columns wide, as the model was trained (record 1: 16)"
    )
    record_study(describe(result), tmp_path, run=None)
    assert warning in (tmp_path / "report.html").read_text("utf-8")


def test_records_in_other_glyphs_are_warned_of(run, validation, tmp_path):
    file = write(validation.take(np.arange(4)), tmp_path / "x.json", Profile(palette=".+#"))
    [warning] = judge(run, file).warnings
    assert warning.startswith(
        "4 of 4 records are not in the glyphs ' ▓█' that the model was trained on"
    )


@pytest.mark.parametrize("name", ["plain", "quadrant"])
def test_a_run_taught_another_format_is_not_warned_of_its_own(run, validation, tmp_path, name):
    profile = Profile(palette=" █", format=name)
    taught = replace(run, run=replace(run.run, profile=profile))
    file = write(validation.take(np.arange(4)), tmp_path / "own.json", profile)
    assert judge(taught, file).warnings == []


def test_the_records_it_was_trained_on_are_warned_of(run, digits):
    [warning] = judge(run, digits, split="train", limit=10).warnings
    assert warning.startswith(f"{digits}/train.json: the model was trained on these records")


def test_a_run_whose_base_is_gone_is_still_measured(run, digits, tmp_path):
    gone = str(tmp_path / "base")
    moved = LoadedModel(run.model, run.tokenizer, run.name, replace(run.run, base=gone))
    result = judge(moved, digits, limit=10, zero_shot=5)
    assert result.zero_shot is None
    [warning] = result.warnings
    assert warning.startswith(f"no figure from before its training: {gone}: cannot be loaded")


def test_speed_is_said_once(evaluation):
    speed = evaluation.score.n / evaluation.scoring_seconds
    assert evaluation.pictures_per_second == evaluation.as_json()["pictures_per_second"] == speed


def test_a_directory_that_is_no_run_tells_no_history(evaluation, nano_run, tmp_path):
    shutil.copy(nano_run / "history.jsonl", tmp_path)
    record_study(describe(evaluation), tmp_path / "out", run=None)
    assert "How it learned" not in (tmp_path / "out" / "report.html").read_text("utf-8")
