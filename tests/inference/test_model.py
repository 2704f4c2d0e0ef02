import pickle
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import glyphsight
from glyphsight.cli.app import app
from glyphsight.codec import encode_batch
from glyphsight.dataset import Prompt
from glyphsight.errors import ModelError, PictureError
from glyphsight.inference import Model, Request
from glyphsight.inference.numpy_engine import NumpyEngine, read_safetensors
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
    with pytest.raises(ModelError, match="nano-digits: not trained to answer"):
        nano.see([five], "Is it even?")


def test_what_several_threads_ask_is_batched_and_answered_as_alone(nano, validation, monkeypatch):
    asked = requests(nano, validation.pixels[:8])
    alone = [nano.score([request])[0] for request in asked]
    passes, forward = [], NumpyEngine.forward
    begun, gate = threading.Event(), threading.Event()

    def slow(engine, sequences, keep, **options):
        begun.set()
        assert gate.wait(30)  # until the others wait too
        passes.append(len(sequences))
        return forward(engine, sequences, keep, **options)

    monkeypatch.setattr(NumpyEngine, "forward", slow)
    found = [None] * 8

    def ask(row):
        [found[row]] = nano.score([asked[row]])

    threads = [threading.Thread(target=ask, args=(row,)) for row in range(8)]
    for thread in threads:
        thread.start()
        assert begun.wait(30)
    for _ in range(1000):
        if len(nano._waiting) == 7:
            break
        time.sleep(0.01)
    gate.set()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(found, alone, atol=1e-4)
    assert sum(passes) == 8
    assert len(passes) == 2  # the first one's, then all others in one


def test_an_error_is_that_of_the_thread_that_asked(nano, validation):
    [good] = requests(nano, validation.pixels[:1])
    with pytest.raises(ModelError, match="exceed"):
        nano.score([good, Request("x" * 5000, good.answers)])
    with pytest.raises(ModelError, match="same tokens"):
        nano.score([Request("x", (" 1", " 1"))])
    assert list(nano.too_long([good, Request("x" * 5000, good.answers)])) == [1]
    assert len(nano.score([good])[0]) == 10


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
        pytest.param("sight", 500, 499, marks=pytest.mark.slow),
    ],
)
def test_int8_weights_are_right_as_often_as_float32(name, count, right, validation):
    """``right`` is what int8 had when it was measured; one of 500 pictures is 0.2 points."""
    pytest.importorskip("onnxruntime")
    model = Model.load(name, "fast")
    asked = requests(model, validation.pixels[:count])
    labels = model.trained.labels
    found = [labels[column] for column in model.best(asked)]
    assert sum(a == b for a, b in zip(found, validation.labels, strict=False)) >= right - 1
    assert model.dtype == "int8"


def test_int8_scores_hang_neither_on_the_batch_nor_on_kept_keys(nano, validation):
    pytest.importorskip("onnxruntime")
    model = Model.load("nano-digits", "fast")
    asked = requests(model, validation.pixels[:6], LABELS)  # their endings follow kept keys
    together = np.array(model.score(asked))
    alone = [model.score([one], batch_size=1)[0] for one in asked]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(together, nano.score(asked), rtol=0.02)
    assert model.generate(asked[:3]) == nano.generate(asked[:3])


def test_many_pictures_are_seen_in_int8_and_scored_in_float32(validation, golden):
    pytest.importorskip("onnxruntime")
    model = Model.load("nano-digits")
    [before] = model.see([golden / "five.png"])
    model._open().engine.parameters = 10**12
    [after] = model.see([golden / "five.png"])
    assert after.label == before.label == "5"
    assert after.probability != before.probability
    assert after == Model("nano-digits", engine="fast").see([golden / "five.png"])[0]
    assert model.dtype == "float32"


@pytest.mark.slow
def test_numpy_gives_way_to_torch_where_much_is_asked(validation):
    model = Model.load("nano-digits")
    few = requests(model, validation.pixels[:4])
    before = model.score(few)
    assert "numpy" in type(model._open().engine).__module__
    model._open().engine.parameters = 10**12
    after = model.score(few)
    assert "passes" in type(model._open().engine).__module__
    np.testing.assert_allclose(before, after, atol=1e-3)


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
    assert done.stdout.startswith(f"{golden / 'five.png'}: 5 (99.8 %)")


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
    tasks = (*record.tasks, Task("Write it.", ()))
    replace(record, tasks=tasks, prompts=(Prompt("{ASCII_image}Response:"),)).save(run)
    model = Model(run)
    [known] = model.see([golden / "five.png"])
    assert (known.label, known.name) == ("5", "5")
    [written] = model.see([golden / "five.png"], "Write it.")
    assert (written.probability, written.probabilities) == (None, {})
    command = ["see", str(golden / "five.png"), "--model", str(run), "--ask"]
    shown = CliRunner().invoke(app, [*command, "Write it."])
    assert shown.stdout == f"{golden / 'five.png'}: {written.label}\n"
    with pytest.raises(ModelError, match="ask one of 'Write it"):
        CliRunner().invoke(app, [*command, "What?"], catch_exceptions=False)


def test_an_error_in_a_batch_of_several_threads_is_that_of_its_own_thread(nano, validation):
    asked = requests(nano, validation.pixels[:3])
    alone = nano.score([asked[2]])[0]
    begun, gate = threading.Event(), threading.Event()
    found = {}

    def hold(_):
        begun.set()
        assert gate.wait(30)  # until the two others wait

    def fail(_):
        raise ValueError("a bar that broke")

    def ask(row, progress):
        try:
            [found[row]] = nano.score([asked[row]], progress=progress)
        except ValueError as error:
            found[row] = str(error)

    shown = [hold, fail, lambda _: None]
    threads = [threading.Thread(target=ask, args=pair) for pair in enumerate(shown)]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    for _ in range(1000):
        if len(nano._waiting) == 2:
            break
        time.sleep(0.01)
    gate.set()
    for thread in threads:
        thread.join()
    assert found[1] == "a bar that broke"
    np.testing.assert_allclose(found[2], alone, atol=1e-4)


def test_a_name_that_means_no_model_is_told_from_an_untrained_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("begun").mkdir()
    Path("begun", "settings.json").write_text("{}")
    for name, said in (
        ("sigth", "sigth: no such directory here; is sight meant?"),
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
