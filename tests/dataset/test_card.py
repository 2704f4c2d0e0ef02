import json
import re

import pytest

from glyphsight.codec import PUBLISHED
from glyphsight.dataset import Prompt, Record, load_dataset
from glyphsight.dataset.build.card import (
    TokenCounter,
    licence_id,
    render_card,
    size_category,
    write_card,
)
from glyphsight.dataset.filesystem import Directory
from glyphsight.dataset.layouts import get_output
from glyphsight.dataset.prompt import wordings_from_json
from glyphsight.errors import GlyphsightError

LETTERS = TokenCounter("letters", lambda texts: [len(text) for text in texts])
COMMAND = "glyphsight dataset build --source bundled --out digits --output hub --limit 60"
WORDINGS = [Prompt(), Prompt("Which digit?\n{ASCII_image}", "{Response}")]


@pytest.fixture
def hub(digits, tmp_path):
    """A directory with shards, manifest and card, as a build leaves it."""
    path = tmp_path / "digits"
    manifest = json.loads((digits / "manifest.json").read_text("utf-8"))
    manifest["wordings"] = [vars(wording) for wording in WORDINGS]
    manifest |= {"command": COMMAND, "files": {}}
    output = get_output("hub")
    for split in ("train", "validation", "test"):
        records = load_dataset(digits, split)
        half = len(records) // 2
        for number, piece in enumerate((records[:half], records[half:])):
            file = path / "data" / f"{split}-{number:05}-of-00002.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as stream:
                output.write(piece, stream, WORDINGS, number * half)
            entry = {"name": f"data/{file.name}", "records": len(piece)}
            manifest["files"].setdefault(split, []).append(entry)
    (path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    write_card(Directory(str(path)), manifest, LETTERS)
    return path


def card(path, **more):
    """The card of a directory, tokens counted by a tokenizer of its own."""
    manifest = json.loads((path / "manifest.json").read_text("utf-8"))
    return render_card("digits", manifest | more, list(enumerate(load_dataset(path))), LETTERS)


def test_datasets_loads_the_directory_as_it_is(hub, digits, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    loaded = datasets.load_dataset(str(hub), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train", "validation", "test"]
    for split in loaded:
        expected = load_dataset(digits, split)
        assert loaded[split].num_rows == len(expected)
        assert loaded[split]["ASCII_image"][:] == [record.picture for record in expected]
        assert loaded[split]["prompt"][1] == WORDINGS[1].ask(expected[1].picture)


def test_the_front_matter_says_what_the_hub_wants_to_know(hub):
    card = pytest.importorskip("huggingface_hub").DatasetCard
    data = card.load(hub / "README.md").data.to_dict()
    assert data == {
        "pretty_name": "digits",
        "license": "cc-by-sa-3.0",
        "task_categories": ["text-classification", "text-generation"],
        "size_categories": ["n<1K"],
        "tags": ["ascii-art", "glyphsight"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": f"data/{split}-*.parquet"}
                    for split in ("train", "validation", "test")
                ],
            }
        ],
    }


def test_the_card_tells_people_what_it_is_and_how_it_was_made(hub, digits):
    text = (hub / "README.md").read_text("utf-8")
    first = load_dataset(digits)[0]
    assert f"```sh\n{COMMAND}\n```" in text
    assert "MNIST by Yann LeCun and Corinna Cortes, CC BY-SA 3.0" in text
    assert f"```text\n{first.picture}```\n\nThe answer: `{first.answer}`" in text
    assert "| seed | `0` |" in text
    assert f"| palette | `{PUBLISHED.palette}` |" in text
    [words] = re.findall(r"which take turns .*?```json\n(.*?)```", text, re.DOTALL)
    assert wordings_from_json(json.loads(words), "card") == tuple(WORDINGS)
    assert "| label | train | validation | test | |" in text
    assert "| `0` | 12 | 6 | 6 | ████" in text
    assert "| all | 120 | 60 | 60 | |" in text
    assert "As the tokenizer of letters cuts them, over 120 records of split train." in text
    assert "| completion | 1 | 1.5 | 2 |" in text


def test_without_a_counter_the_tokens_are_left_out(hub):
    manifest = json.loads((hub / "manifest.json").read_text("utf-8"))
    text = render_card("digits", manifest, [(0, Record("x\n", "1", size="1"))])
    assert "## One record" in text
    assert "Tokens" not in text


def test_odd_labels_and_glyphs_do_not_break_the_markdown(hub):
    labels = {"train": {"a|b": 1, "`": 2, "two\nlines": 3}}
    text = card(hub, labels=labels, records={"train": 6}, profile={"palette": " `|"})
    assert r"| `a\|b` | 1 | ████████ |" in text
    assert "| `` ` `` | 2 |" in text
    assert r"| `two\nlines` | 3 |" in text
    assert r"| palette | `` `\|`` |" in text
    manifest = {"records": {"train": 1}, "labels": {"train": {"1": 1}}, "command": COMMAND}
    picture = "<row:1>```</row:1>\n"
    text = render_card("x", manifest, [(0, Record(picture, "1", size="3"))])
    assert f"````text\n{picture}````" in text


def test_of_many_labels_the_commonest_are_shown(hub):
    counts = {f"label {number}": number + 1 for number in range(70)}
    text = card(hub, labels={"train": counts}, records={"train": sum(counts.values())})
    assert "The 50 commonest of 70." in text
    assert "`label 69`" in text
    assert "`label 19`" not in text


@pytest.mark.parametrize(
    ("licence", "name"),
    [
        ("", "unknown"),
        ("MNIST by Yann LeCun and Corinna Cortes, CC BY-SA 3.0", "cc-by-sa-3.0"),
        ("cc-by-4.0", "cc-by-4.0"),
        ("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0"),
        ("CC0", "cc0-1.0"),
        ("Apache License 2.0", "apache-2.0"),
        ("Apache-2.0", "apache-2.0"),
        ("MIT", "mit"),
        ("The MIT License", "mit"),
        ("made at the MIT, all rights reserved", "other"),
    ],
)
def test_a_licence_in_words_becomes_the_hubs_identifier(licence, name):
    assert licence_id(licence) == name


@pytest.mark.parametrize(
    ("records", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (70_000, "10K<n<100K"), (10**9, "n>1B")],
)
def test_a_number_of_records_has_a_category(records, name):
    assert size_category(records) == name


def test_tokens_are_counted_in_the_wording_of_each_record(hub):
    """The numbers of the records decide, in whatever shard they stand."""
    manifest = json.loads((hub / "manifest.json").read_text("utf-8"))
    manifest |= {"records": {"test": 6}, "labels": {"test": {"1": 6}}}
    numbered = [(0, Record("xx", "1", size="1")), (5, Record("x", "22", size="1"))]
    text = render_card("x", manifest, numbered, LETTERS)
    assert "over 2 records of split test." in text
    first, second = len("xxResponse:"), len("Which digit?\nx")
    assert f"| prompt | {first} | {(first + second) / 2:.1f} | {second} |" in text
    assert "| completion | 2 | 2.0 | 2 |" in text


def test_records_for_a_card_come_from_the_first_shards(hub, digits):
    manifest = json.loads((hub / "manifest.json").read_text("utf-8"))
    manifest["files"]["train"] *= 40
    write_card(Directory(str(hub)), manifest, LETTERS)
    assert "over 240 records of split train." in (hub / "README.md").read_text("utf-8")


def test_without_jinja2_the_extra_is_named(hub, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(GlyphsightError, match=r"pip install 'glyphsight\[data\]'"):
        card(hub)
