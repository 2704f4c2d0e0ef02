import json
import re

import pytest

from glyphsight.codec import PUBLISHED
from glyphsight.dataset import Prompt, Record, load_dataset
from glyphsight.dataset.build.card import (
    Sample,
    TokenCounter,
    card_records,
    licence_id,
    render_card,
    size_category,
    token_statistics,
)
from glyphsight.dataset.layouts import get_output
from glyphsight.dataset.prompt import wordings_from_json
from glyphsight.dataset.storage import split_files
from glyphsight.errors import DatasetError

COMMAND = "glyphsight dataset build --source bundled --out digits --output hub --limit 60"
WORDINGS = [Prompt(), Prompt("Which digit?\n{ASCII_image}", "{Response}")]


@pytest.fixture
def hub(digits, tmp_path):
    """A directory with shards, manifest and card, as a build leaves it."""
    manifest = json.loads((digits / "manifest.json").read_text("utf-8"))
    manifest["wordings"] = [vars(wording) for wording in WORDINGS]
    manifest["files"] = {}
    output = get_output("hub")
    for split in ("train", "validation", "test"):
        records = load_dataset(digits, split)
        half = len(records) // 2
        for number, piece in enumerate((records[:half], records[half:])):
            file = tmp_path / "data" / f"{split}-{number:05}-of-00002.parquet"
            file.parent.mkdir(exist_ok=True)
            with file.open("wb") as stream:
                output.write(piece, stream, WORDINGS, number * half)
            entry = {"name": f"data/{file.name}", "records": len(piece)}
            manifest["files"].setdefault(split, []).append(entry)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    (tmp_path / "README.md").write_text(card(tmp_path), "utf-8")
    return tmp_path


def card(path, **more):
    """The card of a directory, tokens counted by a tokenizer of its own."""
    manifest = json.loads((path / "manifest.json").read_text("utf-8"))
    counter = TokenCounter("letters", lambda texts: [len(text) for text in texts])
    records = card_records(split_files(path)["train"])
    return render_card("digits", manifest | more, records, command=COMMAND, counter=counter)


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
    text = render_card("digits", manifest, [Sample(Record("x\n", "1", size="1"))], command=COMMAND)
    assert "## One record" in text
    assert "Tokens" not in text


def test_odd_labels_and_glyphs_do_not_break_the_markdown(hub):
    labels = {"train": {"a|b": 1, "`": 2, "two\nlines": 3}}
    text = card(hub, labels=labels, records={"train": 6}, profile={"palette": " `|"})
    assert r"| `a\|b` | 1 | ████████ |" in text
    assert "| `` ` `` | 2 |" in text
    assert "| `two lines` | 3 |" in text
    assert r"| palette | `` `\|`` |" in text
    manifest = {"records": {"train": 1}, "labels": {"train": {"1": 1}}}
    picture = "<row:1>```</row:1>\n"
    text = render_card("x", manifest, [Sample(Record(picture, "1", size="3"))], command=COMMAND)
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


def test_tokens_are_counted_in_the_wording_of_each_record():
    records = [Record("xx", "1", size="1"), Record("x", "22", size="1")]
    counter = TokenCounter("letters", lambda texts: [len(text) for text in texts])
    found = token_statistics(list(enumerate(records)), WORDINGS, counter)
    assert (found.records, found.tokenizer) == (2, "letters")
    asked = len("xxResponse:"), len("Which digit?\nx")
    assert (found.prompt.least, found.prompt.most) == (min(asked), max(asked))
    assert found.prompt.mean == sum(asked) / 2
    assert (found.completion.least, found.completion.mean, found.completion.most) == (2, 2.0, 2)


def test_records_for_a_card_come_from_files_all_over(hub):
    files = split_files(hub)["train"]
    samples = card_records(files, 10)
    records = load_dataset(files[0])[:5] + load_dataset(files[1])[:5]
    assert [sample.record for sample in samples] == records
    places = [(sample.shard, sample.number) for sample in samples]
    assert places == [(shard, place) for shard in range(2) for place in range(5)]
    assert len(card_records(files * 40, 64)) == 64


def test_the_card_names_the_split_and_takes_each_record_in_its_own_wording(hub):
    manifest = json.loads((hub / "manifest.json").read_text("utf-8"))
    manifest |= {"records": {"test": 6}, "labels": {"test": {"1": 6}}}
    manifest["files"] = {"test": [{"name": "a", "records": 3}, {"name": "b", "records": 3}]}
    record = Record("x", "1", size="1")
    samples = [Sample(record, 0, 0), Sample(record, 1, 1)]  # numbers 0 and 4: the first wording
    counter = TokenCounter("letters", lambda texts: [len(text) for text in texts])
    text = render_card("x", manifest, samples, command=COMMAND, counter=counter)
    assert "over 2 records of split test." in text
    asked = len("xResponse:")
    assert f"| prompt | {asked} | {asked:.1f} | {asked} |" in text


def test_without_jinja2_the_extra_is_named(hub, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(DatasetError, match=r"pip install 'glyphsight\[data\]'"):
        card(hub)
