"""One run that learns several datasets of one profile, and questions of the records' own."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.cli.train import _print_report
from glyphsight.codec import Profile
from glyphsight.dataset import BuildSettings, Prompt, build_dataset, load_dataset, write_records
from glyphsight.errors import DatasetError, FormatError, ModelError
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.inference import Model
from glyphsight.models import RunRecord, load_model
from glyphsight.models.load import as_base
from glyphsight.models.runs import Task, read_history
from glyphsight.train.learned import read_datasets
from glyphsight.train.progress import validate
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings
from glyphsight.train.tasks import MOST_QUESTIONS, takes_any

pytestmark = pytest.mark.slow
EVEN = "Is it even?"
SETTINGS = {"batch_size": 16, "evaluations": 2, "validation_records": 20, "max_steps": 4}
PLAIN = resolve_settings("nano", {})
DIGITS = tuple(str(digit) for digit in range(10))


def small(**changes):
    return resolve_settings("nano", SETTINGS | changes)


def asking(digits, path, question, answer):
    """A dataset of the same pictures with a question of their own."""
    for split in ("train", "validation"):
        records = [
            replace(one, question=question, answer=answer(one))
            for one in load_dataset(digits, split)
        ]
        write_records(records, path / f"{split}.json")
    profile = json.loads((digits / "manifest.json").read_text())["profile"]
    (path / "manifest.json").write_text(json.dumps({"profile": profile}))
    return path


def both_questions(digits, path):
    """A dataset that asks two questions about every picture."""
    asking(digits, path, EVEN, lambda one: "no" if int(one.answer) % 2 else "yes")
    for split in ("train", "validation"):
        records = load_dataset(path, split)
        names = [replace(one, question="Which?") for one in load_dataset(digits, split)]
        write_records([*records, *names], path / f"{split}.json")
    return path


def test_questions_about_a_picture_and_plain_text_are_learnt_together(digits, tmp_path, capsys):
    data, text = both_questions(digits, tmp_path / "data"), tmp_path / "text.txt"
    text.write_text("All that is read here is plain text, again and again. " * 60)
    settings = {"method": "lora", "text_share": 0.2, "text_file": str(text), "max_steps": 9}
    train(data, "nano", tmp_path / "run", small(**settings), quiet=True)
    count = len(load_dataset(data))
    run = RunRecord.load(tmp_path / "run")
    assert (run.training["records"], run.training["text_pieces"]) == (count, round(count / 4))
    assert f"{count:,} records in {count // 2:,} rows" in capsys.readouterr().err
    *_, last = read_history(tmp_path / "run" / "history.jsonl")
    epoch = count + round(count / 4)
    rows = count // 2 + round(count / 4)
    assert last["records"] == round(9 * 16 * epoch / rows)
    assert 0 < last["loss"] < 20


def test_a_run_that_was_begun_with_other_rows_is_not_resumed(digits, tmp_path, monkeypatch):
    data, run = both_questions(digits, tmp_path / "data"), tmp_path / "run"
    train(data, "nano", run, small(), quiet=True)
    (run / "glyphsight.json").unlink()
    monkeypatch.setattr("glyphsight.train.job.reads_apart", lambda loaded, rows: False)
    with pytest.raises(ModelError, match="was started with another rows"):
        train(data, "nano", run, small(), resume=True, quiet=True)


def test_new_answers_are_fitted_to_every_picture_that_is_asked_about(digits, tmp_path, monkeypatch):
    data, fitted = both_questions(digits, tmp_path / "data"), []
    monkeypatch.setattr(
        "glyphsight.train.run.fit_answers", lambda loaded, texts, known: fitted.extend(texts)
    )
    settings = resolve_settings("nano", SETTINGS, trained=True)
    train(data, "nano-fashion", tmp_path / "run", settings, quiet=True)
    assert len(fitted) == len(load_dataset(data))


def test_of_a_file_that_holds_one_class_after_the_other_all_are_judged(digits, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(digits, data)
    records = sorted(load_dataset(data, "validation"), key=lambda one: one.answer)
    write_records(records, data / "validation.json")
    [found] = read_datasets([data], 20, None)
    assert len(found.validation) == 20
    assert {one.answer for one in found.validation} == set(DIGITS)


@pytest.fixture(scope="module")
def even(digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "even"
    return asking(digits, path, EVEN, lambda one: "no" if int(one.answer) % 2 else "yes")


@pytest.fixture(scope="module")
def both(digits, even, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "both"
    report = train([digits, even], "nano", run, small(), names=[{"9": "nine"}, None], quiet=True)
    return run, report


def test_a_run_keeps_its_questions_and_tells_the_accuracy_of_each(both, digits):
    run, report = both
    record = RunRecord.load(str(run))
    assert record.tasks == (Task("", DIGITS, {"9": "nine"}), Task(EVEN, ("no", "yes")))
    assert record.task(EVEN).labels == ("no", "yes")
    with pytest.raises(ModelError, match=r"not trained to answer 'Why\?'; ask one of 'Is it even"):
        record.task("Why?")
    assert report.records == 2 * len(load_dataset(digits))
    assert set(report.accuracies) == {"", EVEN}
    assert report.validation_accuracy == pytest.approx(sum(report.accuracies.values()) / 2)
    judged = [line for line in read_history(run / "history.jsonl") if "accuracies" in line]
    assert judged[-1]["accuracies"] == report.accuracies
    assert record.training["validation_records"] == judged[-1]["validation_records"] == 40


def test_a_finished_run_is_left_as_it_is(both, digits, even):
    run, report = both
    assert train([digits, even], "nano", run, PLAIN, resume=True, quiet=True) == report


def test_a_killed_run_ends_in_the_same_weights(both, digits, even, tmp_path):
    run, report = both
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    for file in ("glyphsight.json", "model.safetensors", "config.json"):
        (broken / file).unlink()
    shutil.rmtree(max((broken / "checkpoints").glob("*"), key=lambda one: int(one.name[11:])))
    names = [{"9": "nine"}, None]
    resumed = train([digits, even], "nano", broken, PLAIN, names=names, resume=True, quiet=True)
    assert resumed.accuracies == report.accuracies
    pairs = zip(*(load_model(one).model.parameters() for one in (run, broken)), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    (broken / "glyphsight.json").unlink()
    with pytest.raises(ModelError, match="started with another data"):
        train([even, digits], "nano", broken, PLAIN, resume=True, quiet=True)


def test_a_run_that_starts_from_it_keeps_the_names(both, digits, even, tmp_path):
    run, _ = both
    train([even, digits], run, tmp_path / "next", small(), quiet=True)
    assert RunRecord.load(tmp_path / "next").task("").names == {"9": "nine"}


def test_each_dataset_is_known_as_learned(both, digits):
    run, _ = both
    settings = EvaluateSettings(split="train", generate=0, zero_shot=0)
    judged = evaluate(run, str(digits), settings, quiet=True)
    assert any("was trained on these records" in warning for warning in judged.warnings)


def test_datasets_of_different_profiles_are_refused_by_the_field(digits, tmp_path):
    other = Profile(width=10, invert="auto", centre=True)
    settings = BuildSettings(limit=20, profile=other)
    build_dataset("bundled", tmp_path / "other", settings, quiet=True)
    with pytest.raises(ModelError, match=r"width of their profiles differs \(20 and 10\)"):
        train([digits, tmp_path / "other"], "nano", tmp_path / "run", small(), quiet=True)


def test_many_different_answers_are_open_and_judged_in_writing(digits, tmp_path):
    said = asking(digits, tmp_path / "data", "What is it?", lambda one: f"a {one.answer}")
    train(said, "nano", tmp_path / "run", small(most_labels=5), quiet=True)
    record = RunRecord.load(tmp_path / "run")
    assert record.tasks == (Task("What is it?"),)
    assert 0 <= record.training["validation_accuracy"] <= 1
    assert record.training["validation_records"] == 20


def test_a_dataset_in_a_wording_of_its_own_keeps_it(nano_run, digits, tmp_path):
    own = Prompt("{ASCII_image}Which digit?", " It is {Response}.")
    data = shutil.copytree(digits, tmp_path / "data")
    manifest = json.loads((data / "manifest.json").read_text())
    (data / "manifest.json").write_text(json.dumps(manifest | {"wordings": [asdict(own)]}))
    train(data, nano_run, tmp_path / "first", small(), quiet=True)
    assert RunRecord.load(tmp_path / "first").prompts == (own,)
    train(digits, tmp_path / "first", tmp_path / "second", small(), quiet=True)
    assert RunRecord.load(tmp_path / "second").prompts == (own,)


def worded(digits, path, *wordings):
    """The same dataset in other wordings."""
    data = shutil.copytree(digits, path)
    manifest = json.loads((data / "manifest.json").read_text())
    own = {"wordings": [asdict(one) for one in wordings]}
    (data / "manifest.json").write_text(json.dumps(manifest | own))
    return data


def test_two_datasets_that_would_be_asked_in_two_wordings_are_refused_by_name(digits, tmp_path):
    first, second = Prompt("{ASCII_image}Digit:"), Prompt("{ASCII_image}Which one?")
    one = worded(digits, tmp_path / "one", first)
    other = worded(digits, tmp_path / "other", second, first)
    with pytest.raises(ModelError) as raised:
        train([one, other], "nano", tmp_path / "run", small(), quiet=True)
    for part in (str(one), str(other), "Digit:", "Which one?", "--wordings", "a run on each"):
        assert part in str(raised.value)
    more = worded(digits, tmp_path / "more", first, second)
    train([one, more], "nano", tmp_path / "run", small(), quiet=True)
    assert RunRecord.load(tmp_path / "run").prompts == (first, second)


def test_a_validation_record_too_long_is_refused_before_a_run_is_begun(digits, tmp_path):
    data = shutil.copytree(digits, tmp_path / "data")
    records = load_dataset(data, "validation")
    records[2] = replace(records[2], pictures=records[2].pictures * 400)
    write_records(records, data / "validation.json")
    with pytest.raises(
        DatasetError, match=r"validation\.json: record 3: \d+ tokens .* fewer columns"
    ):
        train(data, "nano", tmp_path / "run", small(validation_records=1000), quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_drawing_and_its_question_are_judged_in_normal_form(digits, monkeypatch):
    drawing, question = " cafe\u0301\n  | \n", " Draw it. "
    record = replace(load_dataset(digits)[0], answer=drawing, question=question)
    run = RunRecord("nano", tasks=(Task(" Draw it."),))
    assert record.question == "Draw it."
    assert run.task("Draw it. ") == run.tasks[0]
    monkeypatch.setattr(Model, "generate", lambda *_: [f" {drawing}"])
    found = validate(load_model("nano"), run, [record], None, True, 1.0)
    assert (found["validation_accuracy"], found["validation_written"]) == (1.0, 1)


def test_a_dataset_without_validation_has_no_accuracy(digits, even, tmp_path):
    train([digits / "train.json", even], "nano", tmp_path / "a", small(), quiet=True)
    report = train(digits / "train.json", "nano", tmp_path / "b", small(), quiet=True)
    training = RunRecord.load(tmp_path / "b").training
    assert (training["validation_accuracy"], training["validation_records"]) == (None, 0)
    assert report.validation_accuracy is None
    assert RunRecord.load(tmp_path / "a").training["validation_records"] == 20


def test_names_are_given_of_each_dataset(digits, even, tmp_path):
    with pytest.raises(ModelError, match="names: give those of each of 2 datasets"):
        train([digits, even], "nano", tmp_path / "run", small(), names=[{"9": "nine"}], quiet=True)


def test_a_recipe_of_two_datasets_holds_out_the_same_digits(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "model: nano\n"
        "profile: {width: 16}\n"
        "datasets:\n"
        "  whole: {dataset: {limit: 40, validation: 20}}\n"
        '  part: {dataset: {limit: 20, hold_out: whole}, names: {"9": nine}}\n'
        "train: {max_steps: 2}\n"
    )
    source = f"folder:{_folder(tmp_path)}"
    run = tmp_path / "run"
    sources = ["--source", f"whole={source}", "--source", f"part={source}"]
    told = CliRunner().invoke(app, ["train", "--recipe", str(recipe), "--out", str(run), *sources])
    assert told.exit_code == 0, told.stderr
    assert f"--model {run} --data {run}/data/part" in told.stdout
    held_out = [
        (run / "data" / name / "validation.sources.txt").read_text() for name in ("whole", "part")
    ]
    assert held_out[0] == held_out[1] != ""
    assert RunRecord.load(run).name_of("9") == "nine"


def _folder(path):
    """A few real digits as files, a directory a label."""
    from PIL import Image

    from glyphsight.sources import load_split, open_source

    some = load_split(open_source("bundled"), "validation")
    for number, (pixels, label) in enumerate(zip(some.pixels[:80], some.labels[:80], strict=True)):
        directory = path / "pictures" / label
        directory.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(directory / f"{number}.png")
    return path / "pictures"


def captioned(digits, path, count):
    """Digits with a caption each, all different."""
    for split, own in (("train", load_dataset(digits)), ("validation", load_dataset(digits))):
        some = [
            replace(one, answer=f"picture {n} of a series, which shows the digit {one.answer}")
            for n, one in enumerate(own[:count])
        ]
        write_records(some, path / f"{split}.json")
    return path


def test_captions_are_judged_on_a_sample_in_writing_and_the_report_says_so(
    digits, tmp_path, capsys
):
    data = captioned(digits, tmp_path / "data", 100)
    report = train(
        data, "nano", tmp_path / "run", small(most_labels=50, validation_records=500), quiet=True
    )
    count = report.validation_written  # of 50, as many as ten seconds allow
    assert 8 <= count <= 50
    assert report.validation_records == count
    assert RunRecord.load(tmp_path / "run").training["validation_written"] == count
    _print_report(report, [data])
    assert f"validation accuracy 0.00 % ({count} as the model writes)" in capsys.readouterr().out
    assert f"{count} of them written freely" in (tmp_path / "run" / "README.md").read_text("utf-8")


def test_many_long_labels_cannot_hold_validation_up(digits, tmp_path):
    data = captioned(digits, tmp_path / "data", 100)
    records = load_dataset(data, "validation")
    labels = tuple(sorted({one.answer for one in records}))
    run = RunRecord("nano", tasks=(Task("", labels),))
    found = validate(load_model("nano"), run, records, None, True, 0.0)
    assert found["validation_records"] == 8  # and no more where no time is left
    assert found["validation_written"] == 0


def test_a_run_of_very_many_questions_lists_those_of_many_records_and_takes_any(digits, tmp_path):
    data = asking(
        digits, tmp_path / "data", EVEN, lambda one: "no" if int(one.answer) % 2 else "yes"
    )
    records = load_dataset(data, "train")
    other = [replace(one, question=f"Is it {n}?") for n, one in enumerate(records * 4)]
    few = [replace(one, question="Which digit?") for one in records[:20]]
    said = ("Paris is the capital, as far as anyone knows.", "Paris is its capital.")
    told = [
        replace(one, question="What is the capital of France?", answer=said[n % 2])
        for n, one in enumerate(records * 2)
    ][:60]
    write_records(records + few + told + other[: MOST_QUESTIONS + 20], data / "train.json")
    train(data, "nano", tmp_path / "run", small(max_steps=1), quiet=True)
    run = RunRecord.load(tmp_path / "run")
    assert run.free
    assert run.tasks == (Task(EVEN, ("no", "yes")),)
    assert run.task("Which digit?").labels == ()  # twenty records may not show each
    assert run.task("What is the capital of France?").labels == ()  # sentences are no labels
    assert run.task("Is it 3?").labels == ()  # one answer is no choice
    assert run.task("Is it anything at all?").labels == ()


def test_only_labels_that_are_drawn_are_known_as_drawn(digits, tmp_path, capsys):
    records = load_dataset(digits)
    ask = replace(records[0], answer="why", question="Why?")
    several = replace(records[0], answer="two", pictures=records[0].pictures * 2)
    small_one = replace(records[0], answer="small", pictures=("█\n",))
    odd = [ask, several, small_one, replace(records[0], answer="unknown")]
    profile = json.loads((digits / "manifest.json").read_text())["profile"]

    def read(some):
        write_records(some, tmp_path / "train.json")
        (tmp_path / "manifest.json").write_text(json.dumps({"profile": profile}))
        return read_datasets([Path(f"draw:{tmp_path}")], 0, None)[0]

    known = read(records + odd)
    assert known.draws == DIGITS
    assert len(known.records) == len(records)
    assert f"4 of {len(records) + 4} records are not drawn" in capsys.readouterr().err
    with pytest.raises(DatasetError, match=r"a question of their own.*labelled pictures"):
        read(odd[:2])
    with pytest.raises(DatasetError, match=r"rows of 20 columns.*--height"):
        read(odd[2:])
    profile["format"] = "rle"
    with pytest.raises(FormatError, match=f"{tmp_path}: .*seed or plain"):
        read(records)


def test_one_run_sees_and_draws_the_same_data(digits, tmp_path, capsys):
    report = train([digits, Path(f"draw:{digits}")], "nano", tmp_path / "run", small(), quiet=True)
    run = RunRecord.load(tmp_path / "run")
    assert run.draws == DIGITS
    assert run.tasks == (Task(labels=DIGITS),)
    assert report.records == 2 * len(load_dataset(digits))
    [one] = Model(tmp_path / "run").draw("7")
    assert len(one.ascii_image) == len(load_dataset(digits)[0].picture)
    assert Model(tmp_path / "run").see([one.picture()])[0].label in DIGITS
    _print_report(report, [digits, Path(f"draw:{digits}")])
    assert "glyphsight draw LABEL --model" in capsys.readouterr().out
    train(digits, tmp_path / "run", tmp_path / "sees", small(max_steps=1), quiet=True)
    assert "draws 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and the new run will not" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["full", "lora"])
def test_an_answer_given_often_is_one_token_of_a_fresh_nano_and_of_what_starts_from_it(
    method, digits, tmp_path
):
    names = ("the higher half", "低")
    data = asking(digits, tmp_path / "data", "", lambda one: names[one.answer <= "4"])
    given = small(method=method, lora_rank=2, max_steps=1)
    train(data, "nano", tmp_path / "first", given, quiet=True)
    train(digits, str(tmp_path / "first"), tmp_path / "second", given, quiet=True)
    for name in ("first", "second"):
        loaded = load_model(tmp_path / name)
        assert loaded.run.base_answers == names
        cut = loaded.tokenizer([f" {name}" for name in names])["input_ids"]
        assert {len(ids) for ids in cut} == {1}
        with as_base(loaded) as base:
            assert base.tokenizer.get_vocab() == loaded.tokenizer.get_vocab()
    asked = asking(digits, tmp_path / "asked", "Is it the lower half?", lambda one: "no, not so")
    train(asked, "nano", tmp_path / "asks", given, quiet=True)
    words = ("half", "it", "lower", "no, not so", "the")  # all but the first of the question
    assert load_model(tmp_path / "asks").run.base_answers == words
    write_records(load_dataset(data)[:12], data / "train.json")  # too few of either
    train(data, "nano", tmp_path / "few", given, quiet=True)
    assert load_model(tmp_path / "few").run.base_answers == ()


@pytest.mark.parametrize(
    ("questions", "free"),
    [({""}, False), ({"", "Is it even?"}, True), ({"Is it even?"}, True)],
)
def test_a_free_run_that_is_trained_further_to_name_alone_takes_no_more_questions(questions, free):
    before = RunRecord("smollm2-135m", free=True)
    assert takes_any(questions, before) is free
    assert not takes_any(questions, replace(before, free=False))
    assert not takes_any(questions, None)
