"""The mean of two runs is a run."""

import pytest
import torch
from safetensors.torch import load_file

from glyphsight.errors import ModelError
from glyphsight.models import load_model
from glyphsight.models.runs import save_made
from glyphsight.train.average import averaged
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

pytestmark = pytest.mark.slow
LORA = {"method": "lora", "lora_rank": 2, "max_steps": 2, "batch_size": 8, "learning_rate": 0.01}


def test_each_weight_is_the_mean_of_two_runs(digits, tmp_path):
    a, b, out = (tmp_path / name for name in ("a", "b", "out"))
    train(digits, "nano", a, resolve_settings("nano", LORA), quiet=True)
    train(digits, str(a), b, resolve_settings("nano", LORA | {"seed": 1}), quiet=True)
    save_made(averaged(a, b), b, out)
    first, second, found = (load_file(run / "adapter_model.safetensors") for run in (a, b, out))
    assert any(not torch.equal(first[name], second[name]) for name in first)
    for name, weight in found.items():
        torch.testing.assert_close(weight, (first[name] + second[name]) / 2)
    assert load_model(out).run.base == "nano"


def test_what_has_no_mean_is_refused(digits, nano_run, tmp_path):
    train(digits, "nano", tmp_path / "a", resolve_settings("nano", LORA), quiet=True)
    with pytest.raises(ModelError, match="have other weights"):
        averaged(tmp_path / "a", nano_run)
