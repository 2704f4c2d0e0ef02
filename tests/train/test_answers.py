"""New answers of a nano that is trained further: a token each, fitted before the first step."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glyphsight.dataset import BuildSettings, build_dataset, load_dataset, write_records
from glyphsight.errors import ModelError
from glyphsight.inference import Model, Request
from glyphsight.models import RunRecord, load_model, nano
from glyphsight.models.load import as_base
from glyphsight.models.runs import SHIPPED_RUNS
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
ANSWERS = resolve_settings("nano", {"method": "answers"}, trained=True)


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


@pytest.fixture(scope="module")
def as_names(tmp_path_factory):
    """The same digits as `nano-names` reads them."""
    path = tmp_path_factory.mktemp("as-names")
    profile = RunRecord.load(SHIPPED_RUNS["nano-names"]).profile
    build_dataset("bundled", path, BuildSettings(profile=profile, limit=60, copies=1), quiet=True)
    return path


def share_right(model, data, labels):
    records = load_dataset(data, "train")
    asked = [Request.about(model.trained.prompt, one.picture, labels) for one in records]
    scores = model.score(asked)
    return sum(
        labels[max(range(len(labels)), key=one.__getitem__)] == record.answer
        for one, record in zip(scores, records, strict=True)
    ) / len(records)


@pytest.mark.parametrize("start", ["nano-digits", "nano-names"])  # embeddings apart, and shared
def test_a_trained_nano_learns_new_answers_without_a_step(start, digits, as_names, tmp_path):
    own = digits if start == "nano-digits" else as_names
    data, run = named(own, tmp_path / "data", WORDS), tmp_path / "run"
    report = train(data, start, run, ANSWERS)
    assert (report.steps, report.records) == (0, 120)
    assert report.validation_accuracy > (0.85 if start == "nano-digits" else 0.6)
    loaded = load_model(run)
    before = load_model(start).run.base_answers
    assert loaded.run.base_answers == (*before, *(x for x in sorted(WORDS) if x not in before))
    words = [loaded.tokenizer(f" {word}", add_special_tokens=False) for word in WORDS]
    assert [len(one["input_ids"]) for one in words] == [1] * 10
    assert share_right(Model(loaded), data, WORDS) > 0.95
    asked = [
        Request.about(loaded.run.prompt, x.picture, WORDS) for x in load_dataset(data, "train")
    ]
    written = [one.strip() for one in Model(loaded).generate(asked[:20])]
    assert sum(one in WORDS for one in written) >= 18  # and the end follows
    with as_base(loaded) as base:
        assert len(base.tokenizer) < len(loaded.tokenizer)


def test_it_is_about_as_sure_as_it_is_right(as_names, tmp_path):
    data = named(as_names, tmp_path / "data", WORDS)
    train(data, "nano-names", tmp_path / "run", ANSWERS, quiet=True)
    model, records = Model(tmp_path / "run"), load_dataset(data, "validation")
    asked = [Request.about(model.trained.prompt, one.picture, WORDS) for one in records]
    scores = np.array(model.score(asked))
    chances = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    right = np.mean([WORDS[i] == x.answer for i, x in zip(scores.argmax(1), records, strict=True)])
    assert abs(chances.max(axis=1).mean() - right) < 0.12


def test_one_picture_of_each_is_enough_to_begin(digits, tmp_path):
    data = named(digits, tmp_path / "data", WORDS)
    first = {one.answer: one for one in reversed(load_dataset(data, "train"))}
    write_records(list(first.values()), data / "train.json")
    train(data, "nano-digits", tmp_path / "run", ANSWERS, quiet=True)
    assert share_right(Model(tmp_path / "run"), data, WORDS) == 1


def test_known_answers_keep_their_pictures_beside_new_ones(digits, tmp_path):
    half = [*"01234", *WORDS[5:]]
    data = named(digits, tmp_path / "data", half)
    train(data, "nano-digits", tmp_path / "run", ANSWERS, quiet=True)
    assert share_right(Model(tmp_path / "run"), data, half) > 0.95


def test_a_killed_run_is_fitted_again(digits, tmp_path):
    data, run = named(digits, tmp_path / "data", WORDS), tmp_path / "run"
    train(data, "nano-digits", run, ANSWERS, quiet=True)
    once = (run / "history.jsonl").read_text()
    (run / "glyphsight.json").unlink()
    (run / "history.jsonl").write_text(once + once[:20])
    report = train(data, "nano-digits", run, ANSWERS, quiet=True, resume=True)
    assert len((run / "history.jsonl").read_text().splitlines()) == 1
    assert report.validation_accuracy == json.loads(once)["validation_accuracy"]


def test_an_answer_of_the_validation_alone_stays_spelled(digits, tmp_path):
    data = named(digits, tmp_path / "data", list("0123456789"))
    records = load_dataset(data, "validation")
    write_records([replace(records[0], answer="odd one"), *records[1:]], data / "validation.json")
    settings = {"batch_size": 16, "max_steps": 1}
    train(data, "nano-digits", tmp_path / "run", resolve_settings("nano", settings), quiet=True)
    assert RunRecord.load(tmp_path / "run").base_answers == ("unknown",)


def test_its_run_learns_a_further_answer(digits, tmp_path):
    data, run = named(digits, tmp_path / "data", WORDS), tmp_path / "run"
    settings = {"batch_size": 16, "max_steps": 2, "learning_rate": 1e-5}
    train(data, "nano-digits", run, resolve_settings("nano", settings, trained=True), quiet=True)
    numbers = load_model(run).tokenizer.get_vocab()
    more = named(digits, tmp_path / "more", ["zilch", *WORDS[1:]])
    train(more, run, tmp_path / "next", ANSWERS, quiet=True)
    found = Model(tmp_path / "next")
    assert found.trained.base_answers == ("unknown", *sorted(WORDS), "zilch")
    assert numbers.items() < load_model(tmp_path / "next").tokenizer.get_vocab().items()
    assert share_right(found, more, found.trained.labels) > 0.9


def test_method_answers_says_where_it_cannot_be(digits, tmp_path):
    long = named(digits, tmp_path / "long", [*WORDS[:9], "x" * 41])
    for data, model, said in (
        (digits, "nano", "nano is no trained nano; start --from one, such as nano-names"),
        (digits, "sight", "sight is no trained nano"),
        (Path(f"draw:{digits}"), "nano-digits", "it cannot learn to draw; leave draw:DATA out"),
        (long, "nano-digits", "the answer ' x.*x' takes several tokens; shorten it"),
    ):
        with pytest.raises(ModelError, match=f"method answers: {said}"):
            train(data, model, tmp_path / "run", ANSWERS, quiet=True)
    assert not (tmp_path / "run").exists()
    for idle in ("epochs", "minutes", "learning_rate", "text_share"):
        with pytest.raises(ModelError, match=f"answers takes no steps; leave {idle} out"):
            resolve_settings("nano", {"method": "answers", idle: 0.5})


def test_a_run_and_one_with_more_answers_are_averaged(digits, as_names, tmp_path):
    average = runpy.run_path(str(Path(__file__).parents[2] / "scripts/average.py"))["averaged"]
    for start, own in (("nano-digits", digits), ("nano-names", as_names)):
        data = named(own, tmp_path / f"{start}-data", WORDS)
        train(data, start, tmp_path / start, ANSWERS, quiet=True)
        mean = average(SHIPPED_RUNS[start], tmp_path / start, 0.9)
        assert share_right(Model(mean), data, WORDS) > 0.95


def test_an_answer_that_is_a_token_or_too_long_gets_none():
    loaded = load_model("nano-digits")
    made_for = loaded.run.made_for
    found, kept = add_answers(
        loaded, made_for, [" 7", " " + "x" * 41, " two\nlines", " ", "", "bell"]
    )
    assert (found, kept) == (loaded, made_for)
    assert len(nano.make_tokenizer(made_for)) == len(loaded.tokenizer)
