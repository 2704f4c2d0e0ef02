"""A model that is loaded when it is first asked, and the engine that answers for it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from glyphsight.console import say
from glyphsight.errors import ModelError
from glyphsight.extras import installed
from glyphsight.inference.fast_engine import FastEngine
from glyphsight.inference.numpy_engine import NumpyEngine
from glyphsight.inference.passes import TorchEngine
from glyphsight.inference.score import Engine
from glyphsight.inference.tokenize import SmallTokenizer
from glyphsight.models import nano, smollm2
from glyphsight.models.chat import Turns
from glyphsight.models.load import LoadedModel, load_model
from glyphsight.models.runs import ModelSource, RunRecord, Task, resolve
from glyphsight.models.tokens import merged_pictures

_ENGINES = ("auto", "fast", "numpy", "torch")
_MANY = 3e9  # questions times weights; numpy answers as many while another engine starts


@dataclass(frozen=True)
class Opened:
    """An engine with what belongs to it; ``window`` and ``chat`` are None where there is none."""

    engine: Engine
    tokenizer: Any
    chat: Turns | None
    window: int | None
    dtype: str


def with_numpy(source: ModelSource) -> Opened | None:
    """Open SmolLM2 or the run of a Llama model; None where the name means another model."""
    if source.name == smollm2.NAME:
        base, adapter, chat = smollm2.ensure_smollm2(), None, None
    elif source.directory is None or source.run is None:
        return None
    else:
        base, adapter, chat = source.directory, None, source.run.chat
    if source.run is not None and source.adapter is not None:
        if source.run.base != smollm2.NAME:
            return None
        base, adapter = smollm2.ensure_smollm2(), source.directory
    try:
        engine, tokenizer = NumpyEngine(base, adapter), SmallTokenizer(base)
    except (ModelError, KeyError, TypeError):  # not a model for numpy
        return None
    except (OSError, ValueError) as error:
        if installed("train"):  # torch says what is wrong
            return None
        raise ModelError(
            f"{source.name}: damaged ({error}); copy the run again or train it again"
        ) from error
    return Opened(engine, tokenizer, chat, engine.window, "float32")


def in_int8(opened: Opened) -> Opened:
    """Return a model of numpy with its weights in int8."""
    assert isinstance(opened.engine, NumpyEngine)
    return replace(opened, engine=FastEngine(*opened.engine.files), dtype="int8")


class LazyModel:
    """Base of :class:`~glyphsight.inference.Model`, which documents it: loads and chooses."""

    def __init__(
        self,
        model: str | Path | LoadedModel,
        dtype: str | None = None,
        engine: str = "auto",
        talker: str | Path | None = None,
    ) -> None:
        if engine not in _ENGINES:
            raise ModelError(f"unknown engine {engine!r}; choose one of {', '.join(_ENGINES)}")
        computed = {"numpy": "float32", "fast": "int8"}.get(engine)
        if computed and dtype not in (None, computed):
            raise ModelError(
                f"{engine} computes in {computed}, not in {dtype}; take the engine torch"
            )
        self._given, self._talker = model, talker
        self._engine, self._dtype = engine, dtype
        self._prepare()

    def _prepare(self) -> None:
        self._opened: Opened | None = None
        self._loaded: LoadedModel | None = None
        self._settled = self._warned = False
        self._lock = threading.RLock()
        if isinstance(self._given, LoadedModel):
            self.get()

    @classmethod
    def load(cls, name: str | Path, engine: str = "auto", dtype: str | None = None) -> Self:
        """Load a model at once; see :class:`Model`.

        Raises:
            ModelError: The model cannot be loaded.
        """
        model = cls(name, dtype, engine)
        model._open()
        return model

    def __getstate__(self) -> dict[str, Any]:
        engine, dtype = self._engine, self._dtype
        if self._settled and not isinstance(self._given, LoadedModel):
            opened = self._open()
            engine = opened.engine.name
            dtype = None if engine == "fast" else opened.dtype
        return {"_given": self._given, "_engine": engine, "_dtype": dtype, "_talker": self._talker}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def settle(self, questions: int | None = None, *, rounded: bool = False) -> str:
        """Choose the engine, where it is not chosen yet, and return its name.

        The first question does so, by the number that are asked with it; call this before where
        more follow. ``auto`` takes numpy for a few questions to a run of a Llama model. For many,
        where questions times weights exceed 3e9 (30 pictures of ``sight``, 4,500 of
        ``nano-digits``), it takes ``fast`` for pictures, else ``torch``, if that is installed. For
        pictures a run that draws keeps numpy, so that a seed gives the same drawing everywhere.

        Args:
            questions: Number of questions that will be asked; None for many.
            rounded: True where int8 weights will do, as for pictures.
        """
        if not self._settled:
            with self._lock:
                opened = self._open()
                if not self._settled and isinstance(opened.engine, NumpyEngine):
                    many = questions is None or questions * opened.engine.parameters > _MANY
                    if many and not (rounded and self.run and self.run.draws):
                        if rounded and self._dtype is None and installed("fast"):
                            self._opened = in_int8(opened)
                        elif installed("train"):
                            self.get()
                    self._settled = True
        return self._open().engine.name

    def _open(self) -> Opened:
        """Open the engine: until one is chosen, what numpy knows of the model."""
        if (opened := self._opened) is not None:  # at once, though another thread computes
            return opened
        with self._lock:
            if self._opened is None and self._engine != "torch" and self._dtype != "bfloat16":
                self._opened = with_numpy(self._source)
                if self._opened is None and self._engine != "auto":
                    raise ModelError(
                        f"{self.name}: no whole run of a Llama model, which the engine "
                        f"{self._engine} needs; take the engine torch"
                    )
                if self._opened is not None and self._engine == "fast":
                    self._opened = in_int8(self._opened)
                self._settled = self._engine != "auto"
            if self._opened is None:
                self.get()
            assert self._opened is not None
            return self._opened

    def get(self) -> LoadedModel:
        """Return the model of torch, for training and for a look inside.

        Where no engine is chosen yet, torch answers from now on.
        """
        with self._lock:
            if self._loaded is None:
                given = self._given
                if not isinstance(given, LoadedModel):
                    given = load_model(given, dtype=self._dtype)
                self._loaded = given
            if not self._settled:
                loaded = self._loaded
                dtype = str(loaded.model.dtype).removeprefix("torch.")
                own = loaded.tokenizer, loaded.chat, loaded.window, dtype
                self._opened, self._settled = Opened(TorchEngine(loaded), *own), True
            return self._loaded

    @cached_property
    def _source(self) -> ModelSource:
        if isinstance(self._given, LoadedModel):
            return ModelSource(self._given.name, run=self._given.run)
        return resolve(self._given)

    @property
    def name(self) -> str:
        """Name that the user gave."""
        return self._source.name

    @property
    def run(self) -> RunRecord | None:
        """Record of the model's training with glyphsight; None for a base model."""
        return self._source.run

    @property
    def ships(self) -> bool:
        """Whether the model is one of the package's, which read pictures."""
        return self._source.ships

    @property
    def trained(self) -> RunRecord:
        """Record of the model's training.

        Raises:
            ModelError: The model was not trained with glyphsight, so its labels are not known; or
                its training has not finished, or there is no such model.
        """
        if self.run is not None:
            return self.run
        why = "was not trained with glyphsight"
        if not isinstance(self._given, LoadedModel):
            if self._source.fault:
                raise ModelError(f"{self.name}: {self._source.fault}")
            if self._source.from_hub:
                why = "no such directory here, and a model of the hub is no run of glyphsight"
        raise ModelError(
            f"{self.name}: {why}, so its labels are not known; give "
            "--model sight, nano-digits or a directory that glyphsight train wrote, or train "
            f"it: glyphsight train --data DATA --model {self.name} --out RUN"
        )

    @property
    def tokenizer(self) -> Any:
        """Tokenizer, callable as those of transformers are."""
        return self._open().tokenizer

    @property
    def chat_turns(self) -> Turns | None:
        """Turns around a prompt and its answer, None where the model is asked plainly."""
        return self._open().chat

    @property
    def window(self) -> int | None:
        """Longest sequence in tokens, None where the model does not say."""
        return self._open().window

    @property
    def dtype(self) -> str:
        """Type of the weights that the engine computes with, such as ``float32``."""
        return self._open().dtype

    def warn_of_merged(self) -> None:
        """Say once where the tokenizer makes pictures alike; runs of the package do not."""
        if not self._warned and not self.ships:
            self._warned = True
            if why := merged_pictures(self.tokenizer, self.trained.profile):
                say(f"glyphsight: warning: {self.name}: {why}")

    @property
    def speaks(self) -> bool:
        """Whether the model has a language: all have but a ``nano`` that is not free."""
        return self._source.origin != nano.NAME or bool(self.run and self.run.free)

    def task(self, question: str | None = None) -> Task:
        """Return the task of a question; one that the model was not trained on has no labels.

        Words that ask for a name and no more get the first, where it gives one of its labels.

        Raises:
            ModelError: The model was not trained with glyphsight, or does not speak and was not
                trained to answer the question.
        """
        try:
            task = self.trained.task(question)
            return task if question is None else self.trained.asked(question, task)
        except ModelError as error:
            if self.run is None:
                raise
            if question is None or not (self.speaks or self._talker):
                raise ModelError(
                    f"{self.name}: {error}, or give a talker, which answers about the name "
                    "(--talker MODEL; Model(..., talker=MODEL))"
                ) from None
            return Task(question)
