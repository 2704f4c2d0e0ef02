import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from asking import scores
from glyphsight.codec import PUBLISHED, encode_batch
from glyphsight.dataset import (
    BuildSettings,
    Prompt,
    Record,
    build_dataset,
    load_dataset,
    write_records,
)
from glyphsight.dataset.storage import split_files
from glyphsight.errors import DatasetError, ModelError
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.models import load_model
from glyphsight.models.runs import SHIPPED_RUNS

HERE = Path(__file__).parents[2] / "integrations" / "lm_eval"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # other people's packages warn of one another
]


@pytest.fixture(scope="module")
def make_task():
    spec = importlib.util.spec_from_file_location("make_task", HERE / "make_task.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("lm_eval") / "digits"
    build_dataset("bundled", path, BuildSettings(limit=200, copies=0), quiet=True)
    return path


@pytest.fixture
def harness(monkeypatch, tmp_path):
    """Log-likelihoods [records, choices] and accuracy of a task by lm-evaluation-harness."""
    lm_eval = pytest.importorskip("lm_eval")
    datasets = pytest.importorskip("datasets")
    from lm_eval.tasks import TaskManager

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)

    def run(name, folder, model):
        found = lm_eval.simple_evaluate(
            model="hf",
            model_args={"pretrained": str(model), "dtype": "float32", "device": "cpu"},
            tasks=[name],
            task_manager=TaskManager(include_path=str(folder), include_defaults=False),
            batch_size=32,
            bootstrap_iters=0,
        )
        answers = sorted(found["samples"][name], key=lambda answer: answer["doc_id"])
        scores = [[tries[0][0] for tries in answer["resps"]] for answer in answers]
        return np.array(scores), found["results"][name]["acc,none"]

    return run


def ours(loaded, records, labels, prompt):
    asked = [prompt.ask(record.picture) for record in records]
    return scores(loaded, asked, labels, prompt)


def test_the_harness_gives_our_accuracy_and_log_likelihoods(harness, digits, monkeypatch):
    monkeypatch.chdir(digits.parent)
    scores, accuracy = harness("glyphsight_mnist", HERE, SHIPPED_RUNS["nano-digits"])
    loaded = load_model("nano-digits")
    loaded = replace(loaded, run=replace(loaded.run, unknown_above=0.5))  # it knows no threshold
    judged = evaluate(loaded, str(digits), EvaluateSettings(generate=0, zero_shot=0), quiet=True)
    assert accuracy == judged.score.accuracy
    assert scores.shape == (judged.score.n, 11) == (200, 11)
    some = load_dataset(digits, "test")[:40]
    expected = ours(loaded, some, judged.labels, loaded.run.prompt)
    np.testing.assert_allclose(scores[:40], expected, atol=1e-3, rtol=0)


def test_answers_of_several_tokens_agree_too(harness, make_task, validation, tmp_path):
    fresh = load_model("nano")
    model, data = tmp_path / "model", tmp_path / "data"
    fresh.model.save_pretrained(model)
    fresh.tokenizer.save_pretrained(model)
    data.mkdir()
    names = ["a round one", "other", "plain"]
    texts = encode_batch(validation.pixels[:12], PUBLISHED)
    records = [Record(text, names[i % 3], size="20") for i, text in enumerate(texts)]
    write_records(records, data / "test.json")
    make_task.main([str(data), str(tmp_path / "words.yaml"), "--model", str(model)])
    scores, accuracy = harness("words", tmp_path, model)
    expected = ours(load_model(model), records, names, Prompt())
    np.testing.assert_allclose(scores, expected, atol=1e-3, rtol=0)
    said = [names[i] for i in expected.argmax(axis=1)]
    assert accuracy == sum(s == r.answer for s, r in zip(said, records, strict=True)) / 12


@pytest.mark.parametrize(
    ("output", "asked", "target"),
    [
        ("json", "{{ASCII_image}}Response:", " {{Response}}"),
        ("jsonl", "prompt", "completion"),
        ("parquet", "{{ASCII_image}}Response:", " {{Response}}"),
    ],
)
def test_every_layout_has_its_task(make_task, tmp_path, output, asked, target):
    build_dataset(
        "bundled", tmp_path / "d", BuildSettings(limit=20, copies=0, output=output), quiet=True
    )
    make_task.main([str(tmp_path / "d"), str(tmp_path / "mine.yaml")])
    task = yaml.safe_load((tmp_path / "mine.yaml").read_text("utf-8"))
    assert (task["task"], task["doc_to_text"], task["doc_to_target"]) == ("mine", asked, target)
    assert task["doc_to_choice"] == [f" {digit}" for digit in [*range(10), "unknown"]]
    [files] = split_files(tmp_path / "d", "test").values()
    assert task["dataset_kwargs"]["data_files"]["test"] == [str(file) for file in files]


def test_the_task_in_the_repository_is_the_one_that_is_made(make_task, digits):
    kept = yaml.safe_load((HERE / "glyphsight_mnist.yaml").read_text("utf-8"))
    made = make_task.make_task(digits, "nano-digits", "glyphsight_mnist", "test")
    assert made.pop("dataset_kwargs")["data_files"]["test"] == [str(digits / "test.json")]
    assert kept.pop("dataset_kwargs") == {"data_files": {"test": "digits/test.json"}}
    assert made == kept


def test_what_the_harness_would_cut_otherwise_is_refused(make_task):
    tokenizer = load_model("nano-digits").tokenizer
    with pytest.raises(ModelError, match="one label starts with another"):
        make_task.check_cut(tokenizer, Prompt(), ["1", "10"], ["Response:"])
    with pytest.raises(ModelError, match="cut together"):
        make_task.check_cut(tokenizer, Prompt(answer="{Response}"), ["se:", "x"], ["Respon"])


def test_white_space_at_the_end_of_a_prompt_changes_no_answer(harness, make_task, tmp_path):
    words = Prompt(question="{ASCII_image}Which digit?\n", answer="It is a {Response}.")
    loaded = load_model("nano-digits")
    run = tmp_path / "run"
    shutil.copytree(SHIPPED_RUNS["nano-digits"], run)
    replace(loaded.run, prompts=(words,)).save(run)
    data = tmp_path / "data"
    build_dataset(
        "bundled", data, BuildSettings(limit=12, output="jsonl", wordings=(words,)), quiet=True
    )
    make_task.main([str(data), str(tmp_path / "words.yaml"), "--model", str(run)])
    scores, _ = harness("words", tmp_path, run)
    expected = ours(loaded, load_dataset(data, "test"), loaded.run.labels, words)
    shift = scores - expected
    np.testing.assert_allclose(shift, np.repeat(shift[:, :1], 11, axis=1), atol=1e-3, rtol=0)


def test_rows_in_other_words_than_the_model_was_taught_are_named(make_task, monkeypatch, tmp_path):
    other = Prompt(question="{ASCII_image}Digit:")
    build_dataset(
        "bundled",
        tmp_path / "d",
        BuildSettings(limit=20, copies=0, output="jsonl", wordings=(other,)),
        quiet=True,
    )
    with pytest.raises(DatasetError, match=r"test\.jsonl: .*build it with --output parquet"):
        make_task.make_task(tmp_path / "d", "nano-digits", "t", "test")
    with pytest.raises(SystemExit, match=r"^make_task\.py: .*test\.jsonl"):
        make_task.main([str(tmp_path / "d"), str(tmp_path / "t.yaml")])
    assert not (tmp_path / "t.yaml").exists()


def test_braces_in_a_prompt_are_no_template(make_task):
    jinja2 = pytest.importorskip("jinja2")
    prompt = Prompt(question="{{x}} {ASCII_image} {% y %}")
    asking = make_task._asking({"ASCII_image", "Response"}, (), prompt)
    rendered = jinja2.Template(asking["doc_to_text"]).render(ASCII_image="▓")
    assert rendered == prompt.ask("▓")
