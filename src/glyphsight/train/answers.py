"""Give a trained ``nano`` a token for each new answer, and fit answers to the pictures at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from glyphsight.inference.passes import left_padded
from glyphsight.models import LoadedModel, nano
from glyphsight.models.load import keep_head_fast
from glyphsight.models.nano import MadeFor
from glyphsight.train.data import Example

_LONGEST = 40
_PENALTY = 15.0  # of 1.5 to 50, on pictures that no test has (LOG.md, 2026-11-30)
_MOST_EXAMPLES = 4096  # shared by the answers
_BATCH = 64


def add_answers(
    loaded: LoadedModel, made_for: MadeFor, replies: Sequence[str]
) -> tuple[LoadedModel, MadeFor]:
    """Add a token for every reply that takes several; its output row is zero until it is fitted.

    Args:
        loaded: A run of ``nano``, not an adapter.
        made_for: Texts that its tokenizer is made for.
        replies: Whole replies. One that is longer than 40 characters, has several lines or does
            not begin with a space stays spelled.

    Returns:
        The model with its tokenizer, and the texts that this one is made for; both as given where
        nothing is new, or where the tokenizer is not nano's own.
    """
    known = loaded.tokenizer.get_vocab()
    whole = [one for one in replies if one[:1] == " " and len(one.splitlines()) == 1]
    new = [one[1:] for one in whole if one not in known and 1 < len(one) <= _LONGEST + 1]
    more = replace(made_for, answers=(*made_for.answers, *new))
    tokenizer = nano.make_tokenizer(more) if new else loaded.tokenizer
    numbers = tokenizer.get_vocab()
    if not new or any(numbers.get(token) != number for token, number in known.items()):
        return loaded, made_for
    _untie(loaded.model)
    loaded.model.resize_token_embeddings(len(numbers), mean_resizing=False)
    keep_head_fast(loaded.model)
    read = loaded.model.get_input_embeddings().weight.data
    # They are read as the answers before, so that the same follows them: the end.
    labels = loaded.run.labels if loaded.run else []
    before = [known[f" {one}"] for one in labels if f" {one}" in known]
    read[len(known) :] = read[before or slice(len(known))].mean(0)
    loaded.model.get_output_embeddings().weight.data[len(known) :] = 0
    return replace(loaded, tokenizer=tokenizer), more


def _untie(model: Any) -> None:
    """Give the output weights of its own, where it shares those of the input embeddings."""
    if model.config.tie_word_embeddings:
        model.config.tie_word_embeddings = False
        head = model.get_output_embeddings()
        head.weight = torch.nn.Parameter(head.weight.detach().clone())


def fit_answers(loaded: LoadedModel, examples: Sequence[Example], first: int) -> None:
    """Fit the output rows of the examples' answers to their pictures, all other weights fixed.

    It is a logistic regression among the answers, on the hidden states in which they are chosen;
    a row moves from where it is. What the rows of tokens from ``first`` on, the new ones, share
    lifts them above all other tokens. An answer of several tokens is left out. Rows out of hidden
    states: Qi, Brown & Lowe 2018, "Low-Shot Learning with Imprinted Weights".
    """
    one_token = [x for x in examples if x.answer_tokens == 2 and not (x.is_text or x.as_base)]
    told = sorted({one.ids[-2] for one in one_token})
    if not told:
        return
    most, counts, own, numbers = _MOST_EXAMPLES // len(told) + 1, Counter[int](), [], []
    for one in one_token:
        counts[one.ids[-2]] += 1
        if counts[one.ids[-2]] <= most:
            own.append(one)
            numbers.append(counts[one.ids[-2]])
    _untie(loaded.model)
    rows = loaded.model.get_output_embeddings().weight.data
    hidden = _hidden_states(loaded, own)
    wanted = torch.tensor([told.index(one.ids[-2]) for one in own])
    before = hidden @ rows.float().cpu().T
    others = before.index_fill(1, torch.tensor(told), -torch.inf).logsumexp(1)
    before, is_new = before[:, told], torch.tensor([float(token >= first) for token in told])
    spread = hidden.std(0, correction=0).clamp_min(0.1 * float(hidden.std()))
    scaled = hidden / spread
    fit = partial(_fit, is_new=is_new)
    odd = torch.tensor(numbers) % 2 == 1  # of each answer every second, in whatever order
    moved = fit(scaled, before, others, wanted)
    # The penalty keeps the answers' scores near each other; how far apart they may be, halves tell.
    apart = []
    for half in (odd, ~odd):
        change = fit(scaled[half], before[half], others[half], wanted[half])
        apart.append((before + scaled @ change.T)[~half])
    told_apart = torch.cat([wanted[~odd], wanted[odd]])
    scales = [1 + number / 4 for number in range(37)]
    losses = [float(F.cross_entropy(scale * torch.cat(apart), told_apart)) for scale in scales]
    scale = scales[losses.index(min(losses))]
    fitted = rows[told].float().cpu() + moved / spread
    rows[told] = (fitted.mean(0) + scale * (fitted - fitted.mean(0))).to(rows)


def _fit(scaled: Any, before: Any, others: Any, wanted: Any, is_new: Any) -> Any:
    """Return the moves of the answers' rows, float32[K, D], that suit N pictures.

    Args:
        scaled: Hidden states, float32[N, D].
        before: Scores of the answers, float32[N, K].
        others: Logarithm of what all other tokens have, float32[N].
        wanted: Place of the right answer, int64[N].
        is_new: 1 for a new answer, else 0, float32[K].
    """
    moved = torch.zeros(before.shape[1], scaled.shape[1], requires_grad=True)
    shared = torch.zeros(scaled.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([moved, shared], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Any:
        optimizer.zero_grad()
        own_part, lift = scaled @ moved.T, (scaled @ shared)[:, None] * is_new
        among = F.cross_entropy(before + own_part + lift, wanted, reduction="sum")
        answers = (before + own_part.detach() + lift).logsumexp(1)
        above = F.softplus(others - answers).sum()
        total = among + above + _PENALTY * moved.square().sum() + shared.square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    return (moved + is_new[:, None] * shared).detach()


def _hidden_states(loaded: LoadedModel, examples: Sequence[Example]) -> Any:
    """Return the last hidden states before the answers, float32[N, D]."""
    was_training, found = loaded.model.training, []
    loaded.model.eval()
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        for start in range(0, len(examples), _BATCH):
            prompts = [one.ids[: -one.answer_tokens] for one in examples[start : start + _BATCH]]
            batch = left_padded(prompts, loaded.tokenizer.pad_token_id)
            batch = {name: part.to(loaded.model.device) for name, part in batch.items()}
            found.append(loaded.model.model(**batch).last_hidden_state[:, -1].float().cpu())
    loaded.model.train(was_training)
    return torch.cat(found)
