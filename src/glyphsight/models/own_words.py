"""What a base model writes by itself: text to keep its language by, where none is at hand."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from glyphsight.console import progress_bar
from glyphsight.dataset.storage import checksum
from glyphsight.errors import ModelError
from glyphsight.files import alone, cache_dir, replacing
from glyphsight.models import nano
from glyphsight.models.load import load_model

_TEXTS = 512
_LENGTH = 128  # tokens a text
_BATCH = 64
_TOP_K = 50  # what is unlikelier makes small models ramble


def own_words(base: str, seed: int = 0) -> Path:
    """A file of texts that a base model wrote; made once (minutes on a CPU), then kept.

    Each text begins at the model's opening token, or its end-of-text token where it has none, and
    is sampled at temperature 1 from the 50 likeliest tokens (Fan et al. 2018).

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
    made_by = f"{base} {weights} {seed} {_TEXTS} {_LENGTH} {_TOP_K}"
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
    begin = torch.full((_BATCH, 1), opening, device=loaded.model.device)
    texts: list[str] = []
    with (
        torch.random.fork_rng(),
        torch.inference_mode(),
        progress_bar(total=_TEXTS, desc=f"{loaded.name} writes", unit="text") as bar,
    ):
        torch.manual_seed(seed)
        while len(texts) < _TEXTS:
            written = loaded.model.generate(
                input_ids=begin,
                attention_mask=torch.ones_like(begin),
                max_new_tokens=_LENGTH,
                min_new_tokens=_LENGTH // 2,
                do_sample=True,
                temperature=1.0,
                top_k=_TOP_K,
                top_p=1.0,
                repetition_penalty=1.0,
                pad_token_id=tokenizer.pad_token_id,
            )
            texts += tokenizer.batch_decode(written[:, 1:], skip_special_tokens=True)
            bar.update(_BATCH)
    return texts[:_TEXTS]
