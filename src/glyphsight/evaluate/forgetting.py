"""Forgetting: how well a trained model still knows plain English, beside its base."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from glyphsight.console import progress_bar
from glyphsight.dataset import Prompt
from glyphsight.dataset.record import read_text
from glyphsight.errors import DatasetError
from glyphsight.evaluate.evaluation import evaluate
from glyphsight.evaluate.result import Evaluation
from glyphsight.evaluate.settings import EvaluateSettings, ForgettingSettings
from glyphsight.evaluate.statistics import Paired, paired
from glyphsight.evaluate.tasks import Item, Task
from glyphsight.inference.model import Model
from glyphsight.inference.passes import TorchEngine
from glyphsight.inference.tokenize import text_ids
from glyphsight.models import LoadedModel, load_model
from glyphsight.models.load import as_base

DEFAULTS = ForgettingSettings()
_RESAMPLES = 10_000
_FEWEST = 10  # windows: resampling fewer says nothing about how far a figure may move
_BATCH = 32
OWN_TEXT = "plain-english"


@dataclass(frozen=True)
class TextLoss:
    """Cross-entropy of a model on a text."""

    name: str
    tokens: tuple[int, ...]  # judged in each window; every token once, but a first with none before
    nats: tuple[float, ...]  # sum of the cross-entropy of these tokens, one per window
    size: int  # UTF-8 bytes of the judged tokens


def perplexity(losses: Sequence[TextLoss]) -> float:
    """Return the perplexity per token; it compares models with the same tokens, up to infinity."""
    mean = sum(sum(loss.nats) for loss in losses) / sum(sum(loss.tokens) for loss in losses)
    return math.exp(mean) if mean < 700 else math.inf


def bits_per_byte(losses: Sequence[TextLoss]) -> float:
    """Return the bits per byte (Gao et al. 2020, The Pile), which compare across tokenizers."""
    nats = sum(sum(loss.nats) for loss in losses)
    return nats / math.log(2) / sum(loss.size for loss in losses)


def spans(count: int, window: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """Yield where each window over ``count`` tokens begins, starts to judge, and ends.

    Each window ends ``stride`` tokens after the one before it and judges only those tokens; the
    tokens before them are context. The first window judges all its tokens.
    """
    judged = 0
    for begin in range(0, count, stride):
        end = min(begin + window, count)
        yield begin, judged, end
        judged = end
        if end == count:
            return


def text_loss(
    loaded: LoadedModel,
    text: str,
    name: str = "text",
    settings: ForgettingSettings = DEFAULTS,
    *,
    quiet: bool = True,
) -> TextLoss:
    """Measure the cross-entropy of a text, every token given those before it in its window.

    Windows slide with a stride, as on transformers' page "Perplexity of fixed-length models": a
    smaller stride gives each token more context and takes longer. Where the tokenizer opens a text
    with a token of its own, every window begins with it. Elsewhere the first token of the text has
    nothing before it and is not judged.

    Raises:
        DatasetError: The text is too short to judge.
    """
    import torch

    opening, ids = text_ids(loaded.tokenizer, text)
    window = settings.window
    if loaded.window is not None:
        window = min(window, loaded.window - len(opening))
    unread = 0 if opening else 1
    if len(ids) <= unread:
        raise DatasetError(f"{name}: {len(ids)} tokens are too few to judge; give a longer text")
    tokens, nats = [], []
    windows = list(spans(len(ids), window, min(settings.stride, window)))
    bar = progress_bar(len(windows), "window", name, iterable=windows, disable=quiet, delay=2)
    engine = TorchEngine(loaded)
    with torch.inference_mode():
        for begin, judged, end in bar:
            first = max(judged, unread)
            targets = torch.tensor(ids[first:end], dtype=torch.long)
            start = begin if opening or first > begin else begin - 1  # one token before it
            read = opening + ids[start : end - 1]
            logprobs, _ = engine.forward([read], len(targets), share=False, cached=False)
            told = torch.from_numpy(logprobs[0]).gather(1, targets[:, None])
            nats.append(-float(told.double().sum()))
            tokens.append(len(targets))
    size = len(text.encode()) - len(loaded.tokenizer.decode(ids[:unread]).encode())
    return TextLoss(name, tuple(tokens), tuple(nats), size)


def relative_loss(
    first: Sequence[TextLoss], second: Sequence[TextLoss], *, seed: int = 0
) -> tuple[float, tuple[float, float] | None]:
    """Compare two models on the same texts: how many more bits per byte the first takes.

    Returns:
        A share of the second's bits, 0 where both are equal, and its 95 % percentile interval by a
        paired bootstrap over windows (Efron 1979): they are drawn with replacement, both models'
        figures of a window together. No two windows judge the same token. None instead of an
        interval where the models split the texts into different tokens, and below ten windows.
    """
    share = bits_per_byte(first) / bits_per_byte(second) - 1
    windows = [loss.tokens for loss in first]
    if windows != [loss.tokens for loss in second] or sum(map(len, windows)) < _FEWEST:
        return share, None
    a, b = (np.concatenate([loss.nats for loss in losses]) for losses in (first, second))
    drawn = np.random.default_rng(seed).integers(len(a), size=(_RESAMPLES, len(a)))
    low, high = np.percentile(a[drawn].sum(axis=1) / b[drawn].sum(axis=1) - 1, [2.5, 97.5])
    return share, (float(low), float(high))


@lru_cache(maxsize=1)
def plain_questions() -> Task:
    """Return easy questions in plain English, written for this package, as a task.

    Each item is the beginning of a text, asked without examples; the group is its kind: facts,
    completion, sentiment or arithmetic.
    """
    text = (files("glyphsight") / "assets" / "plain-questions.json").read_text("utf-8")
    items = [
        Item("", (one["answer"],), tuple(one["choices"]), one["kind"], one["prompt"])
        for one in json.loads(text)
    ]
    return Task("plain questions", items, Prompt())


@dataclass(frozen=True)
class English:
    """Plain English of one model."""

    model: str  # name of the model
    texts: tuple[TextLoss, ...]  # loss on each text
    answers: Evaluation  # evaluation on :func:`plain_questions`
    precision: str  # type of the weights, such as ``bfloat16``

    @property
    def right(self) -> list[bool]:
        """Tell of each question whether it is answered right."""
        return [sample.right for sample in self.answers.samples]

    def as_json(self) -> dict[str, Any]:
        """Return the figures, texts one by one; infinity, which JSON lacks, as None."""
        return {
            "model": self.model,
            "precision": self.precision,
            **_figures(self.texts),
            "questions": asdict(self.answers.score),
            "chance": self.answers.chance,
            "kinds": {kind: asdict(share) for kind, share in self.answers.groups.items()},
            "texts": {
                loss.name: _figures([loss])
                | {"tokens": sum(loss.tokens), "bytes": loss.size, "windows": len(loss.tokens)}
                for loss in self.texts
            },
        }


@dataclass(frozen=True)
class Forgetting:
    """A model beside its base."""

    run: English  # the model
    base: English | None  # the model it is compared with; None where there is none
    # Additional bits per byte, as a share of the base's; None without a base
    relative_loss: float | None
    # 95 % interval of it, paired over windows; None where no windows are the same or there are
    # fewer than ten
    relative_loss_interval: tuple[float, float] | None
    questions: Paired | None  # difference in questions right, paired; None without a base
    window: int  # tokens read at once
    stride: int  # tokens from one window to the next

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        base = self.base and self.base.as_json()
        questions = self.questions and asdict(self.questions)
        return vars(self) | {"run": self.run.as_json(), "base": base, "questions": questions}


def _figures(losses: Sequence[TextLoss]) -> dict[str, float | None]:
    value = perplexity(losses)
    finite = value if math.isfinite(value) else None
    return {"perplexity": finite, "bits_per_byte": bits_per_byte(losses)}


def read_texts(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Return name and text of each file; without files the text that comes with the package.

    Raises:
        DatasetError: A file is missing or not UTF-8.
    """
    if not paths:
        own = files("glyphsight") / "assets" / f"{OWN_TEXT}.txt"
        return [(OWN_TEXT, own.read_text("utf-8"))]
    return [(str(path), read_text(path)) for path in paths]


def measure_forgetting(
    model: str | Path,
    texts: Sequence[Path] = (),
    settings: ForgettingSettings = DEFAULTS,
    *,
    seed: int = 0,
    quiet: bool = False,
) -> Forgetting:
    """Measure the plain English of a model and of its base.

    Without ``settings.against`` the base is that in the record of a run, for an adapter the same
    model with the adapter off; a model without a record then stands alone.

    Raises:
        DatasetError: A text cannot be read or is too short.
        ModelError: A model cannot be loaded.
    """
    read = read_texts(texts)
    loaded = load_model(model)

    def measure(one: LoadedModel, name: str) -> English:
        losses = tuple(text_loss(one, text, own, settings, quiet=quiet) for own, text in read)
        asked = EvaluateSettings(batch_size=_BATCH, generate=0, zero_shot=0)
        answers = evaluate(Model(one), plain_questions(), asked, quiet=True)
        precision = str(next(one.model.parameters()).dtype).removeprefix("torch.")
        return English(name, losses, answers, precision)

    run = measure(loaded, loaded.name)
    base: English | None = None
    if settings.against is not None:
        del loaded  # two models need not be in memory at once
        base = measure(other := load_model(settings.against), other.name)
    elif (record := loaded.run) is not None:
        with as_base(loaded) as other:
            base = measure(other, record.base)
    share, interval = relative_loss(run.texts, base.texts, seed=seed) if base else (None, None)
    found = paired(run.right, base.right, seed=seed) if base else None
    return Forgetting(run, base, share, interval, found, settings.window, settings.stride)
