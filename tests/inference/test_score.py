import pickle
from dataclasses import replace
from itertools import zip_longest

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, DynamicCache

from asking import replies, requests, scores
from glyphsight.codec import encode_batch
from glyphsight.dataset import Prompt
from glyphsight.errors import ModelError
from glyphsight.inference import Model, Request, passes
from glyphsight.inference.passes import left_padded
from glyphsight.inference.score import (
    Completions,
    PromptTooLongError,
    probabilities,
)
from glyphsight.inference.stream import Writing
from glyphsight.inference.tokenize import completion_ids, prompt_ids
from glyphsight.models import load_model
from glyphsight.sources import load_split, open_source

DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def nano():
    return load_model("nano", seed=3)


@pytest.fixture(scope="module")
def prompts():
    """Pictures of several sizes, so that batches need padding."""
    pixels = load_split(open_source("bundled"), "validation").pixels[:12]
    texts = encode_batch(pixels) + encode_batch(pixels[:, 4:24]) + encode_batch(pixels[:, :, 6:22])
    return [Prompt().ask(text) for text in texts]


def test_batch_size_and_padding_change_nothing(nano, prompts):
    alone = scores(nano, prompts, DIGITS, batch_size=1)
    together = scores(nano, prompts, DIGITS, batch_size=32)
    np.testing.assert_allclose(alone, together, atol=2e-5)
    assert (alone.argmax(axis=1) == together.argmax(axis=1)).all()


def test_batch_size_and_padding_change_no_generated_text(nano, prompts):
    alone = replies(nano, prompts, DIGITS, batch_size=1)
    assert alone == replies(nano, prompts, DIGITS, batch_size=32)


def test_a_score_is_the_sum_of_the_token_log_probabilities(nano, prompts):
    labels = ["5", "T-shirt", "T-shirt/top", "12"]
    found = scores(nano, prompts[:3], labels)
    for row, text in enumerate(prompts[:3]):
        for column, label in enumerate(labels):
            [question] = prompt_ids(nano.tokenizer, [text])
            [answer] = completion_ids(nano.tokenizer, [Prompt().reply(label)])  # with the end token
            ids = torch.tensor([question + answer])
            with torch.inference_mode():
                logprobs = torch.log_softmax(nano.model(ids).logits[0], dim=-1)
            at = range(len(question) - 1, ids.shape[1] - 1)
            expected = sum(float(logprobs[i, ids[0, i + 1]]) for i in at)
            assert found[row, column] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("labels", [DIGITS, ["5", "T-shirt", "T-shirt/top", "12"]])
def test_a_shared_beginning_computed_once_changes_nothing(nano, prompts, labels, monkeypatch):
    begun = []
    repeat = DynamicCache.batch_repeat_interleave
    monkeypatch.setattr(
        DynamicCache,
        "batch_repeat_interleave",
        lambda cache, times: (begun.append(cache.get_seq_length()), repeat(cache, times)),
    )
    words = Prompt(instruction="What digit is drawn here?")
    asked = [words.instruction + "\n" + text for text in prompts]
    once = scores(nano, asked, labels, words)
    assert max(begun) > len(words.instruction) / 2
    begun.clear()
    apart = scores(nano, asked, labels, words, share=False)
    alone = scores(nano, asked, labels, words, batch_size=1)
    if labels == DIGITS:
        assert not begun
    np.testing.assert_allclose(once, apart, atol=1e-4)
    np.testing.assert_allclose(once, alone, atol=1e-4)


def test_labels_of_several_tokens_score_the_same_after_kept_keys_as_read_whole(nano, prompts):
    labels = ["5", "T-shirt", "T-shirt/top", "12", "13"]
    kept = scores(nano, prompts, labels, batch_size=8)
    plain = AutoModelForCausalLM.from_config(nano.model.config).eval()
    plain.load_state_dict(nano.model.state_dict())
    del plain.config.rope_parameters  # then no mask is taken, and every ending is read whole
    whole = scores(replace(nano, model=plain), prompts, labels, batch_size=8)
    np.testing.assert_allclose(kept, whole, atol=1e-4)


def test_batches_hold_every_sequence_once_and_those_of_like_beginning_together():
    sequences = [[1, 2], [3, 4, 5], [1, 9], [2, 2], [3, 4, 6], [1, 2]]
    assert list(passes.in_batches(sequences, 2, "cuda")) == [[1, 4], [0, 5], [2, 3]]
    long = [[0] * 1500 for _ in range(4)]
    assert [len(batch) for batch in passes.in_batches(long, 3, "cpu")] == [1, 1, 1, 1]
    assert [len(batch) for batch in passes.in_batches(long, 3, "cuda")] == [3, 1]


def test_a_shared_beginning_leaves_what_is_kept():
    assert passes.shared_beginning([[1, 2, 3], [1, 2, 4]], 1) == 2
    assert passes.shared_beginning([[1, 2, 3], [1, 2, 3]], 2) == 1
    assert passes.shared_beginning([[1], [1, 2, 3]], 1) == 0


def test_the_best_label_is_the_one_with_the_highest_score(nano):
    texts = encode_batch(load_split(open_source("bundled"), "validation").pixels[:6])
    words = Prompt(question="{ASCII_image}What is it?", answer=" a {Response}")
    asked = [Request.about(words, text, DIGITS) for text in texts]
    found = scores(nano, [words.ask(text) for text in texts], DIGITS, words)
    done = []
    best = Model(nano).best(asked, batch_size=4, progress=done.append)
    assert best == found.argmax(axis=1).tolist()
    assert done == [4, 2]


def test_the_end_token_is_scored_only_where_one_label_continues_another(nano):
    plain = Completions.of(nano.tokenizer, list(map(Prompt().reply, ["1", "2"])))
    assert [len(rest) for rest in plain.rests] == [1, 1]
    nested = Completions.of(nano.tokenizer, list(map(Prompt().reply, ["1", "10"])))
    assert all(rest[-1] == nano.tokenizer.eos_token_id for rest in nested.rests)


def test_labels_that_cannot_be_told_apart_are_refused(nano):
    with pytest.raises(ModelError, match="same tokens"):
        Completions.of(nano.tokenizer, list(map(Prompt().reply, ["1", "1"])))


def test_a_prompt_longer_than_the_window_is_refused_by_number(nano):
    long = encode_batch(np.zeros((1, 900, 40), np.uint8))[0] * 12
    with pytest.raises(PromptTooLongError, match=r"picture 2: .* exceed") as caught:
        scores(nano, ["x", long, "x", long], DIGITS)
    assert list(caught.value.reasons) == [2, 4]
    assert str(caught.value) == f"picture 2: {caught.value.reasons[2]}"
    again = pickle.loads(pickle.dumps(caught.value))  # as a worker sends it
    assert (str(again), again.reasons) == (str(caught.value), caught.value.reasons)


def test_what_does_not_fit_is_told_before(nano):
    long = "x" * 5000
    model, asked = Model(nano), requests(["a", long, "b", long], DIGITS)
    assert list(model.too_long(asked)) == [1, 3]
    assert not model.too_long([asked[0], asked[2]])
    assert len(model.score([asked[0], asked[2]])) == 2


def test_a_prompt_that_can_be_scored_can_be_written_on(nano):
    longest = Completions.of(nano.tokenizer, list(map(Prompt().reply, DIGITS))).longest
    text = "x"
    while len(prompt_ids(nano.tokenizer, [text])[0]) + longest < nano.window:
        text += "x"
    assert scores(nano, [text], DIGITS).shape == (1, 10)
    beside = ["x", text, "y"]
    together = replies(nano, beside, DIGITS)
    assert together == [replies(nano, [one], DIGITS)[0] for one in beside]
    assert len(nano.tokenizer(together[1])["input_ids"]) <= longest


def test_a_batch_in_half_precision_is_not_taken_for_one_that_differs(nano, prompts, capsys):
    model = load_model("nano", seed=3).model  # not checked yet
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2) if weight.dim() > 1 else None
    with torch.autocast("cpu", torch.bfloat16):  # as validation in training
        scores(replace(nano, model=model), prompts, DIGITS)
    assert capsys.readouterr().err == ""


def test_equal_lengths_need_no_mask_and_padding_stands_on_the_left():
    assert "attention_mask" not in left_padded([[5, 6], [7, 8]], pad=0)
    batch = left_padded([[5], [7, 8]], pad=9)
    assert batch["input_ids"].tolist() == [[9, 5], [7, 8]]
    assert batch["attention_mask"].tolist() == [[0, 1], [1, 1]]
    assert batch["position_ids"].tolist() == [[0, 0], [0, 1]]


def test_probabilities_sum_to_one_even_for_tiny_likelihoods():
    chances = probabilities(np.array([[-900.0, -901.0, -2000.0]], dtype=np.float32))
    assert chances.sum() == pytest.approx(1)
    assert chances[0, 0] == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-5)


FAMILIES = {
    "GPTNeoConfig": {
        "hidden_size": 32,
        "num_layers": 4,
        "num_heads": 2,
        "attention_types": [[["global", "local"], 2]],
        "window_size": 16,
    },
    "MptConfig": {"d_model": 32, "n_layers": 2, "n_heads": 2, "max_seq_len": 512},
    "RwkvConfig": {"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32},
    "RecurrentGemmaConfig": {"num_hidden_layers": 3, "num_attention_heads": 2, "lru_width": 32},
    "GPT2Config": {"n_embd": 32, "n_layer": 2, "n_head": 2},
}
FAMILIES["RecurrentGemmaConfig"] |= {"hidden_size": 32, "intermediate_size": 64}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("labels", [DIGITS[:3], ["cat", "cats", "dog"]])
def test_every_family_scores_a_prompt_in_a_batch_as_alone(nano, prompts, family, labels, capsys):
    tokenizer = nano.tokenizer
    config = getattr(transformers, family)(
        vocab_size=len(tokenizer),
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **FAMILIES[family],
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    for weight in model.parameters():  # so that positions far away matter
        torch.nn.init.normal_(weight, std=0.5) if weight.dim() > 1 else None
    loaded = replace(nano, model=model, name=family)
    asked = ["Which of these is drawn in the picture? " + text for text in prompts]
    alone = scores(loaded, asked, labels, batch_size=1, share=False)
    for options in ({}, {"share": False}, {"batch_size": 5}):
        np.testing.assert_allclose(scores(loaded, asked, labels, **options), alone, atol=1e-3)
    written = replies(loaded, asked[:6], labels, batch_size=1)
    assert replies(loaded, asked[:6], labels, batch_size=6) == written
    asker = Model(loaded)
    streams = [asker.stream(text, Writing(60)) for text in asked[:2]]
    step_by_step = [""] * 2
    for steps in zip_longest(*streams):  # by turns
        for row, piece in enumerate(steps):
            step_by_step[row] += piece.text if piece else ""
    assert step_by_step == asker.generate([Request(text) for text in asked[:2]], batch_size=1)
    said = capsys.readouterr().err.splitlines()
    notices = [line for line in said if f"{family}: " in line]
    assert len(notices) == (family != "GPT2Config")  # once a model
    assert all("would change its scores by" in line for line in notices)
