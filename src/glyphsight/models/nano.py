"""``nano``: a small Llama-architecture model made from scratch, with a tokenizer for its pictures.

Nano's tokenizer keeps a text as it is and splits it into tokens that suit the profile of the
pictures. In the published format a row of 20 glyphs is three tokens: the tags before it with its
first 6 glyphs, then 7 and 7. A picture of 20x11 cells is 34 tokens where SmolLM2's tokenizer makes
198. An answer that the training data give often is one token, and so is a word that their questions
hold often. LOG.md has what other ways gave.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from glyphsight.codec import PUBLISHED, Profile

NAME = "nano"
WINDOW = 2048  # longest sequence that nano takes, in tokens

_RUNS = 2187  # most runs of the longest kind: 7 of three glyphs, 4 of five, 2 of sixteen
_MERGED_ROWS = 11  # rows whose tags are one token with the glyphs after them
_MAX_ROWS = 64
_PAD, _EOS = "<pad>", "<eos>"


@dataclass(frozen=True)
class MadeFor:
    """The texts that the tokenizer of a fresh ``nano`` is made for."""

    profile: Profile = PUBLISHED  # profile of the pictures
    # Answers, and words of questions, that are one token each, with the space before them
    answers: tuple[str, ...] = ()


FOR_PUBLISHED = MadeFor()


@dataclass(frozen=True)
class Splitting:
    """The way that pictures as text are split into tokens."""

    glyphs: str  # glyphs of the pictures, dark to bright
    longest: int  # largest number of glyphs per token; one less where it begins a row
    openings: tuple[str, ...]  # texts before a row that are one token with the row's first glyphs

    @property
    def glyph(self) -> str:
        """Regular expression of one glyph."""
        return f"[{re.escape(self.glyphs)}]"

    def runs(self, length: int) -> Iterator[str]:
        """Yield every run of ``length`` glyphs."""
        return map("".join, itertools.product(self.glyphs, repeat=length))


def splitting_for(profile: Profile = PUBLISHED) -> Splitting:
    """Return the splitting that suits a profile; for formats without one, the published one.

    Rows of ``seed`` begin with their tags, those of ``plain`` with the end of the line before.
    """
    if profile.format not in ("seed", "plain"):
        profile = PUBLISHED
    longest = 2
    while len(profile.palette) ** (longest + 1) <= _RUNS:
        longest += 1
    rows = range(1, _MERGED_ROWS + 1)
    openings = ("\n",) if profile.format == "plain" else tuple(map(_opening, rows))
    return Splitting(profile.palette, longest, openings)


def _opening(row: int) -> str:
    return f"</row:{row - 1}>\n<row:{row}>" if row > 1 else "<row:1>"


def _vocabulary(splitting: Splitting, answers: tuple[str, ...]) -> dict[str, int]:
    """Number every token of nano; a text that no token covers falls back to bytes."""
    tokens = [_PAD, _EOS]
    tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += [chr(code) for code in range(33, 127)] + ["\n"]
    for length in range(1, splitting.longest + 1):
        tokens += splitting.runs(length)
    for opening in splitting.openings:
        tokens += [opening + run for run in splitting.runs(splitting.longest - 1)]
    tokens += [_opening(row) for row in range(1, _MAX_ROWS + 1)]
    tokens += [f"</row:{row}>\n" for row in range(1, _MAX_ROWS + 1)]
    tokens += ["Response:"]
    tokens += [f" {chr(code)}" for code in range(33, 127) if chr(code).isalnum()]
    tokens += [f" {answer}" for answer in answers]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


def make_backend(made_for: MadeFor = FOR_PUBLISHED) -> Any:
    """Make nano's tokenizer for the ``tokenizers`` library."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    splitting = splitting_for(made_for.profile)
    vocabulary = _vocabulary(splitting, made_for.answers)
    backend = Tokenizer(
        models.BPE(vocab=vocabulary, merges=[], ignore_merges=True, byte_fallback=True)
    )
    openings = "|".join(re.escape(opening) for opening in reversed(splitting.openings))
    answers = [re.escape(one) for one in sorted(made_for.answers, key=len, reverse=True)]
    words = [one for one in answers if re.match(r"\w", one)]
    pieces = [
        rf"(?:{openings}){splitting.glyph}{{{splitting.longest - 1}}}",
        r"</row:\d+>\n<row:\d+>",
        r"</row:\d+>\n",
        r"<row:\d+>",
        r"Response:",
        # One lookahead for all words: a picture is full of spaces
        *([rf" (?=\w)(?:{'|'.join(words)})(?!\w)"] if words else []),
        *(rf" {one}(?!\w)" for one in answers if one not in words),
        r" [0-9A-Za-z]",
        rf"{splitting.glyph}{{1,{splitting.longest}}}",
    ]
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("|".join(pieces)), behavior="isolated")
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return backend


def make_tokenizer(made_for: MadeFor = FOR_PUBLISHED) -> Any:
    """Make nano's tokenizer for transformers."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=make_backend(made_for),
        pad_token=_PAD,
        eos_token=_EOS,
        model_max_length=WINDOW,
        clean_up_tokenization_spaces=False,
    )


def _embeddings(vocabulary: dict[str, int], splitting: Splitting, width: int) -> Any:
    """Draw embeddings that are alike where the pictures are alike.

    A token of glyphs is the sum of a random vector for each position and level, and one for its
    opening; other tokens are random. So a fresh model treats neighbouring patterns alike.
    """
    import torch

    levels = torch.randn(splitting.longest, len(splitting.glyphs), width) / splitting.longest**0.5
    lengths = torch.randn(splitting.longest + 1, width)
    lengths[splitting.longest] = 0
    begins = {opening: torch.randn(width) for opening in splitting.openings}
    table = torch.randn(len(vocabulary), width)
    glyphs = re.compile(f"(.*?)({splitting.glyph}+)", re.DOTALL)
    by_length: dict[int, list[tuple[int, str, str]]] = {}
    for token, index in vocabulary.items():
        match = glyphs.fullmatch(token)
        if match is not None and match[1] in {"", *begins}:
            by_length.setdefault(len(match[2]), []).append((index, match[1], match[2]))
    for length, some in by_length.items():  # at once: one by one takes ten times as long
        codes = torch.tensor([list(map(splitting.glyphs.index, text)) for _, _, text in some])
        sums = torch.stack([levels[at, codes[:, at]] for at in range(length)]).sum(dim=0)
        sums += torch.stack([begins[first] if first else lengths[length] for _, first, _ in some])
        table[[index for index, _, _ in some]] = sums
    return table * 0.2


def _byte_embeddings(tokens: list[str], width: int) -> Any:
    """Draw embeddings for another tokenizer's tokens, alike where their texts are alike.

    A token is the mean of a random vector for each position and character in it (a byte, in a
    byte-level vocabulary), scaled so that every token has the same length on average.
    """
    import torch

    longest = max(map(len, tokens))
    known = {character: code for code, character in enumerate(sorted(set("".join(tokens))))}
    vectors = torch.randn(longest * len(known), width)
    rows = [index for index, token in enumerate(tokens) for _ in token]
    cells = [at * len(known) + known[c] for token in tokens for at, c in enumerate(token)]
    table = torch.zeros(len(tokens), width)
    table.index_add_(0, torch.tensor(rows), vectors[torch.tensor(cells)])
    counts = torch.tensor([max(1, len(token)) for token in tokens], dtype=torch.float32)
    return table / counts.sqrt()[:, None] * 0.2


def make_nano(
    seed: int, tokenizer: Any = None, made_for: MadeFor = FOR_PUBLISHED
) -> tuple[Any, Any]:
    """Make a fresh nano model and its tokenizer; the same weights for the same seed.

    The embeddings serve for the output too, which loses nothing and saves a third of the weights;
    not so with the published splitting, since the shipped runs have an output layer of their own.
    ``tokenizer``, a ``PreTrainedTokenizerFast``, is taken in place of nano's own.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    own = tokenizer is None
    splitting = splitting_for(made_for.profile)
    tokenizer = make_tokenizer(made_for) if own else tokenizer
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=WINDOW,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
        tie_word_embeddings=not own or splitting != splitting_for(),
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    vocabulary = tokenizer.get_vocab()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        if own:
            table = _embeddings(vocabulary, splitting, config.hidden_size)
        else:
            table = _byte_embeddings(sorted(vocabulary, key=vocabulary.__getitem__), 128)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(table)
    return model, tokenizer
