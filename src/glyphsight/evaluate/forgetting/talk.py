"""A model's plain English beside that of the model it was trained from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from glyphsight.console import progress_bar
from glyphsight.dataset.text import read_text
from glyphsight.evaluate.forgetting.perplexity import (
    STRIDE,
    WINDOW,
    TextLoss,
    bits_per_byte,
    perplexity,
    relative_loss,
    text_loss,
    window_count,
)
from glyphsight.evaluate.forgetting.questions import answered_right, plain_questions
from glyphsight.evaluate.result import Share
from glyphsight.evaluate.statistics import Paired, paired
from glyphsight.models import LoadedModel, load_model

OWN_TEXT = "plain-english"
_BAR_AFTER_SECONDS = 2


@dataclass(frozen=True)
class Spoken:
    """What one model makes of plain English.

    Attributes:
        model: Its name.
        texts: What each text costs it.
        right: Whether it has each of :func:`plain_questions` right.
        precision: Type its weights were in, such as ``bfloat16``.
    """

    model: str
    texts: tuple[TextLoss, ...]
    right: tuple[bool, ...]
    precision: str

    @property
    def perplexity(self) -> float:
        """A token, over all texts."""
        return perplexity(self.texts)

    @property
    def bits_per_byte(self) -> float:
        """Over all texts."""
        return bits_per_byte(self.texts)

    @property
    def questions(self) -> Share:
        """Share of the questions it has right."""
        return Share.of(sum(self.right), len(self.right))

    def kinds(self) -> dict[str, Share]:
        """The same, kind by kind."""
        own: dict[str, list[bool]] = {}
        for question, is_right in zip(plain_questions(), self.right, strict=True):
            own.setdefault(question.kind, []).append(is_right)
        return {kind: Share.of(sum(right), len(right)) for kind, right in own.items()}

    def as_json(self) -> dict[str, Any]:
        """The figures, texts one by one; infinity, which JSON lacks, as None."""
        return {
            "model": self.model,
            "precision": self.precision,
            "perplexity": _finite(self.perplexity),
            "bits_per_byte": self.bits_per_byte,
            "questions": asdict(self.questions),
            "kinds": {kind: asdict(share) for kind, share in self.kinds().items()},
            "texts": {
                loss.name: {
                    "perplexity": _finite(loss.perplexity),
                    "bits_per_byte": loss.bits_per_byte,
                    "tokens": sum(loss.tokens),
                    "bytes": loss.size,
                    "windows": len(loss.tokens),
                }
                for loss in self.texts
            },
        }


@dataclass(frozen=True)
class Talk:
    """A model beside its base.

    Attributes:
        spoken: The model.
        base: The model it is held against; None where there is none.
        relative_loss: How many more bits a byte it takes than the base, as a share; None without.
        relative_loss_interval: 95 %, paired over windows; None where no windows are the
            same or there are fewer than ten.
        questions: The difference in questions right, paired; None without a base.
        window: Tokens read at once.
        stride: Tokens from one window to the next.
    """

    spoken: Spoken
    base: Spoken | None
    relative_loss: float | None
    relative_loss_interval: tuple[float, float] | None
    questions: Paired | None
    window: int
    stride: int

    def as_json(self) -> dict[str, Any]:
        """Everything, as it is printed by ``--json``."""
        return {
            "run": self.spoken.as_json(),
            "base": self.base.as_json() if self.base else None,
            "relative_loss": self.relative_loss,
            "relative_loss_interval": self.relative_loss_interval,
            "questions": asdict(self.questions) if self.questions else None,
            "window": self.window,
            "stride": self.stride,
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def read_texts(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Name and text of each file; the text that comes with the package where none is given.

    Raises:
        DatasetError: A file is not there or not UTF-8.
    """
    if not paths:
        own = files("glyphsight") / "assets" / f"{OWN_TEXT}.txt"
        return [(OWN_TEXT, own.read_text("utf-8"))]
    return [(str(path), read_text(path)) for path in paths]


def listen(
    loaded: LoadedModel,
    texts: Sequence[tuple[str, str]],
    *,
    name: str | None = None,
    window: int = WINDOW,
    stride: int = STRIDE,
    quiet: bool = False,
) -> Spoken:
    """Measure one model.

    Args:
        loaded: The model.
        texts: Name and text of each.
        name: What to call the model; None: as it was loaded.
        window: As :func:`text_loss`.
        stride: As :func:`text_loss`.
        quiet: Show no progress bar; one shows where it takes longer than two seconds.

    Raises:
        DatasetError: A text is too short.
        ModelError: Window and stride do not fit each other.
    """
    name = name or loaded.name
    asked = plain_questions()
    parts = sum(window_count(loaded, text, window, stride) for _, text in texts) + len(asked)
    with progress_bar(
        total=parts, desc=name, unit="part", disable=quiet, delay=_BAR_AFTER_SECONDS
    ) as bar:
        losses = [
            text_loss(loaded, text, own, window=window, stride=stride, progress=bar.update)
            for own, text in texts
        ]
        right = answered_right(loaded, asked, progress=bar.update)
    precision = str(next(loaded.model.parameters()).dtype).removeprefix("torch.")
    return Spoken(name, tuple(losses), tuple(right), precision)


def talk(
    model: str | Path,
    against: str | Path | None = None,
    texts: Sequence[Path] = (),
    *,
    window: int = WINDOW,
    stride: int = STRIDE,
    seed: int = 0,
    quiet: bool = False,
) -> Talk:
    """Measure a model's plain English beside that of its base.

    Args:
        model: Run directory, base model name, path or hub id.
        against: What to hold it against; None: the base a run's record names, which for an
            adapter is the same model with the adapter switched off. A model that is no run then
            stands alone.
        texts: UTF-8 files; none: the one that comes with the package.
        window: As :func:`text_loss`.
        stride: As :func:`text_loss`.
        seed: Of the bootstrap.
        quiet: Show no progress bars.

    Raises:
        DatasetError: A text cannot be read or is too short.
        ModelError: A model cannot be loaded.
    """
    read = read_texts(texts)
    loaded = load_model(model)
    options = {"window": window, "stride": stride, "quiet": quiet}
    spoken = listen(loaded, read, **options)  # type: ignore[arg-type]
    base: Spoken | None = None
    if against is not None:
        del loaded  # two models need not be in memory at once
        base = listen(load_model(against), read, **options)  # type: ignore[arg-type]
    elif (run := loaded.run) is not None:
        with ExitStack() as stack:
            if hasattr(loaded.model, "disable_adapter"):
                stack.enter_context(loaded.model.disable_adapter())
            else:
                loaded = load_model(run.base, seed=run.seed, profile=run.base_profile)
            base = listen(loaded, read, name=run.base, **options)  # type: ignore[arg-type]
    if base is None:
        return Talk(spoken, None, None, None, None, window, stride)
    share, interval = relative_loss(spoken.texts, base.texts, seed=seed)
    found = paired(spoken.right, base.right, seed=seed)
    return Talk(spoken, base, share, interval, found, window, stride)
