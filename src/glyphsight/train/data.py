"""Examples to learn from, in rows, batches and an order.

Nothing is truncated, nothing is dropped; the seed fixes the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import Sampler

from glyphsight.dataset import Prompt, Record
from glyphsight.errors import DatasetError
from glyphsight.inference.passes import (
    LIKELY,
    ROUNDED,
    ROUNDED_HALF,
    left_padded,
    shared_beginning,
)
from glyphsight.inference.tokenize import completion_ids, prompt_ids
from glyphsight.models import LoadedModel

_IGNORED = -100
_UNSEEN = torch.finfo(torch.float32).min
_ROW = 240  # tokens of a row of several questions; attention costs their square
_CHUNK = 4096
_BUCKET_BATCHES = 50
_SHORT_ANSWER = 16  # tokens


@dataclass(frozen=True)
class Example:
    """Token ids to learn from: a row of a batch.

    A row of several questions about one picture holds its text once: their common beginning, then
    the rest of every question but its last token, then of every answer the tokens before those
    that are learnt, which are ``targets``, and a token that nothing reads.
    """

    ids: list[int]  # tokens of a prompt with its completion, or of a piece of plain text
    answer_tokens: int  # number of tokens that are learnt, without targets those at the end
    as_base: bool = False  # True to learn the base's distribution at each of them, not the token
    rests: tuple[tuple[int, int], ...] = ()  # tokens of each question after the beginning, answer
    targets: tuple[int, ...] = ()  # tokens of the answers, in a row of several questions

    @property
    def records(self) -> int:
        """Return the number of records, or of pieces of text, in this row."""
        return max(1, len(self.rests))

    @property
    def is_text(self) -> bool:
        """Return whether this is plain text, learnt whole."""
        return self.answer_tokens == len(self.ids) - 1

    def layout(self) -> tuple[Any, Any]:
        """Return question and place of each token that is read, int64[T - 1].

        The beginning is question 0. A place is the position that a token has in its own text.
        """
        read = len(self.ids) - 1
        begun = read - sum(question - 1 + answer for question, answer in self.rests)
        questions, places = [np.zeros(begun, np.int64)], [np.arange(begun)]
        for part in (0, 1):
            for number, (question, answer) in enumerate(self.rests, 1):
                start, size = (begun + question - 1, answer) if part else (begun, question - 1)
                questions.append(np.full(size, number))
                places.append(np.arange(start, start + size))
        return np.concatenate(questions), np.concatenate(places)

    @property
    def bucket(self) -> int:
        """Return the length to sort by: below zero of plain text, which stands apart.

        A short answer does not count, else labels of one length would share their batches.
        """
        if self.is_text:  # among pictures its tokens would outweigh their answers
            return -len(self.ids)
        return len(self.ids) - (self.answer_tokens if self.answer_tokens <= _SHORT_ANSWER else 0)


NOTHING = -1
"""Index of an example without an answer, for a process that has no record left to take."""


def with_blank(examples: Sequence[Example]) -> list[Example]:
    """Return the examples and, at ``NOTHING``, one without an answer."""
    return [*examples, Example(examples[0].ids[:2], 0)]


def tokenize_records(
    loaded: LoadedModel, asked: Sequence[tuple[Record, Prompt]], where: str
) -> list[Example]:
    """Tokenize every record in its wording; errors call the dataset ``where``.

    Raises:
        DatasetError: A record does not fit the model's window whole, or has no answer to learn.
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
                    f"{loaded.window}; its answer would be cut; encode it with fewer columns"
                )
            if len(answer) < 2:
                raise DatasetError(f"{where}: record {number} has an empty answer; fill it in")
            examples.append(Example(question + answer, len(answer)))
    return examples


def share_beginnings(
    examples: Sequence[Example], asked: Sequence[tuple[Record, Prompt]]
) -> list[Example]:
    """Put the questions about one picture in one wording, and its name, into one row.

    The sum of the losses and its gradient stay the same, and the text of the picture is read once.
    A row has at most 240 tokens.

    Args:
        examples: N records, tokenized.
        asked: These records.
    """
    same: dict[Any, list[Example]] = {}
    questioned = {(record.pictures, prompt) for record, prompt in asked if record.question}
    for number, ((record, prompt), example) in enumerate(zip(asked, examples, strict=True)):
        key = (record.pictures, prompt)
        same.setdefault(key if key in questioned else number, []).append(example)
    rows: list[Example] = []
    for own in same.values():
        begun: list[Example] = []
        for one in sorted(own, key=lambda example: example.ids):
            row = _one_row([*begun, one])
            if row is None or len(row.ids) > _ROW:
                begun, row = [], one
            elif begun:
                rows.pop()
            rows.append(row)
            begun.append(one)
    return rows


def _one_row(texts: list[Example]) -> Example | None:
    """Lay texts of one beginning out in a row; None where the beginning is less than half."""
    if len(texts) == 1:
        return texts[0]
    begun = shared_beginning([one.ids for one in texts], max(x.answer_tokens for x in texts) + 1)
    if any(begun < len(one.ids) // 2 for one in texts):
        return None
    ids, answers, targets = texts[0].ids[:begun], list[int](), list[int]()
    for one in texts:
        ids += one.ids[begun : -one.answer_tokens - 1]
        answers += one.ids[-one.answer_tokens - 1 : -1]
        targets += one.ids[-one.answer_tokens :]
    rests = tuple((len(x.ids) - x.answer_tokens - begun, x.answer_tokens) for x in texts)
    row = [*ids, *answers, targets[-1]]
    return Example(row, len(targets), rests=rests, targets=tuple(targets))


def reads_apart(loaded: LoadedModel, rows: Sequence[Example]) -> bool:
    """Tell whether a model reads the questions of a row as it reads each alone, by the longest row.

    A model that takes no such mask does not, nor one with a window, which the mask replaces.
    """
    row = max((one for one in rows if one.rests), key=lambda one: len(one.ids), default=None)
    if row is None:
        return True
    model = loaded.model
    if getattr(model.config.get_text_config(), "sliding_window", None):
        return False
    question, place = row.layout()
    read, texts = np.array(row.ids[:-1]), [row]
    for number, (_, answer) in enumerate(row.rests, 1):
        own = np.flatnonzero((question == 0) | (question == number))
        texts.append(Example([*read[own[np.argsort(place[own])]].tolist(), row.ids[-1]], answer))
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            together, *alone = (_logprobs(model, one) for one in texts)
    except (RuntimeError, ValueError, TypeError):  # it takes no mask of four dimensions
        return False
    finally:
        model.train(was_training)
    likely = together.topk(min(LIKELY, together.shape[1])).indices
    apart = (together - torch.cat(alone)).gather(1, likely).abs().max()
    return bool(apart < (ROUNDED if model.dtype == torch.float32 else ROUNDED_HALF))


def _logprobs(model: Any, one: Example) -> Any:
    """Compute log-probabilities float32[K, V] at the last K tokens of one row."""
    batch = collate([one], pad=0)
    read = {name: batch[name][:, : len(one.ids) - 1] for name in ("input_ids", "position_ids")}
    if "attention_mask" in batch:
        read["attention_mask"] = batch["attention_mask"]
    read = {name: tensor.to(model.device) for name, tensor in read.items()}
    done = model(**read, logits_to_keep=one.answer_tokens, use_cache=False)
    return done.logits[0].float().log_softmax(dim=-1)


def collate(examples: Sequence[Example], pad: int, multiple: int = 1) -> dict[str, Any]:
    """Make a left-padded batch of N: answers end flush right, so logits are needed there alone.

    The length the model reads, one token less, is padded to a multiple of ``multiple``.

    Returns:
        Inputs as :func:`left_padded` gives them, and ``labels`` int64[N, K + 1]: the last K + 1
        token ids, K the longest answer and 1 at least, -100 where a token is not of the answer.
        Logits at these K + 1 positions, shifted by one, are all the loss needs. Where an example
        goes by the base model, ``as_base`` bool[N] too. Where one holds several questions, the
        ``attention_mask`` is float32[N, 1, T, T], added to the scores of T tokens that are read.
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
        if example.targets:
            labels[row, kept - example.answer_tokens :] = torch.tensor(example.targets)
    batch["labels"] = labels
    if any(example.rests for example in examples):
        _keep_apart(batch, examples)
    if any(example.as_base for example in examples):
        batch["as_base"] = torch.tensor([example.as_base for example in examples])
    return batch


def _keep_apart(batch: dict[str, Any], examples: Sequence[Example]) -> None:
    """Give every token the position in its own text, and let it see that text alone."""
    length = batch["input_ids"].shape[1] - 1
    question, place = np.full((2, len(examples), length), -1, dtype=np.int64)
    for row, example in enumerate(examples):
        own, places = example.layout()
        question[row, length - len(own) :], place[row, length - len(own) :] = own, places
    same = (question[:, None, :] == 0) | (question[:, None, :] == question[:, :, None])
    seen = same & (place[:, None, :] <= place[:, :, None]) & (place >= 0)[:, None, :]
    seen |= np.eye(length, dtype=bool)  # padding sees itself: no row of scores is empty
    mask = torch.zeros(seen.shape).masked_fill_(~torch.from_numpy(seen), _UNSEEN)
    batch["attention_mask"] = mask[:, None]
    batch["position_ids"] = torch.from_numpy(place).clamp(min=0)


class BucketSampler(Sampler):
    """Order of the examples: new each epoch, neighbours of like length.

    The order depends on seed, epoch and lengths alone, so a resumed run continues where the first
    stopped. N processes take its batches in turn, as accelerate deals them out: together what one
    process with N times the batch size takes. ``NOTHING`` fills the last step up, where accelerate
    would repeat records.
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
            cuts = range(self._batch_size, len(part), self._batch_size)
            batches += np.split(part, cuts)
        whole = [batch for batch in batches if len(batch) == self._batch_size]
        rest = [batch for batch in batches if len(batch) < self._batch_size]
        for index in rng.permutation(len(whole)):
            yield from whole[index].tolist()
        for batch in rest:  # a short batch in the middle would shift every batch after it
            yield from batch.tolist()
        yield from [NOTHING] * self._fill
