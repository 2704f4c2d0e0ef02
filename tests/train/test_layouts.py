"""A dataset teaches and judges the same in whatever layout it is."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from glyphsight.dataset import Prompt, load_dataset
from glyphsight.dataset.layouts import get_output, join
from glyphsight.errors import DatasetError, ModelError
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.models import load_model
from glyphsight.models.runs import read_history
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

GIVEN = {"max_steps": 2, "batch_size": 16, "evaluations": 1, "validation_records": 20}
OWN = Prompt("{ASCII_image}Which digit?", " It is {Response}.")
WORDINGS = [Prompt(), OWN]


def laid_out(digits, out, name, wordings):
    """The digits in another layout, their manifest with the wordings."""
    manifest = json.loads((digits / "manifest.json").read_text("utf-8"))
    manifest["wordings"] = [vars(wording) for wording in wordings]
    output = get_output(name)
    (out / "data").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        records = load_dataset(digits, split)
        cuts = [0, 25, len(records)] if output.sharded else [0, len(records)]
        for number, (start, stop) in enumerate(pairwise(cuts)):
            file = out / "data" / f"{split}-{number:05}-of-{len(cuts) - 1:05}{output.suffix}"
            with file.open("wb") as stream:
                output.write(records[start:stop], stream, wordings, start)
        if not output.sharded:
            with (out / f"{split}{output.suffix}").open("wb") as stream:
                join(output, [file], stream)
            file.unlink()
    (out / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jsonl", "chat", "hub"])
def test_training_and_judging_take_every_layout(digits, tmp_path, name):
    settings = resolve_settings("nano", GIVEN)
    same = laid_out(digits, tmp_path / "json", "json", WORDINGS)
    laid_out(digits, tmp_path / "data", name, WORDINGS)
    run, data = tmp_path / "run", str(tmp_path / "data")
    train(tmp_path / "data", "nano", run, settings, quiet=True)
    asked = EvaluateSettings(generate=0, zero_shot=0)
    found = evaluate(run, data, asked, quiet=True)
    published = evaluate(run, str(same), asked, quiet=True)
    assert found.samples == published.samples
    assert found.score.n == 60
    assert found.warnings == []
    seen = evaluate(run, data, replace(asked, split="train"), quiet=True)
    assert "was trained on these records" in seen.warnings[0]
    train(same, "nano", tmp_path / "again", settings, quiet=True)
    train(digits, "nano", tmp_path / "plain", settings, quiet=True)
    first, again, plain = (
        next(x["loss"] for x in read_history(tmp_path / name / "history.jsonl") if "loss" in x)
        for name in ("run", "again", "plain")
    )
    assert first == again
    assert first != plain  # where the second wording is trained too


@pytest.mark.slow
def test_the_wording_of_the_dataset_is_taught_and_other_data_are_refused(digits, tmp_path):
    data = laid_out(digits, tmp_path / "data", "hub", [OWN])
    settings = resolve_settings("nano", GIVEN)
    train(data, "nano", tmp_path / "run", settings, quiet=True)
    assert load_model(str(tmp_path / "run")).run.prompt == OWN
    last = data / "data" / "train-00001-of-00002.parquet"
    with last.open("wb") as stream:
        get_output("hub").write(load_dataset(digits)[25:60], stream, [OWN], 25)
    (tmp_path / "run" / "glyphsight.json").unlink()  # as if it had been interrupted
    with pytest.raises(ModelError, match="was started with another data"):
        train(data, "nano", tmp_path / "run", settings, resume=True, quiet=True)
    (data / "manifest.json").write_text('{"profile": {"columns": 20}}', "utf-8")
    with pytest.raises(DatasetError, match=r"profile in its manifest: damaged .*columns"):
        train(data, "nano", tmp_path / "other", settings, quiet=True)
