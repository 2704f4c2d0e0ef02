import json
import pickle
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import glyphsight
from glyphsight.cli.app import app
from glyphsight.codec import encode_batch
from glyphsight.dataset import Prompt
from glyphsight.errors import ModelError, PictureError
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.inference import Model, Request
from glyphsight.inference.numpy_engine import read_safetensors
from glyphsight.models import load_model
from glyphsight.models.runs import SHIPPED_RUNS, RunRecord, Task

LABELS = ["5", "T-shirt", "T-shirt/top", "12"]


def requests(model, pixels, labels=None):
    run = model.trained
    texts = encode_batch(pixels, run.profile)
    return [Request.about(run.prompt, text, labels or run.labels) for text in texts]


@pytest.fixture(scope="module")
def nano():
    return Model.load("nano-digits", "numpy")


def test_a_list_of_pictures_is_answered_without_torch(nano, validation, golden):
    five = golden / "five.png"
    answers = nano.see([five, validation.pixels[0], 255 - validation.pixels[0]])
    assert [answer.label for answer in answers] == ["5", "3", "3"]
    assert glyphsight.load("nano-digits").see([five])[0] == glyphsight.see(five, "nano-digits")
    with pytest.raises(PictureError, match="too tall"):
        nano.see([np.zeros((300, 1), dtype=np.uint8)])
    for one in (five, np.zeros((28, 28, 3), np.uint8), np.zeros((28, 28, 4), np.uint8)):
        with pytest.raises(PictureError, match=r"give \[picture\], or list"):
            nano.see(one)
    assert nano.see(validation.pixels[:3]) == nano.see(list(validation.pixels[:3]))
    with pytest.raises(ModelError, match="nano-digits: not trained to answer"):
        nano.see([five], "Is it even?")


def asked_at_once(loaded, asks):
    """Ask each in a thread: the first pass waits until all others have been asked too."""
    passes, ready, gate = [], threading.Semaphore(0), threading.Event()

    def hold(_, given):
        passes.append(len(given["input_ids"]))
        assert gate.wait(30)

    class Telling:
        """The tokenizer; it tells when a thread has its tokens and comes to ask."""

        def __getattr__(self, name):
            return getattr(loaded.tokenizer, name)

        def __call__(self, texts, **options):
            ready.release()
            return loaded.tokenizer(texts, **options)

    model = Model(replace(loaded, tokenizer=Telling()))
    model.score([Request("x", answers=(" 1", " 2"))])  # the answers have their tokens from now on
    while ready.acquire(blocking=False):
        pass
    hook = loaded.model.register_forward_pre_hook(lambda m, a, k: hold(m, k), with_kwargs=True)
    threads = [threading.Thread(target=ask, args=(model,)) for ask in asks]
    threads[0].start()
    while not passes:
        time.sleep(0.01)
    for thread in threads[1:]:
        thread.start()
    for _ in threads:
        assert ready.acquire(timeout=30)
    time.sleep(0.2)  # from its tokens to the queue
    gate.set()
    for thread in threads:
        thread.join()
    hook.remove()
    return passes


@pytest.fixture(scope="module")
def fresh():
    return load_model("nano")


def test_what_several_threads_ask_is_batched_and_answered_as_alone(fresh):
    asked = [Request("ab" * n, (" 1", " 2")) for n in range(1, 9)]
    alone = [Model(fresh).score([request])[0] for request in asked]
    found = [None] * 8

    def ask(row, model):
        [found[row]] = model.score([asked[row]])

    passes = asked_at_once(fresh, [partial(ask, row) for row in range(8)])
    np.testing.assert_allclose(found, alone, atol=1e-4)
    assert passes[0] == 1
    assert passes[-1] == 7  # all others in one, after the model is checked


def test_an_error_is_that_of_the_thread_that_asked(nano, validation):
    [good] = requests(nano, validation.pixels[:1])
    with pytest.raises(ModelError, match="exceed"):
        nano.score([good, Request("x" * 5000, good.answers)])
    with pytest.raises(ModelError, match="same tokens"):
        nano.score([Request("x", (" 1", " 1"))])
    assert list(nano.too_long([good, Request("x" * 5000, good.answers)])) == [1]
    assert len(nano.score([good])[0]) == 11


def test_a_model_goes_to_another_process_by_its_name(nano, validation):
    packed = pickle.dumps(nano)
    assert len(packed) < 500
    asked = requests(nano, validation.pixels[:3])
    np.testing.assert_array_equal(pickle.loads(packed).score(asked), nano.score(asked))


def test_an_unknown_engine_is_refused_and_numpy_says_what_it_needs():
    with pytest.raises(ModelError, match="unknown engine 'tpu'; choose one of auto, fast, "):
        Model("nano-digits", engine="tpu")
    with pytest.raises(ModelError, match="take the engine torch"):
        Model.load("nano", "numpy")


def test_safetensors_are_read_as_the_library_reads_them():
    from safetensors.numpy import load_file

    file = SHIPPED_RUNS["nano-digits"] / "model.safetensors"
    mine, theirs = read_safetensors(file), load_file(file)
    assert mine.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_array_equal(mine[name], values)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"), [("nano-digits", 500), ("nano-fashion", 100), ("sight", 6)]
)
def test_numpy_and_torch_agree(name, count, validation):
    small, whole = Model(name, engine="numpy"), Model(name, "float32", "torch")
    asked = requests(whole, validation.pixels[:count])
    scores = np.array(small.score(asked)), np.array(whole.score(asked))
    assert np.abs(scores[0] - scores[1]).max() < 1e-3
    assert (scores[0].argmax(axis=1) == scores[1].argmax(axis=1)).all()
    some = requests(whole, validation.pixels[:5], LABELS)
    np.testing.assert_allclose(small.score(some), whole.score(some), atol=1e-3)
    assert small.generate(asked[:3]) == whole.generate(asked[:3])
    assert small.dtype == whole.dtype == "float32"


@pytest.mark.parametrize(
    ("name", "count", "right"),
    [
        ("nano-digits", 60, 60),
        pytest.param("nano-digits", 500, 498, marks=pytest.mark.slow),
        pytest.param("sight", 150, 148, marks=pytest.mark.slow),
    ],
)
def test_int8_weights_are_right_as_often_as_float32(name, count, right, validation):
    """``right`` is what int8 had when it was measured; one picture less is allowed."""
    pytest.importorskip("onnxruntime")
    model = Model.load(name, "fast")
    asked = requests(model, validation.pixels[:count])
    labels = model.trained.labels
    found = [labels[column] for column in model.best(asked)]
    assert sum(a == b for a, b in zip(found, validation.labels, strict=False)) >= right - 1
    assert model.dtype == "int8"


@pytest.mark.slow
def test_int8_gives_a_doubtful_picture_the_probabilities_of_float32(golden):
    pytest.importorskip("onnxruntime")
    file = golden / "five.png"
    [exact], [rounded] = (Model.load("sight", one).see([file]) for one in ("numpy", "fast"))
    apart = [abs(exact.probabilities[one] - rounded.probabilities[one]) for one in "0123456789"]
    assert max(apart) < 0.03  # one scale for all values behind the gates moved them by 0.27


def test_int8_scores_hang_neither_on_the_batch_nor_on_kept_keys(nano, validation):
    pytest.importorskip("onnxruntime")
    model = Model.load("nano-digits", "fast")
    asked = requests(model, validation.pixels[:6], LABELS)  # their endings follow kept keys
    together = np.array(model.score(asked))
    alone = [model.score([one], batch_size=1)[0] for one in asked]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(together, nano.score(asked), rtol=0.02)
    assert model.generate(asked[:3]) == nano.generate(asked[:3])


def test_the_engine_is_chosen_once_by_the_questions_to_come(validation, golden):
    pytest.importorskip("onnxruntime")
    few, many = Model.load("nano-digits"), Model.load("nano-digits")
    assert (few.settle(100), many.settle(100_000, rounded=True)) == ("numpy", "fast")
    assert (few.settle(), few.dtype) == ("numpy", "float32")  # it stays
    assert (many.settle(1), many.dtype) == ("fast", "int8")
    some = [golden / "five.png", *validation.pixels[:3]]
    for model, engine in ((few, "numpy"), (many, "fast")):
        named = Model("nano-digits", engine=engine)
        assert model.see(some) == named.see(some)
        assert pickle.loads(pickle.dumps(model)).settle() == engine
    assert few.see(some)[0].probability != many.see(some)[0].probability
    assert Model("nano-digits").settle(rounded=True) == "fast"  # of a number that is not known


@pytest.mark.slow
def test_torch_scores_where_many_are_asked_and_once_it_was_looked_into(golden):
    many, looked, kept = Model("nano-digits"), Model("nano-digits"), Model("nano-digits")
    assert many.settle(100_000) == "torch"
    looked.get()
    assert looked.settle(1) == "torch"
    [before] = kept.see([golden / "five.png"])
    kept.get()
    assert kept.see([golden / "five.png"]) == [before]
    assert kept.settle() == "numpy"


def test_a_picture_is_seen_where_torch_cannot_be_imported(golden, tmp_path):
    for name in ("torch", "transformers", "peft", "safetensors", "accelerate", "gguf"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not here')\n")
    path = f"{tmp_path}:{Path(glyphsight.__file__).parents[1]}"
    done = subprocess.run(
        [sys.executable, "-m", "glyphsight", "see", golden / "five.png", "--model", "nano-digits"],
        env={"PYTHONPATH": path, "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{golden / 'five.png'}: 5 (99.9 %)")


def test_chat_needs_a_template(nano_run):
    model = Model(nano_run)
    with pytest.raises(ModelError, match="no chat template"):
        model.chat([{"role": "user", "content": "Hello"}])


def test_requests_of_one_call_may_differ_in_their_answers(nano):
    asked = [Request("ab", (" 1", " 2")), Request("abc", (" 5", " T-shirt", " T-shirts"))]
    together = nano.score(asked)
    for request, scores in zip(asked, together, strict=True):
        np.testing.assert_allclose(nano.score([request])[0], scores, atol=1e-4)
    assert nano.score([]) == []
    assert nano.best(asked) == [int(scores.argmax()) for scores in together]
    assert Prompt().reply("5") == " 5"


def test_a_question_without_labels_is_answered_in_writing(nano, golden, tmp_path):
    source = SHIPPED_RUNS["nano-digits"]
    run = shutil.copytree(source, tmp_path / "run")
    record = RunRecord.load(source)
    tasks = (*record.tasks, Task("Write it.", ()), Task("Is it odd?", ("no", "yes")))
    replace(record, tasks=tasks, prompts=(Prompt("{ASCII_image}Response:"),)).save(run)
    model = Model(run)
    [known] = model.see([golden / "five.png"])
    assert (known.label, known.name) == ("5", "5")
    [written] = model.see([golden / "five.png"], "Write it.")
    assert (written.probability, written.probabilities) == (None, {})
    command = ["see", str(golden / "five.png"), "--model", str(run), "--ask"]
    shown = CliRunner().invoke(app, [*command, "Write it."])
    assert shown.stdout == f"{golden / 'five.png'}: {written.label}\n"
    drawn = tmp_path / "odd.png"
    shown = CliRunner().invoke(app, [*command, "Is it odd?", "--explain", str(drawn)])
    assert shown.exit_code == 0, shown.output
    assert drawn.is_file()
    with pytest.raises(ModelError, match="ask one of 'Write it"):
        CliRunner().invoke(app, [*command, "What?"], catch_exceptions=False)


def test_an_error_in_a_batch_of_several_threads_is_that_of_its_own_thread(fresh):
    asked = [Request(f"a{n}", (" 1", " 2")) for n in range(3)]
    alone = Model(fresh).score([asked[2]])[0]
    found = {}

    def fail(_):
        raise ValueError("a bar that broke")

    def ask(row, progress, model):
        try:
            [found[row]] = model.score([asked[row]], progress=progress)
        except ValueError as error:
            found[row] = str(error)

    shown = [lambda _: None, fail, lambda _: None]
    asked_at_once(fresh, [partial(ask, *pair) for pair in enumerate(shown)])
    assert found[1] == "a bar that broke"
    np.testing.assert_allclose(found[2], alone, atol=1e-4)


def test_a_name_that_means_no_model_is_told_from_an_untrained_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("begun").mkdir()
    Path("begun", "settings.json").write_text("{}")
    for name, said in (
        ("sigth", "sigth: no such directory here; give sight, if that is meant"),
        ("begun", "begun: its training has not finished; resume it"),
        ("runs/x", "runs/x: no such directory here, "),
        (Path("nano"), "nano: no such directory here; give nano, "),
        ("nano", "nano: was not trained with glyphsight"),
    ):
        with pytest.raises(ModelError, match=f"^{re.escape(said)}"):
            Model(name).trained  # noqa: B018


def test_numpy_refuses_a_type_that_it_does_not_compute_in():
    with pytest.raises(ModelError, match="float32, not in bfloat16; take the engine torch"):
        Model("nano-digits", "bfloat16", "numpy")
    with pytest.raises(ModelError, match="int8, not in float32; take the engine torch"):
        Model("nano-digits", "float32", "fast")


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_damaged_run_is_named_with_torch_and_without(tmp_path, golden, monkeypatch, file):
    run = tmp_path / "run"
    shutil.copytree(SHIPPED_RUNS["nano-digits"], run)
    (run / file).write_bytes((run / file).read_bytes()[:500])
    with pytest.raises(ModelError, match="run: cannot be loaded as a causal language model"):
        Model(str(run)).see([golden / "five.png"])
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError, match=r"run: damaged .*; copy the run again or train it again"):
        Model(str(run)).see([golden / "five.png"])


def test_see_and_evaluate_warn_once_of_a_tokenizer_that_makes_pictures_alike(
    tmp_path, golden, capsys
):
    run = shutil.copytree(SHIPPED_RUNS["nano-digits"], tmp_path / "run")
    own = json.loads((run / "tokenizer.json").read_text("utf-8"))
    own["normalizer"] = {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}
    (run / "tokenizer.json").write_text(json.dumps(own), "utf-8")
    for engine in ("numpy", "torch"):
        model = Model(run, engine=engine)
        model.see([golden / "five.png"])
        model.see([golden / "five.png"])
        [said] = capsys.readouterr().err.splitlines()
        assert said.startswith(f"glyphsight: warning: {run}: different pictures are the same tok")
        assert "encode them with" in said
    found = evaluate(run, "bundled", EvaluateSettings(limit=4), quiet=True)
    assert any("different pictures are the same tokens" in one for one in found.warnings)
    shutil.copy(run / "tokenizer.json", tmp_path / "own.json")
    counted = ["tokens", str(golden / "five.png"), "--tokenizer", str(tmp_path / "own.json")]
    shown = CliRunner().invoke(app, [*counted, "--format", "seed"])
    assert shown.exit_code == 0
    assert "own.json: seed: different pictures are the same tokens" in shown.stderr


def test_a_model_with_a_language_takes_questions_it_was_not_trained_on():
    assert Model("sight").task("Is it even?").labels == ()
    assert Model("sight").task().labels[:10] == tuple("0123456789")
    with pytest.raises(ModelError, match="nano-digits: not trained to answer"):
        Model("nano-digits").task("Is it even?")
