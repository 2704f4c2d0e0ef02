"""The one scorer: log-likelihood of each label after a prompt, and free generation.

The passes themselves are in :mod:`glyphsight.inference.passes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.dataset import Prompt
from glyphsight.errors import ModelError
from glyphsight.inference.passes import forward, go_on, in_batches, left_padded
from glyphsight.inference.tokenize import completion_ids, prompt_ids
from glyphsight.models.chat import Turns
from glyphsight.models.load import LoadedModel

Progress = Callable[[int], object]

SPARE_TOKENS = 12
"""Tokens a free answer may have beyond the longest label, so that a refusal can be told."""


class PromptTooLongError(ModelError):
    """Prompts that do not fit the model's window.

    Attributes:
        reasons: What is wrong and the mend, by number of the prompt, from 1; at least one.
    """

    def __init__(self, reasons: dict[int, str]) -> None:
        number, reason = next(iter(reasons.items()))
        super().__init__(f"picture {number}: {reason}")
        self.reasons = reasons

    def __reduce__(self) -> tuple[type[PromptTooLongError], tuple[dict[int, str]]]:
        return PromptTooLongError, (self.reasons,)


@dataclass(frozen=True)
class Completions:
    """Token ids of the labels' completions, with what they share.

    Attributes:
        shared: Token ids every completion starts with.
        rests: What follows, one list a label.
    """

    shared: list[int]
    rests: list[list[int]]

    @staticmethod
    def of(
        tokenizer: Any, labels: Sequence[str], prompt: Prompt, turns: Turns | None = None
    ) -> Completions:
        """Cut the completions; the end token is kept only where one label continues another."""
        texts = [prompt.reply(label) for label in labels]
        cut = completion_ids(tokenizer, texts, turns, end=False)
        for label, ids in zip(labels, cut, strict=True):
            if not ids:
                raise ModelError(f"label {label!r} has no token in this model's vocabulary")
        known = {tuple(ids) for ids in cut}
        if len(known) < len(cut):
            raise ModelError("two labels are the same tokens to this model; rename one")
        if any(tuple(ids[:n]) in known for ids in cut for n in range(1, len(ids))):
            cut = completion_ids(tokenizer, texts, turns)
        count = 0
        while all(len(ids) > count + 1 and ids[count] == cut[0][count] for ids in cut):
            count += 1
        return Completions(cut[0][:count], [ids[count:] for ids in cut])

    @property
    def longest(self) -> int:
        """Tokens of the longest completion."""
        return len(self.shared) + max(map(len, self.rests))


def prompts_within_window(
    loaded: LoadedModel, prompts: Sequence[str], rooms: Sequence[int]
) -> list[list[int]]:
    """Token ids of prompts that each leave room for so many tokens of an answer.

    Raises:
        PromptTooLongError: Some do not; it names all of them.
    """
    cut = prompt_ids(loaded.tokenizer, prompts, loaded.chat)
    window = loaded.window
    if window is None:
        return cut
    reasons = {
        number: f"{len(ids)} tokens and {room} for the answer exceed the {window} tokens "
        f"{loaded.name} takes; encode it with fewer columns"
        for number, (ids, room) in enumerate(zip(cut, rooms, strict=True), start=1)
        if len(ids) + room > window
    }
    if reasons:
        raise PromptTooLongError(reasons)
    return cut


def score_labels(
    loaded: LoadedModel,
    prompts: Sequence[str],
    labels: Sequence[str],
    prompt: Prompt,
    *,
    batch_size: int = 32,
    progress: Progress = lambda n: None,
    share: bool = True,
) -> NDArray[np.float32]:
    """Log-likelihood of every label's completion after every prompt.

    One forward pass a picture. What the prompts of a batch all begin with is computed once, and
    labels of several tokens go on from the keys and values of their prompt.

    Batch size, padding and sharing change nothing but the order of sums. In float32 that moves a
    score by less than 1e-3. In bfloat16, as SmolLM2 is asked where the CPU is good at it, by at
    most 0.5: a logit between 16 and 32 has steps of 0.125, and 37 prompts in batches of 1, 8 and 32
    differed by 0.26 at most. There the best label is the same wherever the second is more than 0.5
    behind.

    Args:
        loaded: The model.
        prompts: N texts to continue.
        labels: L answers.
        prompt: Makes completions of the labels.
        batch_size: Sequences in a forward pass at most; changes speed alone.
        progress: Called with the number of prompts done since the last call.
        share: Compute what prompts of a batch begin with once; changes speed alone.

    Returns:
        float32[N, L], natural logarithm.

    Raises:
        PromptTooLongError: Prompts exceed the model's window; nothing is scored.
        ModelError: Two labels cannot be told apart.
    """
    import torch

    completions = Completions.of(loaded.tokenizer, labels, prompt, loaded.chat)
    shared, rests = completions.shared, completions.rests
    cut = prompts_within_window(loaded, prompts, [completions.longest] * len(prompts))
    scores = np.empty((len(prompts), len(labels)), dtype=np.float32)
    firsts = [rest[0] for rest in rests]
    longer = [column for column, rest in enumerate(rests) if len(rest) > 1]
    shared_tensor = torch.tensor(shared, dtype=torch.long)
    with torch.inference_mode():
        for rows in in_batches(cut, batch_size, loaded.model.device.type):
            asked = [cut[row] + shared for row in rows]
            passed = forward(loaded, asked, len(shared) + 1, share=share, cached=bool(longer))
            logprobs = passed.logprobs.cpu()
            targets = shared_tensor.expand(len(rows), -1)[..., None]
            begun = logprobs[:, :-1].gather(2, targets).sum(dim=(1, 2))
            scores[rows] = (begun[:, None] + logprobs[:, -1, firsts]).numpy()
            at_once = max(1, batch_size // len(rows))
            for start in range(0, len(longer), at_once):
                columns = longer[start : start + at_once]
                endings = [rests[column] for column in columns]
                if passed.cache is not None:
                    ends = go_on(loaded, passed, endings).cpu().numpy()
                else:
                    ends = _ends_by_whole_passes(loaded, asked, endings)
                scores[np.ix_(rows, columns)] += ends
            progress(len(rows))
    return scores


def score_readable(
    loaded: LoadedModel,
    prompts: Sequence[str],
    labels: Sequence[str],
    prompt: Prompt,
    *,
    batch_size: int = 32,
    progress: Progress = lambda n: None,
) -> tuple[list[int], NDArray[np.float32], dict[int, str]]:
    """As :func:`score_labels`, of the prompts that fit the model's window.

    Returns:
        Rows of those that fit, their scores float32[rows, L], and why not by row of the others.

    Raises:
        ModelError: Two labels cannot be told apart.
    """
    rows, reasons = list(range(len(prompts))), dict[int, str]()
    while True:  # twice at most: the error names all that do not fit
        try:
            some = [prompts[row] for row in rows]
            scores = score_labels(
                loaded, some, labels, prompt, batch_size=batch_size, progress=progress
            )
            return rows, scores, reasons
        except PromptTooLongError as error:
            reasons = {number - 1: reason for number, reason in error.reasons.items()}
            rows = [row for row in rows if row not in reasons]


def _ends_by_whole_passes(
    loaded: LoadedModel, asked: Sequence[list[int]], endings: Sequence[list[int]]
) -> NDArray[np.float32]:
    """What :func:`~glyphsight.inference.passes.go_on` gives, for a model whose state is another."""
    import torch

    ends = np.empty((len(asked), len(endings)), dtype=np.float32)
    for column, ending in enumerate(endings):
        whole = [ids + ending for ids in asked]
        logprobs = forward(loaded, whole, len(ending), share=False).logprobs.cpu()
        targets = torch.tensor(ending[1:]).expand(len(asked), -1)[..., None]
        ends[:, column] = logprobs[:, :-1].gather(2, targets).sum(dim=(1, 2)).numpy()
    return ends


def best_labels(
    loaded: LoadedModel,
    texts: Sequence[str],
    labels: Sequence[str],
    prompt: Prompt,
    *,
    batch_size: int = 32,
    progress: Progress = lambda n: None,
) -> list[str]:
    """The likeliest label of every ASCII_Image; the first of those that are equally likely.

    Args:
        loaded: The model.
        texts: N ASCII_Images.
        labels: L answers to choose from.
        prompt: The words around picture and answer.
        batch_size: Sequences in a forward pass.
        progress: Called with the number of pictures done since the last call.

    Raises:
        ModelError: As :func:`score_labels`.
    """
    asked = [prompt.ask(text) for text in texts]
    scores = score_labels(loaded, asked, labels, prompt, batch_size=batch_size, progress=progress)
    return [labels[index] for index in scores.argmax(axis=1).tolist()]


def probabilities(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-likelihoods over labels, float32[..., L], to probabilities that sum to 1."""
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    result: NDArray[np.float32] = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


def generate_replies(
    loaded: LoadedModel,
    prompts: Sequence[str],
    labels: Sequence[str],
    prompt: Prompt,
    *,
    batch_size: int = 32,
    progress: Progress = lambda n: None,
) -> list[str]:
    """Let the model write freely (greedy) after each prompt, up to a dozen tokens past any label.

    After a prompt that nearly fills the model's window, as many as are left in it.

    Returns:
        N answers as the model wrote them, white space at the ends trimmed.

    Raises:
        PromptTooLongError: Prompts fill the window; nothing is written.
    """
    import torch

    tokenizer = loaded.tokenizer
    texts = [prompt.reply(label) for label in labels]
    room = max(map(len, completion_ids(tokenizer, texts, loaded.chat))) + SPARE_TOKENS
    cut = prompts_within_window(loaded, prompts, [1] * len(prompts))
    ends = loaded.end_tokens
    replies = [""] * len(prompts)
    with torch.inference_mode():
        for rows, new in _with_room(loaded, cut, room, batch_size):
            batch = left_padded([cut[row] for row in rows], tokenizer.pad_token_id)
            ids = batch["input_ids"].to(loaded.model.device)
            mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"]))
            written = loaded.model.generate(
                input_ids=ids,
                attention_mask=mask.to(ids.device),
                max_new_tokens=new,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=ends,
            )
            for row, tokens in zip(rows, written[:, ids.shape[1] :], strict=True):
                replies[row] = prompt.read_reply(tokenizer.decode(tokens, skip_special_tokens=True))
            progress(len(rows))
    return replies


def _with_room(
    loaded: LoadedModel, cut: list[list[int]], most: int, batch_size: int
) -> Iterator[tuple[list[int], int]]:
    """Places of prompts to write on together, and how many tokens the window leaves all of them."""
    window = loaded.window
    rooms = [most if window is None else min(most, window - len(ids)) for ids in cut]
    for room in sorted(set(rooms), reverse=True):
        alike = [row for row, own in enumerate(rooms) if own == room]
        device = loaded.model.device.type
        for some in in_batches([cut[row] for row in alike], batch_size, device):
            yield [alike[place] for place in some], room
