import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import glyphsight
from glyphsight.cli.app import app
from glyphsight.evaluate.report import record_study
from glyphsight.evaluate.result import Evaluation, Sample, Share
from glyphsight.evaluate.statistics import per_class
from glyphsight.evaluate.study import describe


@pytest.fixture
def runs(tmp_path):
    import numpy as np

    for name, said in (("first", "abb"), ("second", "aab")):
        samples = [
            Sample(f"text {place}", truth, answer, 0.9, {"a": 0.1, "b": 0.1} | {answer: 0.9}, None)
            for place, (truth, answer) in enumerate(zip("abb", said, strict=True))
        ]
        right = sum(truth == answer for truth, answer in zip("abb", said, strict=True))
        matrix = np.array([[1, 0], [2 - (said[1:] == "bb"), 1]])
        result = Evaluation(
            *(name, None, "data", "test", [], 0, Share.of(right, 3), None, 0),
            *(Share.of(2, 3), "b", None, per_class(matrix, ["a", "b"]), ["a", "b"]),
            *(matrix.tolist(), 1.0, samples),
        )
        record_study(describe(result), tmp_path / name / "evaluation", run=None)
    return [str(tmp_path / "first"), str(tmp_path / "second")]


def run(*arguments):
    return CliRunner().invoke(app, ["compare", *arguments])


def test_json_is_one_document_and_the_page_is_written(runs, tmp_path):
    done = run(*runs, "--json", "--out", str(tmp_path / "compare.html"))
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert [one["name"] for one in document["runs"]] == ["first", "second"]
    assert document["runs"][0]["accuracy"] == 1
    [pair] = document["pairs"]
    assert (pair["only_first"], pair["only_second"], pair["n"]) == (1, 0, 3)
    [apart] = document["disagreements"]
    assert apart["answers"]["second"]["answer"] == "a"
    assert (tmp_path / "compare.html").is_file()


def test_words_say_the_same(runs):
    done = run(*runs)
    assert done.exit_code == 0
    assert "+33.33 points" in done.stdout
    assert "1 only the first has right, 0 only the second, of 3" in done.stdout


def test_one_run_alone_is_wrong_usage(runs):
    done = run(runs[0])
    assert done.exit_code == 2
    assert "at least two" in done.stderr


WITHOUT_TORCH = """
import sys
class Barred:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise ImportError(f"{name} is barred")
sys.meta_path.insert(0, Barred())
from glyphsight.cli.app import main
main()
"""


def test_torch_is_not_needed(runs, tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            WITHOUT_TORCH,
            "compare",
            *runs,
            "--out",
            str(tmp_path / "compare.html"),
        ],
        env=os.environ | {"PYTHONPATH": str(Path(glyphsight.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "+33.33 points" in done.stdout
    assert (tmp_path / "compare.html").is_file()
