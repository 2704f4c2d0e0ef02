import json

import pytest
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.codec.formats import FORMATS


@pytest.fixture
def tokens(golden):
    def run(*arguments):
        return CliRunner().invoke(app, ["tokens", str(golden / "five.png"), *map(str, arguments)])

    return run


def test_the_table_says_what_the_published_picture_costs(glyphsight, golden):
    done = glyphsight("tokens", golden / "five.png", "--format", "seed", "--format", "plain")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == [
        "format   grid  levels  characters  smollm2-135m  cells per token",
        "seed    20x11       3         400           198             1.11",
        "plain   20x11       3         231            74             2.97",
    ]


def test_every_format_and_tokenizer_is_shown(tokens):
    result = tokens("--tokenizer", "smollm2-135m", "--tokenizer", "nano", "--json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["format"] for row in rows] == FORMATS.names()
    assert rows[0] == {
        "format": "seed",
        "width": 20,
        "columns": 20,
        "rows": 11,
        "levels": 3,
        "characters": 400,
        "tokens": {"smollm2-135m": 198, "nano": 34},
        "cells_per_token": {"smollm2-135m": 220 / 198, "nano": 220 / 34},
    }
    assert (rows[-1]["columns"], rows[-1]["rows"], rows[-1]["levels"]) == (40, 44, 2)


def test_a_budget_gives_the_largest_grid_that_fits(tokens):
    rows = json.loads(tokens("--tokens", 300, "--json").stdout)
    assert all(row["tokens"]["smollm2-135m"] <= 300 for row in rows)
    assert {row["format"]: row["width"] for row in rows}["seed"] > 20


def test_a_width_is_taken(tokens):
    row = json.loads(tokens("--width", 40, "--format", "rows", "--json").stdout)[0]
    assert (row["columns"], row["rows"]) == (40, 22)


def test_a_format_that_does_not_fit_is_named_and_the_rest_is_shown(tokens):
    result = tokens("--tokens", 5, "--json")
    assert result.exit_code == 1
    assert "one column of format seed costs" in result.stderr
    assert json.loads(result.stdout)


def test_an_unknown_format_is_named(tokens):
    result = tokens("--format", "ascii")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "unknown format 'ascii'" in result.stderr


@pytest.mark.parametrize("arguments", [("--width", 4, "--tokens", 9), ("--tokens", 0)])
def test_wrong_usage(tokens, arguments):
    assert tokens(*arguments).exit_code == 2
