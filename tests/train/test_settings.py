import json

import pytest
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.cli.train import _start
from glyphsight.errors import ModelError
from glyphsight.settings import read_assignments
from glyphsight.train.settings import (
    TrainSettings,
    resolve_settings,
    saved_settings,
)


def test_a_given_value_beats_the_models_own_which_beats_the_default():
    resolved = resolve_settings("nano", {"batch_size": 7, "seed": None})
    assert resolved.values.batch_size == 7
    assert resolved.origin["batch_size"] == "given"
    assert resolved.origin["learning_rate"] == "model"
    assert resolved.origin["seed"] == "default"


def test_an_adapter_has_a_rate_of_its_own():
    resolved = resolve_settings("smollm2-135m", {"method": "lora"})
    assert resolved.origin["learning_rate"] == "model"
    assert resolved.values.learning_rate > resolve_settings("smollm2-135m", {}).values.learning_rate
    given = resolve_settings("smollm2-135m", {"method": "lora", "learning_rate": 1e-5})
    assert given.values.learning_rate == 1e-5


def test_values_and_origin_are_saved(tmp_path):
    resolve_settings("smollm2-135m", {"epochs": 2.0}).save(tmp_path / "settings.json")
    table = json.loads((tmp_path / "settings.json").read_text())
    assert table["epochs"] == {"value": 2.0, "origin": "given"}
    assert TrainSettings(**saved_settings(tmp_path / "settings.json")).epochs == 2.0


def test_the_help_has_every_setting_with_the_defaults_of_models():
    text = " ".join(CliRunner().invoke(app, ["train", "--help"]).stdout.split())
    for name in TrainSettings.__dataclass_fields__:
        assert f"--{name.replace('_', '-')} " in text
    assert "default: 0.0003; nano: 0.002; smollm2-135m: 0.0002; smollm2-135m as adapter" in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [("epochs", "NAME=VALUE"), ("speed=9", "NAME of"), ("batch_size=many", "give a whole number")],
)
def test_a_wrong_assignment_says_what_is_wrong(text, reason):
    with pytest.raises(ModelError, match=reason):
        read_assignments(TrainSettings, [text], ModelError)


@pytest.mark.parametrize(
    "setting",
    [
        {"seed": -1},
        {"label_smoothing": 2.0},
        {"epochs": float("nan")},
        {"warmup": -0.1},
        {"clip": -1.0},
        {"max_steps": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
    ],
)
def test_a_value_out_of_range_is_refused_by_name(setting):
    with pytest.raises(ModelError, match=f"{next(iter(setting))} is "):
        TrainSettings(**setting)


def test_a_value_no_setting_takes_is_refused():
    with pytest.raises(ModelError, match="one of full, lora, qlora"):
        TrainSettings(method="rlora")


def test_embeddings_stay_where_a_run_is_trained_further_but_learn_to_draw():
    for draws, rate in ((False, 0.0), (True, 1.0)):
        _, resolved = _start("nano-digits", {}, is_run=True, draws=draws)
        assert resolved.values.embedding_rate == rate


def test_yaml_s_on_is_told_to_be_put_in_quotes():
    with pytest.raises(ModelError, match=r"compile is True; YAML reads on.*quotes.*auto, on, off"):
        resolve_settings("nano", {"compile": True})
