"""What a base model writes by itself: text to keep its language by, where none is at hand."""

from __future__ import annotations

import random
from hashlib import sha256
from pathlib import Path

from glyphsight.console import progress_bar
from glyphsight.errors import ModelError
from glyphsight.files import alone, cache_dir, checksum, replacing
from glyphsight.inference.passes import left_padded
from glyphsight.inference.tokenize import prompt_ids
from glyphsight.models import nano
from glyphsight.models.load import load_model

_TEXTS = 512
_LENGTH = 128  # tokens a text
_SUMS = 1024
_ANSWER = 6  # tokens after a sum
_BATCH = 64
_TOP_K = 50  # what is unlikelier makes small models ramble


def own_words(base: str, seed: int = 0) -> Path:
    """A file of texts that a base model wrote; made once (minutes on a CPU), then kept.

    A third of them begin at the model's opening token, or its end-of-text token where it has none.
    The others, a line each, go on from a sum or a row of numbers whose first is 11 to 99: who is
    taught to answer with numbers forgets first what else follows them. All are sampled at
    temperature 1 from the 50 likeliest tokens (Fan et al. 2018).

    It is made anew where a directory holds other weights; of a hub id the name decides.

    Args:
        base: Name of the model, as :func:`load_model` takes it.
        seed: Of the sampling.

    Raises:
        ModelError: The model cannot be loaded, or is a ``nano``, which has no language.
    """
    if base == nano.NAME:
        raise ModelError("text_share: a nano has no words of its own; give text_file")
    weights = checksum(sorted(Path(base).glob("*.safetensors"))) if Path(base).is_dir() else ""
    made_by = f"{base} {weights} {seed} {_TEXTS} {_LENGTH} {_SUMS} {_ANSWER} {_TOP_K}"
    kept = cache_dir() / "own-words" / f"{sha256(made_by.encode()).hexdigest()[:12]}.txt"
    with alone(kept):
        if not kept.is_file():
            texts = _sampled(base, seed)
            with replacing(kept) as stream:
                stream.write("\n\n".join(texts) + "\n")
    return kept


def _sampled(base: str, seed: int) -> list[str]:
    import torch

    loaded = load_model(base)
    tokenizer = loaded.tokenizer
    opening = tokenizer.bos_token_id
    if opening is None:
        opening = next(iter(loaded.end_tokens), None)
    if opening is None:
        raise ModelError(f"{base}: has no token to begin a text with; give text_file")
    with (
        torch.random.fork_rng(),
        torch.inference_mode(),
        progress_bar(total=_TEXTS + _SUMS, desc=f"{loaded.name} writes", unit="text") as bar,
    ):
        torch.manual_seed(seed)

        def go_on(begun: list[list[int]], length: int) -> list[str]:
            """The beginnings with what the model writes after them, half of ``length`` at least."""
            texts: list[str] = []
            for start in range(0, len(begun), _BATCH):
                read = left_padded(begun[start : start + _BATCH], tokenizer.pad_token_id)
                ids = read["input_ids"].to(loaded.model.device)
                mask = read.get("attention_mask", torch.ones_like(ids)).to(ids.device)
                written = loaded.model.generate(
                    input_ids=ids,
                    attention_mask=mask,
                    max_new_tokens=length,
                    min_new_tokens=length // 2,
                    do_sample=True,
                    temperature=1.0,
                    top_k=_TOP_K,
                    top_p=1.0,
                    repetition_penalty=1.0,
                    pad_token_id=tokenizer.pad_token_id,
                )
                texts += tokenizer.batch_decode(written, skip_special_tokens=True)
                bar.update(len(ids))
            return [text.strip("\n") for text in texts]

        free = go_on([[opening]] * _TEXTS, _LENGTH)
        answered = go_on(prompt_ids(tokenizer, _sums(seed, _SUMS)), _ANSWER)
    return free + [text.splitlines()[0] for text in answered]


def _sums(seed: int, count: int) -> list[str]:
    """Sums and rows of numbers, each up to where its answer is due."""
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        first, step = rng.randint(11, 99), rng.randint(1, 9)
        sign = rng.choice("+-x,")
        if sign == ",":
            texts.append(", ".join(str(first + n * step) for n in range(rng.randint(2, 5))) + ",")
        else:
            texts.append(f"{first} {sign} {rng.randint(1, 99)} =")
    return texts
