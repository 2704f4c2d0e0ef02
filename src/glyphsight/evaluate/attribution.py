"""Attributions: how much each cell of a text speaks for an answer.

``occlusion`` asks the model again with a part of the picture blotted out (Zeiler & Fergus 2014). It
works with every format. ``gradient`` multiplies the embedding of each token by the gradient of the
answer (Shrikumar et al. 2016) and spreads the product over the token's cells. It takes one pass
forward and one back, and needs a format that writes cells one by one. It is a coarser estimate: all
cells of one token are alike to it.

Both give changes of the label's log-odds, ``log(p / (1 - p))``, in nats (the weight of evidence of
Robnik-Sikonja & Kononenko 2008). They order cells as the log-probability does, which stays at 0
where a model is sure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.formats import cell_offsets, get_format
from glyphsight.console import progress_bar
from glyphsight.errors import ModelError
from glyphsight.inference import Model, Request
from glyphsight.inference.score import Completions
from glyphsight.inference.tokenize import prompt_ids
from glyphsight.models import LoadedModel, RunRecord
from glyphsight.models.runs import Task


@dataclass(frozen=True)
class Attribution:
    """Map of how much each cell speaks for a label."""

    method: str  # ``occlusion`` or ``gradient``
    label: str  # label the cells speak for or against
    # float32[rows, columns], nats of log-odds; positive speaks for the label, negative against it
    cells: NDArray[np.float32]


def _asked(loaded: LoadedModel, question: str | None) -> tuple[RunRecord, Task]:
    run = loaded.run or Model(loaded).trained
    task = run.task(question)
    if len(task.labels) < 2:
        has = "has one label alone" if task.labels else "writes its answer freely"
        raise ModelError(
            f"{loaded.name}: {has}, so nothing speaks for or against it; "
            "train on two labels or more"
        )
    return run, task


def _column(task: Task, label: str) -> int:
    if label not in task.labels:
        raise ModelError(
            f"label {label!r} is none of the model's; give one of {', '.join(task.labels)}"
        )
    return task.labels.index(label)


def _log_odds(
    loaded: LoadedModel, run: RunRecord, task: Task, texts: Sequence[str], quiet: bool
) -> NDArray[np.float64]:
    """Compute the log-odds of every label against the others, float64[N, L]."""
    asked = [Request.about(run.prompt, text, task.labels, task.question) for text in texts]
    bar = progress_bar(len(texts), "text", "occlusion", delay=2, leave=False, disable=quiet)
    with bar:
        scores = np.array(Model(loaded).score(asked, progress=bar.update), np.float64)
    odds = np.empty_like(scores)
    for column in range(len(task.labels)):
        others = np.delete(scores, column, axis=1)
        odds[:, column] = scores[:, column] - np.logaddexp.reduce(others, axis=1)
    return odds


def occlusion(
    loaded: LoadedModel,
    text: str,
    label: str | None = None,
    *,
    question: str | None = None,
    quiet: bool = False,
) -> Attribution:
    """Measure the loss of the label's log-odds when a cell is blotted out.

    Every cell is set to the darkest level in turn and the text asked again. A cell that has this
    level already says nothing and is 0.

    Args:
        loaded: Trained run.
        text: ASCII_Image in the run's format.
        label: Label the cells speak for; None for the model's answer.
        question: Question that is asked; None for the run's first one.
        quiet: True for no progress bar; otherwise one appears where it takes long.

    Raises:
        FormatError: The text is not of the run's format.
        ModelError: The model was not trained with glyphsight, or has no such question or label.
    """
    run, task = _asked(loaded, question)
    form, palette = get_format(run.profile.format), run.profile.palette
    grid = form.read(text, palette)
    ink = np.argwhere(grid)
    changed = np.repeat(grid[None], 1 + len(ink), axis=0)
    changed[np.arange(1, len(changed)), *ink.T] = 0
    odds = _log_odds(loaded, run, task, form.render_batch(changed, palette), quiet)
    column = int(odds[0].argmax()) if label is None else _column(task, label)
    cells = np.zeros(grid.shape, dtype=np.float32)
    cells[tuple(ink.T)] = odds[0, column] - odds[1:, column]
    return Attribution("occlusion", task.labels[column], cells)


def _token_scores(loaded: LoadedModel, ids: list[int], answer: list[int]) -> NDArray[np.float32]:
    """Multiply the gradient of the log-odds by the embeddings, summed per token, float32[T]."""
    import torch

    device = loaded.model.device
    sequence = torch.tensor([ids + answer], device=device)
    embedded = loaded.model.get_input_embeddings()(sequence).detach().requires_grad_()
    with torch.enable_grad():
        logits = loaded.model(
            inputs_embeds=embedded,
            position_ids=torch.arange(sequence.shape[1], device=device)[None],
            logits_to_keep=len(answer) + 1,
            use_cache=False,
        ).logits
        wide, tokens = logits[0, :-1].float(), sequence[0, len(ids) :, None]
        # Odds token by token, from its logit and all others: nothing is lost where it is sure.
        others = wide.scatter(1, tokens, -torch.inf).logsumexp(dim=1)
        likelihood = torch.nn.functional.logsigmoid(wide.gather(1, tokens)[:, 0] - others).sum()
        odds = likelihood - torch.log(-torch.expm1(likelihood))
    [slope] = torch.autograd.grad(odds, [embedded])
    # Against their mean over the prompt: a model that normalises its input before each layer hardly
    # notices the length of embeddings, so that against zero the product would say little.
    read, slope = embedded.detach()[0, : len(ids)].float(), slope[0, : len(ids)].float()
    return np.asarray((slope * (read - read.mean(dim=0))).sum(dim=1).cpu(), dtype=np.float32)


def gradient(
    loaded: LoadedModel, text: str, label: str | None = None, *, question: str | None = None
) -> Attribution:
    """Multiply the gradient of the label's log-odds by the embeddings, spread over cells.

    A token's share goes in equal parts to the cells among its characters. The share of row tags is
    left out where they are tokens of their own. Cells that share a glyph share its part.

    Arguments are those of :func:`occlusion`.

    Raises:
        FormatError: The format does not write cells one by one, or the text is not of it.
        ModelError: As :func:`occlusion`, or the tokenizer does not say which characters a token
            covers.
    """
    run, task = _asked(loaded, question)
    places = cell_offsets(text, run.profile.format, run.profile.palette)
    if label is None:
        label = task.labels[int(_log_odds(loaded, run, task, [text], True)[0].argmax())]
    column = _column(task, label)
    if not getattr(loaded.tokenizer, "is_fast", False):
        raise ModelError(
            f"{loaded.name}: its tokenizer does not say which characters a token covers; "
            "use occlusion"
        )
    asked, turns = run.prompt.ask(text, task.question), loaded.chat
    whole = turns.around(asked) if turns else asked  # as the offsets count
    [ids] = prompt_ids(loaded.tokenizer, [asked], turns)
    told = loaded.tokenizer([whole], add_special_tokens=turns is None, return_offsets_mapping=True)
    offsets = told["offset_mapping"][0][: len(ids)]
    completions = Completions.of(
        loaded.tokenizer, [run.prompt.reply(label) for label in task.labels], turns
    )
    scores = _token_scores(loaded, ids, completions.shared + completions.rests[column])

    empty = run.prompt.ask("\0", task.question)
    start, length = (turns.around(empty) if turns else empty).index("\0"), len(whole)
    held = np.zeros(length + 1, dtype=np.int64)  # cells at each character
    np.add.at(held, start + places[places >= 0], 1)
    a_cell = np.zeros(length + 1, dtype=np.float32)  # what each of them gets
    for (first, end), score in zip(offsets, scores.tolist(), strict=True):
        if count := int(held[first:end].sum()):
            a_cell[first:end] += score / count
    cells = np.where(places >= 0, a_cell[start + places], np.float32(0)).astype(np.float32)
    return Attribution("gradient", label, cells)
