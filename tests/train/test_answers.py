"""New answers of a nano that is trained further: a token each, fitted before the first step."""

import json
from dataclasses import replace

import pytest

from glyphsight.dataset import load_dataset, write_records
from glyphsight.errors import ModelError
from glyphsight.inference import Model, Request
from glyphsight.models import RunRecord, load_model, nano
from glyphsight.models.load import as_base
from glyphsight.train.answers import add_answers
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


def test_a_trained_nano_learns_new_answers_without_a_step(digits, tmp_path):
    data, run = named(digits, tmp_path / "data", WORDS), tmp_path / "run"
    given = {"method": "answers"}
    report = train(data, "nano-digits", run, resolve_settings("nano", given, trained=True))
    assert (report.steps, report.records) == (0, 120)
    assert report.validation_accuracy > 0.85
    assert RunRecord.load(run).base_answers == (*sorted(WORDS),)
    loaded = load_model(run)
    words = [loaded.tokenizer(f" {word}", add_special_tokens=False) for word in WORDS]
    assert [len(one["input_ids"]) for one in words] == [1] * 10
    assert share_right(Model(loaded), data, WORDS) > 0.95
    first = load_dataset(data, "train")[0]
    [written] = Model(loaded).generate([Request.about(loaded.run.prompt, first.picture, WORDS)])
    assert written.strip() in WORDS  # and the end follows
    with as_base(loaded) as base:
        assert len(base.tokenizer) + 10 == len(loaded.tokenizer)


def test_its_run_learns_a_further_answer(digits, tmp_path):
    data, run = named(digits, tmp_path / "data", WORDS), tmp_path / "run"
    settings = {"batch_size": 16, "max_steps": 2, "learning_rate": 1e-5}
    train(data, "nano-digits", run, resolve_settings("nano", settings, trained=True), quiet=True)
    numbers = load_model(run).tokenizer.get_vocab()
    more = named(digits, tmp_path / "more", ["zilch", *WORDS[1:]])
    given = {"method": "answers"}
    train(more, run, tmp_path / "next", resolve_settings("nano", given, trained=True), quiet=True)
    found = Model(tmp_path / "next")
    assert found.trained.base_answers == (*sorted(WORDS), "zilch")
    assert numbers.items() < load_model(tmp_path / "next").tokenizer.get_vocab().items()
    assert share_right(found, more, found.trained.labels) > 0.9


def test_method_answers_says_where_it_cannot_be(digits, tmp_path):
    fit = resolve_settings("nano", {"method": "answers"}, trained=True)
    why = {"nano": "is no trained nano", "nano-digits": "has every answer of the data already"}
    for model, said in why.items():
        with pytest.raises(ModelError, match=f"{said}; start --from one that has not, such as"):
            train(digits, model, tmp_path / "run", fit, quiet=True)
    assert not (tmp_path / "run").exists()
    for steps in ({"epochs": 2}, {"minutes": 1}, {"max_steps": 5}):
        with pytest.raises(ModelError, match="takes no steps; leave epochs, minutes and max_steps"):
            resolve_settings("nano", {"method": "answers"} | steps)


def test_an_answer_that_is_a_token_or_too_long_gets_none():
    loaded = load_model("nano-digits")
    made_for = loaded.run.made_for
    found, kept = add_answers(loaded, made_for, ["7", "x" * 41, "two\nlines", ""])
    assert (found, kept) == (loaded, made_for)
    assert len(nano.make_tokenizer(made_for)) == len(loaded.tokenizer)
