"""``nano``: a small Llama-architecture model made from scratch, with a tokenizer for the format.

The text stays the published text; only its cut into tokens is nano's own: a run of up to
``CELLS`` glyphs inside a row is one token, a closing tag with the next opening tag is one token.
What other cuts gave is in LOG.md.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

NAME = "nano"
CELLS = 5
_GLYPHS = " ▓█"
_MAX_ROWS = 64
_PAD, _EOS = "<pad>", "<eos>"


def _vocabulary() -> dict[str, int]:
    """Every token nano knows; what is in none of them falls back to bytes."""
    tokens = [_PAD, _EOS]
    tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += [chr(code) for code in range(33, 127)] + ["\n"]
    for length in range(1, CELLS + 1):
        tokens += ["".join(run) for run in itertools.product(_GLYPHS, repeat=length)]
    for row in range(1, _MAX_ROWS + 1):
        tokens += [f"<row:{row}>", f"</row:{row}>\n", f"</row:{row}>\n<row:{row + 1}>"]
    tokens += ["Response:"]
    tokens += [f" {chr(code)}" for code in range(33, 127) if chr(code).isalnum()]
    return {token: index for index, token in enumerate(tokens)}


def make_tokenizer() -> Any:
    """Nano's tokenizer, an ordinary ``PreTrainedTokenizerFast``."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(
        models.BPE(vocab=_vocabulary(), merges=[], ignore_merges=True, byte_fallback=True)
    )
    pieces = [
        r"</row:\d+>\n<row:\d+>",
        r"</row:\d+>\n",
        r"<row:\d+>",
        r"Response:",
        r" [0-9A-Za-z]",
        rf"[{re.escape(_GLYPHS)}]{{1,{CELLS}}}",
    ]
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("|".join(pieces)), behavior="isolated")
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=_PAD,
        eos_token=_EOS,
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )


def _cell_embeddings(vocabulary: dict[str, int], width: int, scale: float) -> Any:
    """Embeddings of runs of glyphs that are alike where the runs are alike.

    Each run's row is the sum over its cells of a random direction for the cell's place, times the
    cell's brightness from -1 to 1; every other token's row is random.

    Returns:
        float32[V, width], standard deviation about ``scale``.
    """
    import torch

    table = torch.randn(len(vocabulary), width) * scale
    places = torch.randn(CELLS, width) * scale
    length_marks = torch.randn(CELLS + 1, width) * scale
    for token, index in vocabulary.items():
        if 1 <= len(token) <= CELLS and set(token) <= set(_GLYPHS):
            brightness = torch.tensor([_GLYPHS.index(glyph) - 1.0 for glyph in token])
            table[index] = brightness @ places[: len(token)]
            if len(token) < CELLS:
                table[index] += length_marks[len(token)]
    return table


def make_nano(seed: int) -> tuple[Any, Any]:
    """A fresh nano model and its tokenizer; the same weights for the same seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        table = _cell_embeddings(tokenizer.get_vocab(), config.hidden_size, 0.1)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(table)
    return model, tokenizer
