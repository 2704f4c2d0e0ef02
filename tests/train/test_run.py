"""Training runs on the bundled digits with the real Trainer, a few steps each."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from glyphsight.errors import ModelError
from glyphsight.models import load_model
from glyphsight.train.history import read_history
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

pytestmark = pytest.mark.slow
SMALL = {"batch_size": 16, "checkpoints": 3, "evaluations": 2, "validation_records": 20}


def small(**settings):
    return resolve_settings("nano", SMALL | settings)


def test_a_run_leaves_a_model_its_settings_its_history_and_its_record(nano_run):
    settings = json.loads((nano_run / "settings.json").read_text())
    assert settings["batch_size"]["origin"] == "given"
    history = read_history(nano_run / "history.jsonl")
    assert any("loss" in line for line in history)
    assert any("validation_accuracy" in line for line in history)
    record = load_model(str(nano_run)).run
    assert record.labels == [str(digit) for digit in range(10)]
    assert record.base == "nano"


def test_the_model_is_an_ordinary_transformers_directory(nano_run):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(nano_run)
    tokenizer = AutoTokenizer.from_pretrained(nano_run)
    assert model(**tokenizer("<row:1>  ", return_tensors="pt")).logits.shape[0] == 1


def test_a_resumed_run_ends_in_the_same_weights(digits, tmp_path):
    settings = small(max_steps=6)
    train(digits, "nano", tmp_path / "whole", settings, quiet=True)
    train(digits, "nano", tmp_path / "cut", settings, quiet=True)
    for name in ("model.safetensors", "config.json", "glyphsight.json"):
        (tmp_path / "cut" / name).unlink()
    newest = tmp_path / "cut" / "checkpoints" / "checkpoint-6"
    shutil.rmtree(newest)  # as if killed while writing it
    newest.mkdir()
    assert (tmp_path / "cut" / "checkpoints" / "checkpoint-4").is_dir()
    report = train(digits, "nano", tmp_path / "cut", settings, resume=True, quiet=True)
    assert report.steps == 6
    whole = load_file(tmp_path / "whole" / "model.safetensors")
    resumed = load_file(tmp_path / "cut" / "model.safetensors")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_is_neither_overwritten_nor_resumed_with_other_settings(digits, nano_run):
    with pytest.raises(ModelError, match="add --resume"):
        train(digits, "nano", nano_run, small(), quiet=True)
    with pytest.raises(ModelError, match="was started with"):
        train(digits, "nano", nano_run, small(learning_rate=1.0), resume=True, quiet=True)


def test_a_lora_adapter_is_trained_saved_and_loaded(digits, nano_run, tmp_path):
    settings = small(method="lora", lora_rank=2, max_steps=2)
    train(digits, str(nano_run), tmp_path / "adapter", settings, quiet=True)
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    loaded = load_model(str(tmp_path / "adapter"))
    trained = sum(p.numel() for name, p in loaded.model.named_parameters() if "lora" in name)
    assert 0 < trained < loaded.parameters / 10


def test_a_loss_that_is_no_number_stops_with_the_last_checkpoint_kept(digits, tmp_path):
    settings = small(max_steps=6, learning_rate=1e30, clip=0.0, hidden_learning_rate=0.0)
    with pytest.raises(ModelError, match="no longer a finite number; the last checkpoint is kept"):
        train(digits, "nano", tmp_path / "run", settings, quiet=True)
