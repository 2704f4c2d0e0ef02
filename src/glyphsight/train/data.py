"""Records to token batches: nothing truncated, nothing dropped, order fixed by the seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset, Sampler

from glyphsight.dataset import Prompt, Record
from glyphsight.errors import DatasetError
from glyphsight.inference.passes import left_padded
from glyphsight.inference.tokenize import completion_ids, prompt_ids
from glyphsight.models.load import LoadedModel

_IGNORED = -100
_CHUNK = 4096
_BUCKET_BATCHES = 50


@dataclass(frozen=True)
class Example:
    """Token ids to learn from.

    Attributes:
        ids: Tokens of a prompt with its completion, or of a piece of plain text.
        answer_tokens: Number of tokens at the end that are learnt.
        as_base: Whether to learn the base model's distribution at each of them, not the token.
    """

    ids: list[int]
    answer_tokens: int
    as_base: bool = False

    @property
    def is_text(self) -> bool:
        """Return whether this is plain text, learnt whole."""
        return self.answer_tokens == len(self.ids) - 1


NOTHING = -1
"""Index of an example without an answer, for a process that has no record left to take."""


class Examples(Dataset):
    """Tokenized records, one per index, in the order of the records; at ``NOTHING`` a blank."""

    def __init__(self, examples: list[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        if index == NOTHING:
            return Example(self.examples[0].ids[:2], 0)
        return self.examples[index]


def tokenize_records(
    loaded: LoadedModel, asked: Sequence[tuple[Record, Prompt]], where: str
) -> Examples:
    """Tokenize every record in its wording.

    Args:
        loaded: Model with its tokenizer, its window and the turns of its chat.
        asked: Records, each with its wording; see :func:`glyphsight.dataset.prompt.in_turn`.
        where: File or directory of the records, for errors.

    Raises:
        DatasetError: A record does not fit the model's window whole, or has no answer to learn.
            Nothing is truncated and nothing is left out.
    """
    examples: list[Example] = []
    for start in range(0, len(asked), _CHUNK):
        part = [prompt.pair(record) for record, prompt in asked[start : start + _CHUNK]]
        questions = prompt_ids(loaded.tokenizer, [question for question, _ in part], loaded.chat)
        answers = completion_ids(loaded.tokenizer, [answer for _, answer in part], loaded.chat)
        for question, answer in zip(questions, answers, strict=True):
            number = len(examples) + 1
            length = len(question) + len(answer)
            if loaded.window is not None and length > loaded.window:
                raise DatasetError(
                    f"{where}: record {number} is {length} tokens, {loaded.name} takes "
                    f"{loaded.window}; its answer would be cut. Encode it with fewer columns"
                )
            if len(answer) < 2:
                raise DatasetError(f"{where}: record {number} has an empty answer; fill it in")
            examples.append(Example(question + answer, len(answer)))
    return Examples(examples)


def collate(examples: Sequence[Example], pad: int, multiple: int = 1) -> dict[str, Any]:
    """Make a left-padded batch: answers end flush right, so logits are needed there alone.

    Args:
        examples: N examples.
        pad: Token id of the padding.
        multiple: Multiple that the length the model reads, one token less, is padded to.

    Returns:
        What :func:`left_padded` gives, and ``labels`` int64[N, K + 1]: the last K + 1 token ids, K
        the longest answer and 1 at least, -100 where a token is not of the answer. Logits at these
        K + 1 positions, shifted by one, are all the loss needs. Where an example goes by the base
        model, ``as_base`` bool[N] too.
    """
    batch = left_padded([example.ids for example in examples], pad)
    if extra := (1 - batch["input_ids"].shape[1]) % multiple:
        batch.setdefault("attention_mask", torch.ones_like(batch["input_ids"]))
        batch = {
            name: F.pad(part, (extra, 0), value=pad if name == "input_ids" else 0)
            for name, part in batch.items()
        }
    kept = max(1, *(example.answer_tokens for example in examples)) + 1
    labels = batch["input_ids"][:, -kept:].clone()
    for row, example in enumerate(examples):
        labels[row, : kept - example.answer_tokens] = _IGNORED
    batch["labels"] = labels
    if any(example.as_base for example in examples):
        batch["as_base"] = torch.tensor([example.as_base for example in examples])
    return batch


class BucketSampler(Sampler):
    """A new order each epoch, neighbours of like length; the same for the same seed and epoch.

    Order depends on nothing but seed, epoch and lengths, so a resumed run goes on exactly where
    the first one stopped. Of several processes each takes every so many-th ``batch_size`` of the
    order, as accelerate deals them out: together they take at a step what one process with so many
    times the batch size takes. Where the last records do not go round, ``NOTHING`` fills up, or
    accelerate would repeat records to have as many for each.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, processes: int = 1
    ) -> None:
        self._lengths = np.asarray(lengths)
        self._batch_size = batch_size * processes  # of a step
        self._fill = -len(lengths) % self._batch_size if processes > 1 else 0
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths) + self._fill

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self._seed, self._epoch])
        order = rng.permutation(len(self._lengths))
        bucket = self._batch_size * _BUCKET_BATCHES
        batches: list[Any] = []
        for start in range(0, len(order), bucket):
            part = order[start : start + bucket]
            part = part[np.argsort(self._lengths[part], kind="stable")]
            batches += [
                part[i : i + self._batch_size] for i in range(0, len(part), self._batch_size)
            ]
        whole = [batch for batch in batches if len(batch) == self._batch_size]
        rest = [batch for batch in batches if len(batch) < self._batch_size]
        for index in rng.permutation(len(whole)):
            yield from whole[index].tolist()
        for batch in rest:  # a short batch in the middle would shift every batch after it
            yield from batch.tolist()
        yield from [NOTHING] * self._fill
