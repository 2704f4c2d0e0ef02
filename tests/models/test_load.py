import json

import pytest

from glyphsight.errors import ModelError
from glyphsight.models import RunRecord, load_model


def test_a_name_that_is_no_model_is_said_in_one_line(tmp_path):
    with pytest.raises(ModelError, match="cannot be loaded as a causal language model") as caught:
        load_model(str(tmp_path / "nothing"))
    assert "\n" not in str(caught.value)


def test_an_unfinished_run_is_named_as_such(tmp_path):
    RunRecord(base="nano", seed=0, labels=["1"]).save(tmp_path)
    with pytest.raises(ModelError, match="has not finished"):
        load_model(str(tmp_path))


def test_a_run_record_comes_back_as_it_was_saved(tmp_path):
    record = RunRecord(base="nano", seed=4, labels=["a", "b"], training={"steps": 3})
    record.save(tmp_path)
    assert RunRecord.load(tmp_path) == record


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"base": "nano"})])
def test_a_damaged_run_record_is_named(tmp_path, text):
    (tmp_path / "glyphsight.json").write_text(text)
    with pytest.raises(ModelError, match=r"glyphsight\.json: damaged"):
        RunRecord.load(tmp_path)
