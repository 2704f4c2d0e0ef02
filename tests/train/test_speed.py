"""Compiled layers and plain attention: when they are taken, and that they learn the same."""

import shutil
from functools import partialmethod

import pytest
import torch
from torch._dynamo.utils import counters
from transformers import LlamaConfig, MambaConfig

from glyphsight.dataset import Record, load_dataset, write_records
from glyphsight.errors import ModelError
from glyphsight.models import load_model
from glyphsight.models.runs import read_history
from glyphsight.train import run as run_module
from glyphsight.train.run import train
from glyphsight.train.settings import TrainSettings, resolve_settings
from glyphsight.train.speed import compiles, fits_plain_attention


@pytest.fixture
def no_compiler(monkeypatch):
    """A machine whose torch cannot compile; what it was asked to compile."""
    asked = []

    def fail(function):
        asked.append(function)
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(torch, "compile", fail)
    return asked


def test_auto_asks_for_a_compiler_in_long_runs_alone_and_does_without(no_compiler):
    auto = TrainSettings()
    assert not compiles(auto, "cpu", 9e12)
    assert not compiles(TrainSettings(minutes=9), "cpu", 1e15)
    assert not compiles(TrainSettings(minutes=60), "cpu", 9e12)
    assert not compiles(TrainSettings(compile="off"), "cpu", 1e15)
    assert not compiles(auto, "mps", 1e15)
    assert not no_compiler
    assert not compiles(auto, "cpu", 1e13)
    assert not compiles(TrainSettings(minutes=10), "cpu", 1e13)
    assert len(no_compiler) == 2


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_on_without_a_compiler_names_the_fix(no_compiler, device):
    with pytest.raises(ModelError, match=r"compile on: .*--set compile=off"):
        compiles(TrainSettings(compile="on"), device, 1)


def test_plain_attention_is_bound_by_the_scores_of_all_heads_and_layers(monkeypatch):
    nano = load_model("nano").model
    assert fits_plain_attention(nano, 80, 85)
    assert fits_plain_attention(nano, 96, 512)
    assert not fits_plain_attention(nano, 97, 512)
    heads = {"hidden_size": 576, "num_attention_heads": 9, "num_hidden_layers": 30}  # SmolLM2-135M
    monkeypatch.setattr(nano, "config", LlamaConfig(**heads))
    assert fits_plain_attention(nano, 16, 305)
    assert not fits_plain_attention(nano, 16, 306)
    monkeypatch.setattr(nano, "config", MambaConfig())
    assert not fits_plain_attention(nano, 1, 1)


@pytest.fixture(scope="module")
def uneven(digits, tmp_path_factory):
    """The digits, with up to two of their last rows cut off in training, so that lengths differ."""
    path = tmp_path_factory.mktemp("uneven") / "data"
    shutil.copytree(digits, path)
    texts = [(one.picture.splitlines(), one) for one in load_dataset(digits)]
    write_records(
        [
            Record("\n".join(rows[: len(rows) - index % 3]), one.answer, size=one.size)
            for index, (rows, one) in enumerate(texts)
        ],
        path / "train.json",
    )
    return path


def losses(run):
    history = read_history(run / "history.jsonl")
    return {line["step"]: line["loss"] for line in history if "loss" in line}


@pytest.fixture
def traced(monkeypatch):
    """Layers are traced and differentiated as ever, but no C++ is compiled: it takes minutes."""
    compile_it = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(compile_it, backend="aot_eager"))
    monkeypatch.setattr(run_module, "compiles", lambda settings, *_: settings.compile == "on")
    counters.clear()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch about itself
@pytest.mark.parametrize("method", ["full", "lora"])
def test_one_graph_serves_all_lengths_and_learns_what_plain_layers_learn(
    uneven, tmp_path, method, traced
):
    common = {"batch_size": 8, "max_steps": 8, "checkpoints": 2, "precision": "fp32"}
    common |= {"evaluations": 1, "validation_records": 8, "method": method}
    for name in ("off", "on"):
        settings = resolve_settings("nano", common | {"compile": name})
        train(uneven, "nano", tmp_path / name, settings, quiet=True)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    expected = pytest.approx(losses(tmp_path / "off"), rel=1e-3)
    assert losses(tmp_path / "on") == expected
    (tmp_path / "on" / "glyphsight.json").unlink()
    shutil.rmtree(tmp_path / "on" / "checkpoints" / "checkpoint-8")
    rest = resolve_settings("nano", {"compile": "off"})
    train(uneven, "nano", tmp_path / "on", rest, resume=True, quiet=True)
    assert counters["stats"]["unique_graphs"] == 1
    assert losses(tmp_path / "on") == expected
