import json
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.dataset import load_dataset, write_records
from glyphsight.evaluate.result import METRICS_FILE, told_data
from glyphsight.files import JsonLog

pytestmark = pytest.mark.slow
QUICK = ("--generate", 0, "--zero-shot", 0)


def evaluate(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_json_is_one_document_on_a_source(glyphsight, nano_run, tmp_path):
    done = glyphsight(
        *("evaluate", "--model", nano_run, "--data", "bundled", "--limit", 20, "--json"),
        *("--generate", 10, "--zero-shot", 10, "--out", "report"),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["n"] == 20
    assert 0 <= document["interval"][0] <= document["accuracy"] <= document["interval"][1] <= 1
    assert document["split"] == "test"
    assert document["warnings"] == []
    assert document["generation"]["n"] == document["zero_shot"]["n"] == 10
    assert json.loads((tmp_path / "report" / "metrics.json").read_text()) == document
    assert b"report: report/report.html" in done.stderr
    assert len((tmp_path / "report" / "samples.jsonl").read_text().splitlines()) == 20
    assert not list((tmp_path / "report").glob(".*"))
    assert b"Warning" not in done.stderr
    assert not (nano_run / "evaluation").exists()


def test_a_file_is_judged_alone_and_a_run_gets_its_report(at_once, nano_run, digits, tmp_path):
    run = shutil.copytree(nano_run, tmp_path / "nano")  # called as a reserved name is
    done = at_once(
        "evaluate", "--model", "./nano", "--data", digits / "train.json", "--limit", 20, *QUICK
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().startswith(f"./nano on {digits}/train.json\n")
    assert b"warning: " in done.stderr
    assert b"the model was trained on these records" in done.stderr
    report = (run / "evaluation" / "report.html").read_text("utf-8")
    assert "the model was trained on these records" in report
    other = evaluate("--model", run, "--data", digits / "test.json", "--limit", 8, *QUICK)
    assert f"report: {run / 'evaluation-2' / 'report.html'}" in other.stderr
    assert told_data(run / "evaluation-2") == (f"{digits}/test.json", None)
    assert (run / "evaluation" / "report.html").read_text("utf-8") == report


def test_an_unfinished_evaluation_keeps_its_directory(tmp_path):
    assert told_data(tmp_path) is None
    with JsonLog(tmp_path / "samples.jsonl", {"data": "a", "split": "test"}) as log:
        log.append([{}])
    assert told_data(tmp_path) == ("a", "test")
    (tmp_path / METRICS_FILE).write_text('{"data": "b", "split": null}')
    assert told_data(tmp_path) == ("b", None)


def test_a_question_of_two_lines_has_one_line_in_the_summary(golden, tmp_path):
    record = {"size": "20", "ASCII_image": (golden / "five.txt").read_text("utf-8")}
    asked = ["Look.\nWhat digit?", "What digit?"]
    lines = [record | {"Response": "5", "Question": question} for question in asked]
    (tmp_path / "x.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    result = evaluate("--model", "nano-digits", "--data", tmp_path / "x.jsonl", *QUICK)
    assert result.exit_code == 0, result.stderr
    assert "\n  Look.\\nWhat digit? " in result.stdout
    assert "\nWhat digit?" not in result.stdout


def test_a_directory_that_is_no_run_is_left_as_it_is(nano_run, tmp_path):
    model = shutil.copytree(nano_run, tmp_path / "model")
    (model / "glyphsight.json").unlink()
    before = sorted(model.rglob("*"))
    result = evaluate("--model", model, "--data", "bundled", "--limit", 10, *QUICK)
    assert result.exit_code == 0
    assert "report:" not in result.stderr
    assert sorted(model.rglob("*")) == before


def test_forty_labels_are_listed_and_the_others_counted(nano_run, digits, tmp_path):
    records = [replace(one, answer=f"class {n}") for n, one in enumerate(load_dataset(digits)[:45])]
    write_records(records, tmp_path / "many.json")
    result = evaluate("--model", nano_run, "--data", tmp_path / "many.json", *QUICK)
    assert result.exit_code == 0, result.output
    table = result.stdout.partition("precision")[2].splitlines()
    assert [line.split("  ")[1].strip() for line in table[1:41]] == sorted(
        {one.answer for one in records} | set("0123456789")
    )[:40]
    assert "and 15 more labels" in result.stdout


def test_a_split_that_is_not_there_is_named(nano_run, digits):
    result = evaluate("--model", nano_run, "--data", digits, "--split", "nope")
    assert str(result.exception).startswith(f"{digits}: has no split 'nope'")


def test_full_says_what_it_could_not_do_and_does_the_rest(nano_run, digits, tmp_path):
    result = evaluate(
        *("--model", nano_run, "--data", digits / "test.json", "--limit", 8, "--full"),
        *("--out", tmp_path / "out", "--json", *QUICK),
    )
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    [note] = document["notes"]
    assert "name other records to learn from with --train-data" in note
    assert note in result.stderr
    assert document["baselines"] == []
    assert document["robustness"][0]["accuracy"] == document["accuracy"]
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == document
    lines = (tmp_path / "out" / "attributions.jsonl").read_text("utf-8").splitlines()
    samples = (tmp_path / "out" / "samples.jsonl").read_text("utf-8").splitlines()
    wrong = [one for one in map(json.loads, samples) if one["answer"] != one["truth"]]
    explained = {one["ascii_image"]: one for one in map(json.loads, lines)}.values()
    assert sum(one["answer"] != one["truth"] for one in explained) == min(4, len(wrong))
    # the gradient, what spoke for the answer and, in a mistake, what spoke for the truth
    assert len(lines) == sum(2 + (one["answer"] != one["truth"]) for one in explained) > 0


def test_full_beside_baselines(nano_run, digits, tmp_path):
    result = evaluate(
        *("--model", nano_run, "--data", digits / "test.json", "--limit", 8, "--full"),
        *("--train-data", digits, "--out", tmp_path / "out", *QUICK),
    )
    assert result.exit_code == 0, result.stderr
    assert "% of the best baseline, " in result.stdout
    document = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert {one["name"] for one in document["baselines"]} >= {"majority", "knn", "logistic", "svm"}
    for one in document["baselines"]:
        assert one["paired"]["difference"] == pytest.approx(document["accuracy"] - one["accuracy"])


def test_records_to_learn_from_are_of_use_in_full_alone():
    done = evaluate("--data", "bundled", "--train-data", "bundled")
    assert done.exit_code == 2
    assert "needs --full" in done.stderr


@pytest.mark.parametrize(
    ("given", "option", "why"),
    [
        (("--data", "bundled", "--against", "nano"), "--against", "needs --forgetting"),
        (("--data", "bundled", "--text", "a.txt"), "--text", "needs --forgetting"),
        (("--data", "bundled", "--stride", 9), "--stride", "needs --forgetting"),
        (("--forgetting", "--limit", 3), "--limit", "does not work with --forgetting"),
        (("--forgetting", "--full"), "--full", "does not work with --forgetting"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(given, option, why):
    done = evaluate(*given)
    assert done.exit_code == 2
    assert f"{option}: {why}" in " ".join(done.stderr.split())
