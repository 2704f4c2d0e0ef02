import shutil
from dataclasses import replace

import pytest
import torch

from glyphsight.dataset import load_dataset
from glyphsight.errors import ModelError
from glyphsight.inference.tokenize import prompt_ids
from glyphsight.models import RunRecord, load_model
from glyphsight.train.lowrank import low_rank_adapter


@pytest.fixture
def run(tmp_path):
    """A nano whose linear layers changed by matrices of rank 2."""
    loaded = load_model("nano", seed=4, training=True)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in loaded.model.named_parameters():
            if "proj" in name:
                left = torch.randn(weight.shape[0], 2, generator=generator)
                weight += 0.05 * left @ torch.randn(2, weight.shape[1], generator=generator)
    loaded.model.save_pretrained(tmp_path / "run")
    loaded.tokenizer.save_pretrained(tmp_path / "run")
    RunRecord(base="nano", seed=4, labels=["0", "1"]).save(tmp_path / "run")
    return tmp_path / "run"


def logits(model):
    ids = torch.arange(12)[None]
    with torch.inference_mode():
        return model.eval()(input_ids=ids).logits


@pytest.mark.slow
def test_a_change_of_rank_two_is_kept_whole_by_rank_two(run):
    adapted, kept = low_rank_adapter(run, 2)
    assert kept == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(
        logits(adapted.model), logits(load_model(run).model), atol=2e-3, rtol=1e-3
    )


@pytest.mark.slow
def test_inputs_that_records_have_are_kept_best(run, digits):
    records = load_dataset(digits, "train")[:16]
    _, blind = low_rank_adapter(run, 1)
    adapted, kept = low_rank_adapter(run, 1, records)
    assert kept > blind
    texts = [record.picture for record in records]
    whole = load_model(run)

    def error(cut):
        ids = prompt_ids(whole.tokenizer, texts[:1])
        with torch.inference_mode():
            wanted, got = (m.eval()(input_ids=torch.tensor(ids)).logits for m in (whole.model, cut))
        return float((wanted - got).square().mean())

    assert error(adapted.model) < error(low_rank_adapter(run, 1)[0].model)
    assert low_rank_adapter(run, 2, records)[1] == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_a_run_from_a_run_becomes_an_adapter_of_the_base_at_the_root(run, tmp_path):
    record = RunRecord.load(run)
    shutil.copytree(run, tmp_path / "second")
    replace(record, base=str(run), seed=9).save(tmp_path / "second")
    adapted, kept = low_rank_adapter(tmp_path / "second", 2)
    assert (adapted.run.base, adapted.run.seed) == ("nano", record.seed)
    assert kept == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_rank_one_keeps_a_part(run):
    _, kept = low_rank_adapter(run, 1)
    assert 0.4 < kept < 0.95


def test_what_is_no_whole_run_is_refused(tmp_path):
    loaded = load_model("nano", training=True)
    loaded.model.save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="holds no whole model trained with glyphsight"):
        low_rank_adapter(tmp_path, 2)
