"""New answers of a nano that is trained further: a token each, fitted before the first step."""

import json
from dataclasses import replace

import pytest

from glyphsight.dataset import load_dataset, write_records
from glyphsight.inference import Model, Request
from glyphsight.models import RunRecord, load_model, nano
from glyphsight.models.load import as_base
from glyphsight.train.answers import add_answers
from glyphsight.train.job import make_job
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

pytestmark = pytest.mark.slow
WORDS = [
    "nought",
    "ace",
    "pair",
    "trio",
    "boat",
    "hand",
    "half-dozen",
    "luck",
    "octet",
    "cloud nine",
]


def named(digits, path, names):
    """Rename the digits of a dataset."""
    for split in ("train", "validation"):
        records = [
            replace(one, answer=names[int(one.answer)]) for one in load_dataset(digits, split)
        ]
        write_records(records, path / f"{split}.json")
    profile = json.loads((digits / "manifest.json").read_text())["profile"]
    (path / "manifest.json").write_text(json.dumps({"profile": profile}))
    return path


def share_right(model, data, labels):
    records = load_dataset(data, "train")
    asked = [Request.about(model.trained.prompt, one.picture, labels) for one in records]
    scores = model.score(asked)
    return sum(
        labels[max(range(len(labels)), key=one.__getitem__)] == record.answer
        for one, record in zip(scores, records, strict=True)
    ) / len(records)


def test_a_trained_nano_knows_new_answers_before_the_first_step(digits, tmp_path):
    data = named(digits, tmp_path / "data", WORDS)
    job = make_job([data], "nano-digits", resolve_settings("nano", {}, trained=True).values)
    words = [job.loaded.tokenizer(f" {word}", add_special_tokens=False) for word in WORDS]
    assert [len(one["input_ids"]) for one in words] == [1] * 10
    model = Model(replace(job.loaded, run=job.record))
    assert share_right(model, data, WORDS) > 0.95
    [written] = model.generate([Request.about(job.record.prompt, job.validation[0].picture, WORDS)])
    assert written.strip() in WORDS  # and the end follows


def test_its_run_is_saved_and_learns_a_further_answer(digits, tmp_path):
    data, run = named(digits, tmp_path / "data", WORDS), tmp_path / "run"
    settings = {"batch_size": 16, "max_steps": 2, "learning_rate": 1e-5}
    train(data, "nano-digits", run, resolve_settings("nano", settings, trained=True), quiet=True)
    record = RunRecord.load(run)
    assert record.base_answers == (*sorted(WORDS),)
    loaded = load_model(run)
    assert share_right(Model(loaded), data, sorted(WORDS)) > 0.95
    with as_base(loaded) as base:
        assert len(base.tokenizer) < len(loaded.tokenizer)
    zero = load_model(run).tokenizer.get_vocab()
    more = named(digits, tmp_path / "more", ["zilch", *WORDS[1:]])
    job = make_job([more], run, resolve_settings("nano", {}, trained=True).values)
    assert job.record.base_answers == (*sorted(WORDS), "zilch")
    assert zero.items() < job.loaded.tokenizer.get_vocab().items()
    assert (
        share_right(Model(replace(job.loaded, run=job.record)), more, list(job.record.labels)) > 0.9
    )


def test_an_answer_that_is_a_token_or_too_long_gets_none():
    loaded = load_model("nano-digits")
    made_for = loaded.run.made_for
    found, kept = add_answers(loaded, made_for, ["7", "x" * 41, "two\nlines", ""])
    assert (found, kept) == (loaded, made_for)
    assert len(nano.make_tokenizer(made_for)) == len(loaded.tokenizer)
