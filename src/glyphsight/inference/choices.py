"""The one scorer where the answers to choose from differ from prompt to prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphsight.dataset import Prompt
from glyphsight.inference.passes import forward, in_batches
from glyphsight.inference.score import Completions, Progress, prompts_within_window
from glyphsight.models.load import LoadedModel


@dataclass(frozen=True)
class _Part:
    """What one sequence scores.

    Attributes:
        row: Whose prompt it starts with.
        read: Token ids of completions after the prompt.
        last: Token ids that may come next, each ending a completion.
        columns: Whose completions those are.
    """

    row: int
    read: list[int]
    last: list[int]
    columns: list[int]


def _parts_of(row: int, completions: Completions) -> list[_Part]:
    """One sequence where the completions differ in a single token, else one a completion."""
    shared, rests = completions.shared, completions.rests
    columns = list(range(len(rests)))
    if all(len(rest) == 1 for rest in rests):
        return [_Part(row, shared, [rest[0] for rest in rests], columns)]
    return [_Part(row, shared + rests[c][:-1], rests[c][-1:], [c]) for c in columns]


def score_choices(
    loaded: LoadedModel,
    prompts: Sequence[str],
    choices: Sequence[Sequence[str]],
    prompt: Prompt,
    *,
    batch_size: int = 32,
    progress: Progress = lambda n: None,
) -> list[NDArray[np.float32]]:
    """Log-likelihood of the completions of choices that differ from prompt to prompt.

    The same figures as :func:`score_labels` gives each prompt with its own choices. Prompts are
    batched together whatever their choices.

    Args:
        loaded: The model.
        prompts: N texts to continue.
        choices: The answers of each, at least one.
        prompt: Makes completions of them.
        batch_size: Sequences in a forward pass; changes speed alone.
        progress: Called with the number of prompts done since the last call.

    Returns:
        N arrays float32[choices], natural logarithm.

    Raises:
        PromptTooLongError: Prompts with their choices exceed the model's window.
        ModelError: Two choices of a prompt cannot be told apart.
    """
    import torch

    if not prompts:
        return []
    known = {
        own: Completions.of(loaded.tokenizer, own, prompt, loaded.chat)
        for own in dict.fromkeys(map(tuple, choices))
    }
    completions = [known[tuple(own)] for own in choices]
    cut = prompts_within_window(loaded, prompts, [own.longest for own in completions])
    scores = [np.empty(len(own), dtype=np.float32) for own in choices]
    parts = [part for row, c in enumerate(completions) for part in _parts_of(row, c)]
    left = np.bincount([part.row for part in parts], minlength=len(prompts))
    sequences = [cut[part.row] + part.read for part in parts]
    with torch.inference_mode():
        for batch in in_batches(sequences, batch_size, loaded.model.device.type):
            chosen = [parts[index] for index in batch]
            keep = max(len(part.read) for part in chosen) + 1
            logprobs = forward(loaded, [sequences[index] for index in batch], keep).logprobs.cpu()
            for part, found in zip(chosen, logprobs, strict=True):
                places = found[keep - 1 - len(part.read) : -1]
                before = places.gather(1, torch.tensor(part.read, dtype=torch.long)[:, None]).sum()
                scores[part.row][part.columns] = (before + found[-1, part.last]).numpy()
                left[part.row] -= 1
            progress(sum(left[row] == 0 for row in {part.row for part in chosen}))
    return scores
