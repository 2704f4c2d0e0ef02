"""The threshold of the label ``unknown``."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphsight.errors import ModelError
from glyphsight.inference import Model, Request
from glyphsight.inference.threshold import choose_threshold, margins
from glyphsight.models import RunRecord
from glyphsight.models.runs import RUN_FILE, Task

LOG_ODDS = st.lists(st.floats(-20, 12), max_size=60).map(np.array)


def caution(sure, refused):
    return RunRecord("nano", unknown_above=choose_threshold(sure, refused)).caution


@given(LOG_ODDS, st.floats(0, 1))
def test_no_more_are_refused_than_may_be_and_a_lower_threshold_refuses_more(sure, refused):
    may, found = max(1, int(refused * len(sure))), caution(sure, refused)
    assert np.sum(sure > found) <= may
    assert found >= -1e-9
    if found > 0.002:
        assert np.sum(sure >= found - 0.002) > may


def test_one_half_is_kept_where_few_are_refused_anyway():
    assert choose_threshold(np.full(100, -5.0)) == 0.5
    assert choose_threshold(np.array([])) == 0.5


def test_the_margin_of_unknown_is_against_the_likeliest_other():
    scores = np.array([[-1.0, -2.0, -4.0], [-3.0, -2.0, -0.5]], np.float32)
    assert margins(scores, ["1", "2", "unknown"]) == pytest.approx([-3.0, 1.5])


@pytest.mark.slow
def test_see_and_score_keep_to_the_threshold_of_the_record(nano_run, validation):
    from glyphsight.models import load_model

    loaded = load_model(nano_run)
    task = Task("", ("5", "unknown"))
    pixels = validation.pixels[0]

    def answer(threshold):
        run = replace(loaded.run, tasks=(task,), unknown_above=threshold)
        return Model(replace(loaded, run=run)).see([pixels])[0]

    half = answer(0.5).probabilities["unknown"]
    for threshold, known in ((half / 2, False), ((1 + half) / 2, True)):
        found = answer(threshold)
        assert found.known is known
        assert found.label == next(iter(found.probabilities))  # the likeliest, as ever
        odds = half / (1 - half) * (1 - threshold) / threshold
        assert found.probabilities["unknown"] == pytest.approx(odds / (1 + odds), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["numpy", "fast", "torch"])
def test_every_engine_keeps_to_it(nano_run, tmp_path, engine):
    for file in nano_run.glob("*.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    run = RunRecord.load(nano_run)
    asked = [
        Request.about(run.prompt, "<20>", ("5", "unknown")),
        Request.about(run.prompt, "<20>", ("5", "6")),
    ]
    before = Model(tmp_path, engine=engine).score(asked)
    replace(run, unknown_above=0.9).save(tmp_path)
    lowered, as_it_was = Model(tmp_path, engine=engine).score(asked)
    assert lowered - before[0] == pytest.approx([0, -np.log(9)], abs=1e-4)
    assert as_it_was == pytest.approx(before[1], abs=1e-4)


@pytest.mark.parametrize("threshold", [0, 1, "much"])
def test_a_threshold_that_cannot_be_is_named(tmp_path, threshold):
    replace(RunRecord("nano"), unknown_above=threshold).save(tmp_path)
    with pytest.raises(ModelError, match=RUN_FILE):
        RunRecord.load(tmp_path)


def test_a_record_without_a_threshold_has_one_half(tmp_path):
    import json

    RunRecord("nano").save(tmp_path)
    file = tmp_path / RUN_FILE
    value = json.loads(file.read_text())
    del value["unknown_above"]
    file.write_text(json.dumps(value))
    assert RunRecord.load(tmp_path).unknown_above == 0.5
