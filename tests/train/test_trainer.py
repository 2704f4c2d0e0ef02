import pytest
import torch
import torch.nn.functional as F

from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings


@pytest.mark.slow
def test_the_first_logged_loss_is_the_mean_over_the_answer_tokens(digits, tmp_path):
    """A fresh model knows nothing: its loss is near the logarithm of the vocabulary."""
    from glyphsight.dataset import Prompt, load_dataset
    from glyphsight.dataset.prompt import in_turn
    from glyphsight.models import load_model
    from glyphsight.models.runs import read_history
    from glyphsight.train.data import collate, tokenize_records

    settings = resolve_settings("nano", {"max_steps": 1, "batch_size": 120, "precision": "fp32"})
    train(digits, "nano", tmp_path / "run", settings, quiet=True)
    lines = read_history(tmp_path / "run" / "history.jsonl")
    logged = next(line["loss"] for line in lines if "loss" in line)

    nano = load_model("nano")
    examples = tokenize_records(nano, in_turn(load_dataset(digits), [Prompt()]), "digits")
    batch = collate(examples, nano.tokenizer.pad_token_id)
    labels = batch.pop("labels")
    with torch.inference_mode():
        logits = nano.model(**batch).logits[:, -labels.shape[1] : -1]
    expected = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1))
    assert logged == pytest.approx(float(expected), abs=1e-3)
