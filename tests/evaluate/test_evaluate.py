import json
import re
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image

from glyphsight.codec import Profile, encode_batch
from glyphsight.dataset import BuildSettings, Record, build_dataset, write_records
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


def test_a_few_records_of_another_width_or_glyphs_are_warned_of_in_json_and_report(
    run, validation, tmp_path
):
    files = [
        write(validation.take(np.arange(n)), tmp_path / f"{n}.json", profile)
        for n, profile in enumerate((Profile(width=16), Profile(palette=".+#"), Profile()), start=1)
    ]
    records = [record for file in files for record in json.loads(file.read_text())]
    (tmp_path / "mixed.json").write_text(json.dumps(records + records[-3:]))
    result = judge(run, tmp_path / "mixed.json")
    width, glyphs = result.as_json()["warnings"]
    assert width.startswith("1 of 9 records are not 20 columns wide, as the model was trained (")
    assert "mixed.json: record 1: 16)" in width
    assert glyphs.startswith("2 of 9 records are not in the glyphs ' ▓█', as the model was trained")
    record_study(describe(result), tmp_path, run=None)
    assert width in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (Profile(width=16), "columns wide.*record 1: 16.*reads format 'seed', width 20"),
        (Profile(palette=".+#"), "are not in the glyphs.*reads format 'seed', width 20"),
        (Profile(format="plain"), "are not in the glyphs.*reads format 'seed', width 20"),
    ],
)
def test_a_file_in_another_profile_is_refused_with_the_fix(
    run, validation, tmp_path, profile, said
):
    file = write(validation.take(np.arange(4)), tmp_path / "other.json", profile)
    with pytest.raises(DatasetError, match=rf"other\.json: .*{said}.*glyphsight dataset build"):
        judge(run, file)


@pytest.mark.parametrize(
    "changed", [{"width": 16}, {"format": "plain"}, {"palette": ".+#"}, {"height": 20}]
)
def test_a_dataset_in_another_profile_is_refused_with_both_and_the_fix(run, tmp_path, changed):
    build_dataset(
        "bundled", tmp_path, BuildSettings(profile=Profile(**changed), limit=20), quiet=True
    )
    [(name, value)] = changed.items()
    with pytest.raises(DatasetError) as refused:
        judge(run, tmp_path)
    of, reads = str(refused.value).split("; the model reads ")
    assert f"{name} {value!r}" in of
    assert f"{name} {getattr(Profile(), name)!r}" in reads
    assert "take --data bundled" in reads
    assert "glyphsight dataset build --source bundled --out DIR --invert auto --centre" in reads


@pytest.mark.parametrize(("polarity", "refused"), [("no", True), ("yes", False)])
def test_dark_digits_on_light_are_refused_where_the_model_turns_them(
    run, validation, tmp_path, polarity, refused
):
    pictures = replace(validation.take(np.arange(4)), pixels=255 - validation.pixels[:4])
    profile = replace(run.run.profile, invert=polarity)
    file = write(pictures, tmp_path / "test.json", profile)
    (tmp_path / "manifest.json").write_text(json.dumps({"profile": asdict(profile)}))
    if refused:
        with pytest.raises(DatasetError, match=r"is of .*invert 'no'.*--invert auto"):
            judge(run, file)
    else:
        [warning] = judge(run, file).warnings
        assert warning == "invert of the data is 'yes', the model learned with 'auto'"


@pytest.mark.parametrize("name", ["plain", "quadrant"])
def test_a_run_taught_another_format_is_not_warned_of_its_own(run, validation, tmp_path, name):
    profile = Profile(palette=" █", format=name)
    taught = replace(run, run=replace(run.run, profile=profile))
    file = write(validation.take(np.arange(4)), tmp_path / "own.json", profile)
    assert judge(taught, file).warnings == []


def test_data_without_a_label_of_the_model_is_warned_of(run, validation, tmp_path):
    file = tmp_path / "other.json"
    texts = encode_batch(validation.pixels[:4])
    write_records([Record((text,), "cat") for text in texts], file)
    warnings = judge(run, file).warnings
    assert any("'cat'" in one and "label that the model was trained on" in one for one in warnings)


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
