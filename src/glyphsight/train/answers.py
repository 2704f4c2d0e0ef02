"""Give a trained ``nano`` a token for each new answer, its row fitted before the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from glyphsight.inference.passes import left_padded
from glyphsight.models import LoadedModel, nano
from glyphsight.models.nano import MadeFor
from glyphsight.train.data import Example

_LONGEST = 40
_PENALTY = 15.0
_MOST_EXAMPLES = 4096
_BATCH = 64


def add_answers(
    loaded: LoadedModel, made_for: MadeFor, answers: Sequence[str]
) -> tuple[LoadedModel, MadeFor]:
    """Add a token for every answer that takes several; its output row is zero until it is fitted.

    Args:
        loaded: A run of ``nano``, not an adapter.
        made_for: Texts that its tokenizer is made for.
        answers: Answers of one line; long ones stay spelled.

    Returns:
        The model with its tokenizer, and the texts that this one is made for; both as given where
        nothing is new, or where the tokenizer is not nano's own.
    """
    known = loaded.tokenizer.get_vocab()
    new = [one for one in answers if f" {one}" not in known and 0 < len(one) <= _LONGEST]
    new = [one for one in new if len(one.splitlines()) == 1]
    more = replace(made_for, answers=(*made_for.answers, *new))
    tokenizer = nano.make_tokenizer(more)
    numbers = tokenizer.get_vocab()
    if not new or any(numbers.get(token) != number for token, number in known.items()):
        return loaded, made_for
    loaded.model.resize_token_embeddings(len(numbers), mean_resizing=False)
    read = loaded.model.get_input_embeddings().weight.data
    written = loaded.model.get_output_embeddings().weight.data
    # Read as the answers before, so that the same follows them: the end. Where the embeddings
    # serve for the output too, the fitted row has the last word.
    labels = loaded.run.labels if loaded.run else []
    before = [known[f" {one}"] for one in labels if f" {one}" in known]
    read[len(known) :] = read[before or slice(len(known))].mean(0)
    written[len(known) :] = 0
    return replace(loaded, tokenizer=tokenizer), more


def fit_answers(loaded: LoadedModel, examples: Sequence[Example], first: int) -> None:
    """Fit the output rows of tokens from ``first`` on to the pictures, all other weights fixed.

    It is a logistic regression among the answers, on the hidden states in which they are chosen.
    What the new rows share then lifts them above all tokens that were known. Rows out of hidden
    states: Qi, Brown & Lowe 2018, "Low-Shot Learning with Imprinted Weights".
    """
    told = {one.ids[-one.answer_tokens] for one in examples if not one.is_text}
    own = [one for one in examples if one.ids[-one.answer_tokens] >= first]
    step = -(-len(own) // _MOST_EXAMPLES)
    hidden, tokens = _hidden_states(loaded, own[::step])
    rows = loaded.model.get_output_embeddings().weight.data
    known = hidden @ rows[:first].T.cpu()
    asked = known[:, sorted(token for token in told if token < first)]
    spread = hidden.std(0, correction=0).clamp_min(1e-6)
    scaled, wanted = hidden / spread, tokens - first + asked.shape[1]
    fitted = torch.zeros(len(rows) - first, hidden.shape[1], requires_grad=True)
    shared = torch.zeros(hidden.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([fitted, shared], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Any:
        optimizer.zero_grad()
        scores, lift = scaled @ fitted.T, (scaled @ shared)[:, None]
        among = F.cross_entropy(torch.cat([asked, scores + lift], 1), wanted, reduction="sum")
        best = scores.detach().logsumexp(1) + lift[:, 0]
        above = F.softplus(known.logsumexp(1) - best).sum()
        total = among + above + _PENALTY * fitted.square().sum() + shared.square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    rows[first:] = ((fitted + shared) / spread).detach().to(rows)


def _hidden_states(loaded: LoadedModel, examples: Sequence[Example]) -> tuple[Any, Any]:
    """Return the last hidden states before the answers, float32[N, D], and the answers' tokens."""
    was_training, found = loaded.model.training, []
    loaded.model.eval()
    with torch.no_grad():
        for start in range(0, len(examples), _BATCH):
            prompts = [one.ids[: -one.answer_tokens] for one in examples[start : start + _BATCH]]
            batch = left_padded(prompts, loaded.tokenizer.pad_token_id)
            batch = {name: part.to(loaded.model.device) for name, part in batch.items()}
            found.append(loaded.model.model(**batch).last_hidden_state[:, -1].float().cpu())
    loaded.model.train(was_training)
    return torch.cat(found), torch.tensor([one.ids[-one.answer_tokens] for one in examples])
