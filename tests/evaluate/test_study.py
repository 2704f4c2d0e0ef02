"""What a study adds to an evaluation."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from outcomes import answers, evaluation, some_digits

from glyphsight.codec import PUBLISHED
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.errors import DatasetError
from glyphsight.evaluate.baselines import Baseline
from glyphsight.evaluate.result import Share
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.statistics import calibrate
from glyphsight.evaluate.study import (
    SHOWN,
    describe,
    pictures_at,
    run_study,
    with_attributions,
    with_baselines,
)
from glyphsight.evaluate.tasks import open_task
from glyphsight.models import load_model
from glyphsight.sampling import stratified_sample as sample


@pytest.fixture(scope="module")
def made(validation):
    texts, truth = some_digits(validation, 200)
    said = answers(truth, set(range(0, 200, 5)), sorted(set(truth)))
    return evaluation(texts, truth, said, generated=[*said[:10], "I cannot see", "?!", *said[12:]])


def test_the_surest_mistakes_are_kept_and_no_more_than_a_dozen(made):
    found = describe(made)
    wrong = [one for one in made.samples if one.answer != one.truth]
    assert len(wrong) == 40
    assert found.mistakes == sorted(wrong, key=lambda one: -one.probability)[:SHOWN]


def test_one_sample_of_each_label_is_shown(made):
    shown = describe(made).shown
    assert [first.truth for first in shown] == made.labels
    for first in shown:
        assert first == next(one for one in made.samples if one.truth == first.truth)


def test_calibration_and_replies_are_those_of_the_samples(made):
    found = describe(made)
    right = [one.answer == one.truth for one in made.samples]
    expected = calibrate([one.probability for one in made.samples], right)
    assert found.calibration.error == pytest.approx(expected.error, abs=1e-6)
    counts = found.replies
    assert (counts.refused, counts.malformed) == (1, 1)
    assert counts.right + counts.wrong == 198


def test_the_selection_knows_other_answers_and_another_order(made):
    def labels(samples):
        return describe(replace(made, samples=samples)).selection.labels_sha256

    samples = list(made.samples)
    other = replace(samples[0], truth=samples[0].truth + "x")
    assert labels(samples) == labels(list(samples)) == describe(made).selection.labels_sha256
    assert len({labels(samples), labels(samples[::-1]), labels([other, *samples[1:]])}) == 3


def test_tokens_are_those_of_the_texts(made):
    assert 150 < describe(made).tokens["smollm2-135m"] < 231


def test_the_ceiling_is_the_best_baseline_and_may_be_passed(made):
    low, high = (
        Baseline(name, "", Share.of(n, 200), 1, 9, False, []) for name, n in (("a", 60), ("b", 120))
    )
    found = replace(describe(made), baselines=[high, low])
    document = found.as_json()
    assert document["ceiling"]["name"] == "b"
    assert document["ceiling"]["of_ceiling"] == pytest.approx((160 / 200) / (120 / 200))
    assert [one["of"] for one in document["baselines"]] == pytest.approx([4 / 3, 8 / 3])
    assert document["accuracy"] == made.score.accuracy
    assert document["n"] == 200
    assert json.loads(json.dumps(document))["calibration"]["bins"][-1]["high"] == 1


@pytest.mark.parametrize("limit", [None, 100])
def test_the_pictures_of_a_source_are_those_that_were_judged(validation, limit):
    """The places of judged records, under a limit too, find their pictures again."""
    whole = np.arange(len(validation)) if limit is None else sample(validation.labels, limit, 3)
    task = open_task("bundled", None, EvaluateSettings("validation", limit, 3))
    chosen = np.array([0, 7, 50, len(whole) - 1])
    rows = np.array(task.rows)[chosen] if task.rows else chosen
    found = pictures_at("bundled", "validation", rows)
    assert [name for batch in found for name in batch.ids] == validation.take(whole[chosen]).ids


@pytest.mark.slow
def test_two_builds_of_the_same_pictures_are_known_by_their_lists(nano_run, digits, tmp_path):
    settings = EvaluateSettings(limit=2, generate=0, zero_shot=0)

    def items(data, split):
        study = run_study(str(nano_run), str(data), replace(settings, split=split), quiet=True)
        return study.selection.items_sha256

    other = replace(PUBLISHED, filter="box")
    for place, output in ((tmp_path / "a", "jsonl"), (tmp_path / "b", "parquet")):
        build_dataset(
            "bundled", place, BuildSettings(limit=60, output=output, profile=other), quiet=True
        )
    known = items(digits, "test")
    assert known == items(tmp_path / "a", "test")
    assert known == items(tmp_path / "a" / "test.jsonl", "")
    assert known != items(digits, "validation")
    assert items(tmp_path / "b", "test") is None
    assert items("bundled", "test") is None


# Baselines


def judge(data, split, count=None):
    """All right answers to records of a dataset, and their task."""
    task = open_task(str(data), None, EvaluateSettings(split=split or ""))
    truth = task.truth[:count]
    texts = [item.ascii_image for item in task.items[:count]]
    return describe(evaluation(texts, truth, truth, data=str(data), split=split)), task


def and_baselines(judged, train_data=None, **options):
    settings = EvaluateSettings(train_data=train_data)
    return with_baselines(*judged, settings, names=("majority", "knn"), quiet=True, **options)


def test_with_a_limit_baselines_learn_from_few_records_and_say_so(digits):
    settings = EvaluateSettings(limit=2)
    found = with_baselines(*judge(digits, "test"), settings, names=("majority",), quiet=True)
    assert found.baselines[0].trained_on == 40
    assert "with --limit baselines learn from 40 records at most" in found.notes


def test_baselines_do_not_learn_from_the_files_that_are_judged(digits):
    for data, split, train_data in (
        (digits, "train", None),
        (digits, "train", str(digits)),
        (digits / "train.json", None, str(digits)),
        (digits, "test", str(digits / "test.json")),
    ):
        with pytest.raises(DatasetError, match="holds the records that are judged; give other"):
            and_baselines(judge(data, split), train_data)


def test_baselines_do_not_learn_from_a_copy_of_what_is_judged(digits, tmp_path):
    copied = shutil.copy(digits / "test.json", tmp_path / "copied.json")
    with pytest.raises(DatasetError, match=r"60 of the 60 records have text and answer of one in"):
        and_baselines(judge(digits, "test"), str(copied))


def test_how_many_judged_records_are_learnt_from_is_said(digits, tmp_path):
    train = json.loads((digits / "train.json").read_text("utf-8"))
    test = json.loads((digits / "test.json").read_text("utf-8"))
    mixed = tmp_path / "mixed.json"
    mixed.write_text(json.dumps([*train, *test[:7]]), "utf-8")
    found = and_baselines(judge(digits, "test"), str(mixed))
    assert found.notes == [
        f"7 of the 60 records have text and answer of one in {mixed}, from which baselines learn: "
        "the same pictures, or others that look alike in so few cells"
    ]
    assert len(found.baselines) == 2
    assert and_baselines(judge(digits, "test")).notes == []


def test_baselines_are_asked_a_part_of_many_records(digits):
    measured, task = judge(digits, "test")
    found = and_baselines((measured, task), most=20)
    assert found.notes == [
        "baselines were asked 20 of the 60 records, stratified, seed 0; the model is compared with "
        "them on these"
    ]
    truth = [one.truth for one in measured.evaluation.samples]
    part = [truth[row] for row in sample(truth, 20, 0)]
    for one in found.baselines:
        right = np.mean([a == b for a, b in zip(one.answers, part, strict=True)])
        assert (one.share.n, found.against[one.name].n) == (20, 20)
        assert one.share.accuracy == right
        assert found.of_ceiling(one) == pytest.approx(1 / right)


# Attributions


@pytest.mark.slow
def test_a_sample_that_cannot_be_attributed_leaves_the_others(digits):
    measured, _ = judge(digits, "test", 20)
    good, other, torn = measured.shown[:3]
    wrong = [replace(other, answer="seven"), replace(torn, ascii_image="torn", answer="8")]
    found = with_attributions(
        replace(measured, shown=[good], mistakes=wrong), load_model("nano-digits"), quiet=True
    )
    assert [(one.truth, how.method, how.label) for one, how in found.attributions] == [
        (good.truth, "occlusion", good.truth),
        (good.truth, "gradient", good.truth),
        (other.truth, "occlusion", other.truth),
    ]
    strange, again, unread, _ = found.notes
    assert strange.startswith("occlusion left out: label 'seven' is none of the model's")
    assert again.startswith("gradient left out: label 'seven' is none of the model's")
    assert unread.startswith("occlusion left out: ")


@pytest.mark.slow
def test_the_full_study_of_a_run(nano_run, digits):
    found = run_study(
        str(nano_run),
        str(digits),
        EvaluateSettings(full=True, generate=10, zero_shot=0),
        quiet=True,
    )
    assert found.notes == []
    assert {one.name for one in found.baselines} >= {"majority", "logistic", "svm"}
    truth = [one.truth for one in found.evaluation.samples]
    for one in found.baselines:
        right = np.array(one.answers) == np.array(truth)
        assert one.share.accuracy == right.mean()
        own = found.evaluation.score.accuracy
        assert found.against[one.name].difference == pytest.approx(own - right.mean())
    clean, *damaged = found.robustness
    assert clean.share == found.evaluation.score
    assert len(damaged) > 10
    assert {one.method for _, one in found.attributions} == {"occlusion", "gradient"}
    assert set(found.seconds) == {"evaluate", "baselines", "robustness", "attributions"}


@pytest.mark.slow
def test_what_a_single_file_cannot_give_is_said_and_the_rest_is_done(nano_run, digits):
    file = str(digits / "test.json")
    found = run_study(
        str(nano_run),
        file,
        EvaluateSettings(limit=10, full=True, generate=0, zero_shot=0),
        quiet=True,
    )
    [note] = found.notes
    assert note == (
        f"baselines left out: {file} is a single file; name other records to learn "
        "from with --train-data"
    )
    assert found.baselines == []
    assert found.robustness[0].name == "clean"
