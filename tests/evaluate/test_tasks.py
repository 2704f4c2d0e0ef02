import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from asking import requests
from glyphsight.cli.app import app
from glyphsight.codec import encode_batch
from glyphsight.errors import DatasetError, ModelError
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.evaluate.result import SampleFile
from glyphsight.evaluate.tasks import Item, Task, is_task, open_task
from glyphsight.evaluate.tasks.base import as_written, character_match, read_reply
from glyphsight.inference import Model
from glyphsight.inference.tokenize import prompt_ids
from glyphsight.models import RunRecord, load_model
from glyphsight.models.runs import Task as TrainedOn
from glyphsight.sources import load_split, open_source

# Small samples of our own in the published layouts; nothing here is from the sets themselves.
ONE = " # \n## \n # \n###\n"
ELL = "#  \n#  \n#  \n###\n"
VITC_S = [
    {"id": 0, "text": "1", "font": "own", "art_text": ONE},
    {"id": 1, "text": "L", "font": "own", "art_text": ELL},
    {"id": 2, "text": "L", "font": "own", "art_text": ELL.replace("#", "@")},
]
VITC_L = [{"id": 0, "text": "L1", "font": "own", "art_text": "#    # \n#   ## \n###  # \n"}]
HOUSE = "  /\\\n /  \\\n |__|"
ASCIIEVAL = [
    {
        "url": "own",
        "category-1": "things",
        "category-2": "building",
        "category-3": kind,
        "ascii_art": HOUSE,
        "choices": choices,
        "labels": labels,
    }
    for kind, choices, labels in [
        ("house", ["house", "fish", "car", "tree"], [1, 0, 0, 0]),
        ("house", ["fish", "car", "house", "tree"], [0, 0, 1, 0]),
        ("tower", ["tower", "car", "cup", "tree"], [1, 0, 0, 0]),
    ]
]
BIGBENCH = {
    "name": "own digits",
    "description": "Digits drawn with characters.",
    "keywords": ["visual reasoning"],
    "examples": [
        {"input": ONE, "target_scores": {str(d): int(d == 1) for d in range(10)}},
        {"input": ELL, "target_scores": {"hat": 0, "ell": 1}},
    ],
}


@pytest.fixture
def sets(tmp_path):
    """Writes a set and gives its SPEC."""

    def write(kind, value, **options):
        file = tmp_path / f"{kind}.json"
        if kind == "asciieval":
            file.write_text("".join(f"{json.dumps(line)}\n" for line in value), "utf-8")
        else:
            file.write_text(json.dumps(value), "utf-8")
        return f"{kind}:{file}" + "".join(f"?{k}={v}" for k, v in options.items())

    return write


SETTINGS = EvaluateSettings(generate=0, zero_shot=0)


def read(spec) -> Task:
    return open_task(spec, None, SETTINGS)


def questions(spec) -> list[Item]:
    return read(spec).items


def measure(model, spec, **changes):
    return evaluate(model, spec, replace(SETTINGS, **changes), quiet=True)


def test_vitc_asks_for_a_digit_or_a_letter(sets):
    digit, letter, _ = questions(sets("vitc", VITC_S))
    assert digit.choices == tuple("0123456789")
    assert letter.choices == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert (digit.answers, letter.answers) == (("1",), ("L",))
    assert digit.ascii_image == ONE
    assert digit.prompt.endswith(f"it?\n{ONE}The answer is")
    assert "letter" not in digit.prompt


def test_a_string_of_vitc_has_no_choices(sets):
    [string] = questions(sets("vitc", VITC_L))
    assert (string.choices, string.answers) == ((), ("L1",))


def test_asciieval_lists_its_choices_as_letters(sets):
    first, second, third = questions(sets("asciieval", ASCIIEVAL))
    assert f"{HOUSE}\n\nA: house\nB: fish\nC: car\nD: tree\n" in first.prompt
    assert first.prompt.endswith("\nAnswer:")
    assert first.choices == second.choices == ("A", "B", "C", "D")
    assert [q.answers for q in (first, second, third)] == [("A",), ("C",), ("A",)]
    assert [q.group for q in (first, third)] == ["building.house", "building.tower"]


def test_bigbench_asks_in_the_words_of_its_file(sets):
    first, _ = questions(sets("bigbench", BIGBENCH))
    listed = "".join(f"\n  choice: {digit}" for digit in range(10))
    assert first.prompt == f"\nQ: {ONE}{listed}\nA:"
    assert first.answers == ("1",)
    own = BIGBENCH | {
        "task_prefix": "Read {answer}.\n",
        "example_input_prefix": "[",
        "example_output_prefix": "]\n",
        "append_choices_to_input": False,
    }
    found = read(sets("bigbench", own))
    assert found.items[1].prompt == f"Read {{answer}}.\n[{ELL}]"
    assert found.prompt.reply("ell") == "\nell"


def test_bigbench_without_scores_has_no_choices_and_ties_are_all_right(sets):
    examples = [
        {"input": "x", "target": ["one", "1"]},
        {"input": "x", "target": "two"},
        {"input": "x", "target_scores": {"a": 0.5, "b": 0.5, "c": 0}},
    ]
    found = questions(sets("bigbench", {"examples": examples}))
    assert [(q.choices, q.answers) for q in found] == [
        ((), ("one", "1")),
        ((), ("two",)),
        (("a", "b", "c"), ("a", "b")),
    ]


def test_other_words_come_from_a_file(sets, tmp_path):
    (tmp_path / "words.txt").write_text("Look:\n{art}\n{choices}\nIt is {answer}\n")
    found = read(sets("asciieval", ASCIIEVAL, wording=tmp_path / "words.txt"))
    listed = "A: house\nB: fish\nC: car\nD: tree"
    assert found.items[0].prompt == f"Look:\n{HOUSE}\n{listed}\nIt is"
    assert found.prompt.reply("A") == " A"
    for text, why in (("{answer}", "must hold {art} once"), ("{answer} {art}", "must end with")):
        (tmp_path / "words.txt").write_text(text)
        with pytest.raises(DatasetError, match=rf"words\.txt: {why}"):
            read(sets("vitc", VITC_S, wording=tmp_path / "words.txt"))


def test_a_tilde_in_a_task_is_the_home_folder(sets, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "words.txt").write_text("Look:\n{art}\nIt is {answer}\n")
    file = sets("vitc", VITC_S).partition(":")[2]
    spec = file.replace(str(tmp_path), "vitc:~") + "?wording=~/words.txt"
    assert spec.startswith("vitc:~/")
    assert read(spec).items[0].prompt.startswith("Look:")


@pytest.fixture
def drawn(tmp_path):
    """A folder source of three digits dark on light and a bright one in a corner."""
    digits = load_split(open_source("bundled"), "test")
    pictures = [*(255 - digits.pixels[:3]), np.pad(digits.pixels[3], ((30, 0), (0, 50)))]
    for number, (picture, label) in enumerate(zip(pictures, digits.labels[:4], strict=True)):
        (tmp_path / "drawn" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "drawn" / label / f"{number}.png")
    return f"folder:{tmp_path / 'drawn'}"


@pytest.mark.slow
def test_an_evaluation_says_how_many_pictures_were_inverted_and_centred(drawn):
    found = measure("nano-digits", drawn, split="train")
    assert found.score.accuracy == 1
    assert found.as_json()["warnings"] == [
        "3 of 4 pictures of split train were inverted, as the model needs it",
        "1 of 4 pictures of split train were centred, as the model needs it",
    ]
    assert measure("nano-digits", "bundled", limit=4).warnings == []


def test_pictures_that_cannot_be_read_are_counted_and_the_first_is_named(drawn):
    folder = Path(drawn.partition(":")[2])
    for label in ("1", "2"):
        (folder / label).mkdir(exist_ok=True)
        (folder / label / "bad.png").write_bytes(b"x")
    with pytest.raises(DatasetError) as error:
        open_task(drawn, None, replace(SETTINGS, split="train"))
    said = f"{drawn}: 2 of 6 pictures of split train cannot be read; the first: {folder}/1/bad.png"
    assert str(error.value).startswith(said)
    assert str(error.value).endswith("save it again as PNG")


def without(key):
    return {k: v for k, v in ASCIIEVAL[0].items() if k != key}


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("vitc", {}, r"vitc\.json: holds an object, ViTC is an array of objects"),
        ("vitc", [*VITC_S, {"text": "1"}], r"item 4: key 'art_text' is missing \(there is text\)"),
        ("vitc", [{"text": 1, "art_text": "#"}], "item 1: 'text' is a number, must be a string"),
        ("vitc", [{"text": "?", "art_text": "#"}], r"item 1: 'text' is '\?', must be of digits"),
        ("vitc", [], "holds no question; give other data"),
        ("asciieval", [ASCIIEVAL[0], without("choices")], "line 2: key 'choices' is missing"),
        ("asciieval", [[]], "line 1: an array where an object belongs"),
        ("asciieval", [ASCIIEVAL[0] | {"choices": ["a", 1]}], "'choices' holds a number"),
        ("asciieval", [ASCIIEVAL[0] | {"choices": ["a"]}], "'choices' has 1, must be 2 to 26"),
        ("asciieval", [ASCIIEVAL[0] | {"labels": [1, 1, 0, 0]}], r"'labels' is \[1, 1, 0, 0\]"),
        ("bigbench", {"name": "x"}, r"bigbench\.json: key 'examples' is missing"),
        ("bigbench", {"examples": [{"input": "x"}]}, "example 1: has neither 'target_scores'"),
        ("bigbench", {"examples": [{"input": "x", "target": []}]}, "'target' is \\[\\]"),
        (
            "bigbench",
            {"examples": [{"input": "x", "target_scores": {"a": "1", "b": 0}}]},
            "example 1: 'target_scores' gives 'a' a string, no number",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(sets, kind, value, message):
    with pytest.raises(DatasetError, match=message):
        read(sets(kind, value))


def test_a_line_that_is_no_json_is_named(tmp_path):
    (tmp_path / "x.jsonl").write_text(json.dumps(ASCIIEVAL[0]) + "\n\n{\n")
    with pytest.raises(DatasetError, match=r"x\.jsonl: not JSON at line 3 column 2"):
        read(f"asciieval:{tmp_path / 'x.jsonl'}")


def test_a_spec_is_told_from_paths_and_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_task("vitc:vitc-s.json")
    assert not any(map(is_task, ["vitc", "bundled", "idx:x", "data/test.json"]))
    (tmp_path / "vitc:here").mkdir()
    assert not is_task("vitc:here")
    with pytest.raises(DatasetError, match="other:x: no such file"):
        read("other:x")
    with pytest.raises(DatasetError, match=r"none\.json: no such file"):
        read("vitc:none.json")


@pytest.mark.parametrize(
    ("text", "choices", "answer"),
    [
        (" A\nB", "AB", "A"),
        ("'b'.", "AB", "B"),
        ("B: a house", "AB", "B"),
        ("Cat", "AB", ""),
        ("", "AB", ""),
        ("a hat\n", ["a hat", "a"], "a hat"),
        ("`L1` is it", (), "L1"),
        ("l1", (), "L1"),
        ("L2", (), "L2"),
        ("\n", (), ""),
    ],
)
def test_an_answer_is_found_in_a_reply(text, choices, answer):
    assert read_reply(text, Item("", ("L1",), tuple(choices))) == answer


def test_an_open_answer_is_right_as_it_is_spelled_whatever_its_unicode_form():
    item = Item("", ("caf\u00e9 noir",), ())
    assert as_written(" cafe\u0301 noir\n", item) == "caf\u00e9 noir"
    assert as_written("Caf\u00e9 noir", item) == "Caf\u00e9 noir"


def test_characters_are_matched_in_any_order_and_case():
    assert character_match("1l", "L1") == 1
    assert character_match("LL", "L1") == 0.5
    assert character_match("xxL1", "L1") == 0  # cut to the length of the answer
    assert character_match("", "L1") == 0


@pytest.fixture(scope="module")
def nano():
    return load_model("nano", seed=3)


@pytest.mark.slow
def test_choices_are_scored_as_labels_are(nano):
    prompts = ["What?", f"{ONE}\nA longer question:", "And this?", ELL]
    choices = [("1", "2", "3"), ("a house", "a fish"), ("1", "10"), ("1", "2", "3")]
    asked = [
        one for prompt, own in zip(prompts, choices, strict=True) for one in requests([prompt], own)
    ]
    model = Model(nano)
    together = model.score(asked, batch_size=4)
    for one, scores in zip(asked, together, strict=True):
        np.testing.assert_allclose(scores, model.score([one])[0], atol=1e-4)
    done = []
    one_by_one = model.score(asked, batch_size=1, progress=done.append)
    for scores, same in zip(together, one_by_one, strict=True):
        np.testing.assert_allclose(scores, same, atol=1e-4)
    assert sum(done) == len(prompts)
    assert model.score([]) == []


@pytest.mark.slow
def test_figures_come_with_chance_majority_and_groups(nano, sets, tmp_path):
    result = measure(nano, sets("asciieval", ASCIIEVAL), generate=2)
    right = [sample.right for sample in result.samples]
    assert result.score.accuracy == sum(right) / 3
    assert result.macro == pytest.approx(((right[0] + right[1]) / 2 + right[2]) / 2)
    assert {name: share.n for name, share in result.groups.items()} == {
        "building.house": 2,
        "building.tower": 1,
    }
    assert (result.chance, result.majority.accuracy) == (0.25, pytest.approx(2 / 3))
    assert result.majority_label == "A"
    assert result.generation.n == 2
    assert Counter(sample.generated is None for sample in result.samples) == {False: 2, True: 1}
    for sample in result.samples:
        assert sum(sample.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert sample.answer == max(sample.probabilities, key=sample.probabilities.get)
    result.save(tmp_path / "out")
    document = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert document["accuracy"] == result.score.accuracy
    assert (document["n"], document["by"]) == (3, "log-likelihood")
    assert list(SampleFile(tmp_path / "out" / "samples.jsonl", 3)) == result.samples


@pytest.mark.slow
def test_a_task_is_asked_plainly_whatever_the_model(nano, sets):
    asked = sets("asciieval", ASCIIEVAL)
    plain = measure(nano, asked, generate=2)
    in_chat = measure(replace(nano, chat="turns"), asked, generate=2)
    assert in_chat.samples == plain.samples


@pytest.mark.slow
def test_chance_is_that_of_each_question(nano, sets):
    result = measure(nano, sets("bigbench", BIGBENCH))
    assert result.chance == pytest.approx((1 / 10 + 1 / 2) / 2)
    assert result.generation is result.macro is None


@pytest.mark.slow
def test_strings_are_judged_by_what_is_written(nano, sets):
    result = measure(nano, sets("vitc", VITC_L))
    assert result.chance is None
    assert result.score == result.generation
    assert result.score.n == 1
    assert 0 <= result.character_match <= 1
    assert result.as_json()["by"] == "writing"
    assert result.labels == result.confusion == []


@pytest.mark.slow
def test_a_question_too_long_to_read_counts_as_wrong(nano, sets):
    long = VITC_S[0] | {"art_text": "x" * 3000}
    result = measure(nano, sets("vitc", [VITC_S[1], long]), generate=200)
    assert (result.too_long, result.score.n, result.generation.n) == (1, 2, 2)
    last = result.samples[1]
    assert (last.answer, last.generated, last.probabilities, last.too_long) == ("", "", {}, True)
    with pytest.raises(ModelError, match=r"record 1: exceeds the .* all records"):
        measure(nano, sets("vitc", [long]))


@pytest.mark.slow
def test_a_dataset_of_several_questions_has_figures_for_each(nano, tmp_path):
    file = tmp_path / "data.jsonl"
    kinds = [("What digit?", "1"), ("What digit?", "7"), ("What animal?", "cat"), ("", "seven")]
    lines = [
        {"size": "4", "ASCII_image": ONE, "Response": answer, "Question": question}
        for question, answer in kinds
    ]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    result = measure(nano, str(file))
    assert {name: share.n for name, share in result.groups.items()} == {
        "": 1,
        "What animal?": 1,
        "What digit?": 2,
    }
    assert [list(sample.probabilities) for sample in result.samples[:3]] == [
        ["1", "7"],
        ["1", "7"],
        ["cat"],
    ]
    assert result.chance == (0.5 + 0.5 + 1 + 1) / 4


def test_choices_are_those_of_the_question_in_the_runs_record(tmp_path):
    file = tmp_path / "data.jsonl"
    asked = [("", "1"), ("What is it?", "a house"), ("How many?", "2"), ("Which?", "b")]
    lines = [
        {"size": "4", "ASCII_image": ONE, "Response": answer, "Question": question}
        for question, answer in asked
    ]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    known = (TrainedOn("How many?", ("0", "1")), TrainedOn("", ("3",)), TrainedOn("What is it?"))
    task = open_task(str(file), RunRecord("nano", tasks=known), SETTINGS)
    assert [item.choices for item in task.items] == [("1", "3"), (), ("0", "1", "2"), ("b",)]


@pytest.mark.parametrize("known", [(), (TrainedOn("", ("3", "5")),)])
def test_captions_are_open_whether_the_run_knows_their_question_or_not(tmp_path, known):
    file = tmp_path / "data.jsonl"
    run = RunRecord("nano", tasks=known) if known else None
    for count, choices in ((200, 200 + 2 * len(known)), (201, 0)):
        lines = [
            {"size": "4", "ASCII_image": ONE, "Response": f"caption {n}"} for n in range(count)
        ]
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
        task = open_task(str(file), run, SETTINGS)
        assert {len(item.choices) for item in task.items} == {choices}


@pytest.mark.slow
def test_records_of_several_pictures_are_not_taken_for_flawed_ones(tmp_path):
    file = tmp_path / "data.jsonl"
    model = Model("nano-digits")
    [text] = encode_batch(np.zeros((1, 28, 28), np.uint8), model.trained.profile)
    pictures = [[text, text], [], [text], text.replace(" ", "x")]
    lines = [
        {"size": ["20"] * len(own) if isinstance(own, list) else "20", "ASCII_image": own}
        for own in pictures
    ]
    file.write_text("".join(f"{json.dumps(one | {'Response': '1'})}\n" for one in lines), "utf-8")
    [warning] = evaluate(model, str(file), SETTINGS, quiet=True).warnings
    assert "1 of 4 records are not in the glyphs" in warning
    assert "record 4: " in warning


@pytest.mark.slow
def test_open_answers_of_a_dataset_are_judged_by_writing(nano):
    items = [Item(ONE, ("a house",), ()), Item(ELL, ("1",), ("1", "2"))]
    result = evaluate(nano, Task("own", items, plain=False), SETTINGS, quiet=True)
    assert result.by == "both"
    assert (result.generation.n, result.score.n, result.chance) == (1, 2, 0.5)
    assert result.samples[0].probabilities == {}
    assert sum(map(sum, result.confusion)) == 1


@pytest.mark.slow
def test_the_command_measures_a_task_and_writes_its_report(sets, tmp_path):
    spec = sets("vitc", VITC_S)
    given = ["evaluate", "--data", spec, "--limit", "2", "--generate", "1", "--zero-shot", "0"]
    done = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f"nano-digits on {spec}\n  by label likelihood")
    assert "  chance " in done.stdout
    assert "commonest here" in done.stdout
    assert "n = 2" in done.stdout
    assert (tmp_path / "out" / "report.html").is_file()
    assert len((tmp_path / "out" / "samples.jsonl").read_text().splitlines()) == 2
    done = CliRunner().invoke(app, [*given, "--json"])
    assert json.loads(done.stdout)["n"] == 2


@pytest.mark.slow
def test_strings_have_a_report_too(sets, tmp_path):
    given = ["evaluate", "--data", sets("vitc", VITC_L), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.stderr
    assert "  by writing" in done.stdout
    assert "  characters found in writing" in done.stdout
    assert "by writing" in (tmp_path / "out" / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    "option", [("--split", "train"), ("--full",), ("--full", "--train-data", "x")]
)
def test_options_that_a_benchmark_cannot_use_are_refused(sets, option):
    done = CliRunner().invoke(app, ["evaluate", "--data", sets("vitc", VITC_S), *option])
    assert done.exit_code == 2
    assert option[0] in done.stderr
    assert "does not work with a benchmark" in " ".join(done.stderr.split())


@pytest.mark.slow
def test_a_question_is_too_long_only_where_its_own_choices_do_not_fit(nano, sets):
    def question(art, choices):
        return {"input": art, "target_scores": {c: int(c == choices[0]) for c in choices}}

    def length(spec):
        [ids] = prompt_ids(nano.tokenizer, [questions(spec)[0].prompt])
        return len(ids)

    long, short = ["L" * 300, "M" * 300], ["1", "2"]
    art = "x"
    while length(sets("bigbench", {"examples": [question(art, short)]})) + 20 < nano.window:
        art += "x" * 9
    spec = sets("bigbench", {"examples": [question(art, short), question("x", long)]})
    result = measure(nano, spec, generate=2)
    assert (result.too_long, result.generation.n) == (0, 2)
    assert [len(sample.probabilities) for sample in result.samples] == [2, 2]
    assert all(sample.generated is not None for sample in result.samples)


@pytest.mark.slow
def test_a_users_own_task_comes_by_an_entry_point(nano, monkeypatch):
    def own(location):
        return Task(location, [Item("#", ("yes",), ("yes", "no"), prompt=f"{location}?")])

    class Point:
        name, value, dist = "toy", "here:own", None

        @staticmethod
        def load():
            return own

    points = {"glyphsight.tasks": [Point]}
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points.get(group, []))
    result = measure(nano, "toy:Is this a box")
    assert (result.data, result.score.n, result.chance) == ("toy:Is this a box", 1, 0.5)
