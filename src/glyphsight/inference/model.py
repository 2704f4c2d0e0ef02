"""The model that everything asks: scores, free answers, pictures, chats."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.console import say
from glyphsight.dataset.prompt import Prompt
from glyphsight.errors import ModelError, PictureError
from glyphsight.extras import installed
from glyphsight.inference.batcher import BATCH, Batcher, Job, Progress
from glyphsight.inference.draw import Drawing, DrawSettings, draw
from glyphsight.inference.numpy_engine import NumpyEngine
from glyphsight.inference.opened import Opened, in_int8, with_numpy, with_torch
from glyphsight.inference.score import (
    Completions,
    PromptTooLongError,
    probabilities,
)
from glyphsight.inference.see import Answer, PictureText, require_medium, to_answer, to_text
from glyphsight.inference.stream import Piece, Writing, pieces
from glyphsight.inference.tokenize import completion_ids, prompt_ids
from glyphsight.media.picture import PictureLike, several
from glyphsight.models import nano
from glyphsight.models.chat import Turns, chat_turns, fill, has_template
from glyphsight.models.load import LoadedModel, load_model
from glyphsight.models.runs import UNKNOWN, ModelSource, RunRecord, Task, resolve
from glyphsight.models.tokens import merged_pictures

SPARE_TOKENS = 12
"""Tokens that a free answer may have beyond the longest label, so that a refusal can be told."""
_READ = 512  # tokens of a prompt read at a time, so that other texts are written meanwhile
_SENTENCE = 48  # tokens of an answer that is written freely, beside the spare ones
_KNOWN = 4096  # sets of answers whose tokens are kept
_ENGINES = ("auto", "fast", "numpy", "torch")
_MANY = 3e9  # questions times weights; numpy answers as many while another engine starts


@dataclass(frozen=True)
class Request:
    """A question to a model.

    Attributes:
        prompt: Text that the model reads, as :meth:`~glyphsight.dataset.Prompt.ask` renders it.
        answers: Completions to choose from, as :meth:`~glyphsight.dataset.Prompt.reply` renders
            each. They also bound the length of a free answer.
        unknown: Column of the answer that says ``unknown``, whose score is lowered by the caution
            of the model's run; None where there is none.
    """

    prompt: str
    answers: tuple[str, ...] = ()
    unknown: int | None = None

    @staticmethod
    def about(prompt: Prompt, text: str, labels: Sequence[str], question: str = "") -> Request:
        """Ask which label fits the text of a picture."""
        return Request.among(labels, tuple(map(prompt.reply, labels)), prompt.ask(text, question))

    @staticmethod
    def among(labels: Sequence[str], answers: tuple[str, ...], prompt: str) -> Request:
        """Ask which of the labels, rendered as ``answers``, goes on from a rendered prompt."""
        return Request(prompt, answers, labels.index(UNKNOWN) if UNKNOWN in labels else None)


class Model:
    """A language model that is asked. Several threads may ask at once; their requests are batched.

    The model is loaded when it is first asked. Its engine is chosen once, see :meth:`settle`, so
    that a picture has the same probabilities whatever is asked with it. Pickled, the model goes to
    another process by its name, its engine and the dtype of its weights, so that all compute
    alike; a model that the caller loaded goes whole.

    Args:
        model: Name, run directory, path or hub id, as :func:`glyphsight.models.load_model` takes
            it; or a loaded model.
        dtype: ``float32`` or ``bfloat16``; None for the faster one on this machine.
        engine: ``numpy``, which answers at once, and ``fast``, int8 weights in onnxruntime, for
            runs of Llama models; ``torch`` for all; ``auto`` for one of them.

    Raises:
        ModelError: There is no such engine, or it does not compute in ``dtype``.
    """

    def __init__(
        self, model: str | Path | LoadedModel, dtype: str | None = None, engine: str = "auto"
    ) -> None:
        if engine not in _ENGINES:
            raise ModelError(f"unknown engine {engine!r}; choose one of {', '.join(_ENGINES)}")
        computed = {"numpy": "float32", "fast": "int8"}.get(engine)
        if computed and dtype not in (None, computed):
            raise ModelError(
                f"{engine} computes in {computed}, not in {dtype}; take the engine torch"
            )
        self._given = model
        self._engine, self._dtype = engine, dtype
        self._prepare()

    def _prepare(self) -> None:
        self._opened: Opened | None = None
        self._loaded: LoadedModel | None = None
        self._settled = self._warned = False
        self._known: dict[tuple[str, ...], Completions] = {}
        self._lock, self._tokens = threading.RLock(), threading.Lock()
        self._batcher = Batcher()
        if isinstance(self._given, LoadedModel):
            self.get()

    @staticmethod
    def load(name: str | Path, engine: str = "auto", dtype: str | None = None) -> Model:
        """Load a model at once; see :class:`Model`.

        Raises:
            ModelError: The model cannot be loaded.
        """
        model = Model(name, dtype, engine)
        model._open()
        return model

    def __getstate__(self) -> dict[str, Any]:
        engine, dtype = self._engine, self._dtype
        if self._settled and not isinstance(self._given, LoadedModel):
            opened = self._open()
            engine = opened.engine.name
            dtype = None if engine == "fast" else opened.dtype
        return {"_given": self._given, "_engine": engine, "_dtype": dtype}

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
                    if many and not (rounded and self.trained.draws):
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
                self._opened, self._settled = with_torch(self._loaded), True
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

    def too_long(self, requests: Sequence[Request]) -> dict[int, str]:
        """Return why requests do not fit the model's window, by row; empty where all fit."""
        if self.window is None:
            return {}
        rooms = [self._completions(r).longest if r.answers else 1 for r in requests]
        return self._too_long(self._prompts(requests), rooms)

    def score(
        self,
        requests: Sequence[Request],
        *,
        batch_size: int = BATCH,
        progress: Progress = lambda n: None,
        share: bool = True,
    ) -> list[NDArray[np.float32]]:
        """Score the answers of each request: the log-likelihood of their tokens after the prompt.

        The answer ``unknown`` has the caution of the run taken off, so that everything that takes
        the best of the scores, or makes probabilities of them, keeps to the run's threshold.

        Batch size, padding and sharing change nothing but the order of sums. In float32 that moves
        a score by less than 1e-3. In bfloat16, as SmolLM2 is asked where the CPU is good at it, by
        at most 0.5: a logit between 16 and 32 has steps of 0.125, and 37 prompts in batches of 1, 8
        and 32 differed by 0.26 at most. There the best answer is the same wherever the second is
        more than 0.5 behind.

        Args:
            requests: N requests, each with one answer at least.
            batch_size: Prompts per pass at most; changes speed alone.
            progress: Function called with the number of requests done since its last call.
            share: True where a shared beginning of prompts is computed once; changes speed alone.

        Returns:
            N arrays float32[answers], natural logarithm.

        Raises:
            PromptTooLongError: Requests exceed the model's window; nothing is scored.
            ModelError: Two answers of a request cannot be told apart.
        """
        self.settle(len(requests))
        choices = [self._completions(request) for request in requests]
        prompts = self._prompts(requests)
        self._require_room(prompts, [c.longest for c in choices])
        job = Job(prompts, choices, [], batch_size, progress, share)
        scores = self._batcher.ask(job, self._open)
        if self.run is not None and self.run.caution:
            for request, own in zip(requests, scores, strict=True):
                if request.unknown is not None:
                    own[request.unknown] -= self.run.caution
        return scores

    def best(
        self,
        requests: Sequence[Request],
        *,
        batch_size: int = BATCH,
        progress: Progress = lambda n: None,
    ) -> list[int]:
        """Return the column of each request's likeliest answer, the first of equals.

        Raises:
            ModelError: As :meth:`score`.
        """
        scores = self.score(requests, batch_size=batch_size, progress=progress)
        return [int(own.argmax()) for own in scores]

    def generate(
        self,
        requests: Sequence[Request],
        *,
        batch_size: int = BATCH,
        progress: Progress = lambda n: None,
    ) -> list[str]:
        """Let the model write (greedily) after each prompt, a dozen tokens past any answer at most.

        After a prompt that nearly fills the model's window, as many tokens as are left in it.

        Args:
            requests: N requests.
            batch_size: Prompts per pass at most; changes speed alone.
            progress: Function called with the number of requests done since its last call.

        Returns:
            N texts as the model wrote them.

        Raises:
            PromptTooLongError: Prompts fill the window; nothing is written.
        """
        self.settle(len(requests))
        with self._tokens:
            longest = {  # with the end token
                answers: 1
                + max(map(len, completion_ids(self.tokenizer, answers, self.chat_turns, end=False)))
                for answers in {request.answers for request in requests if request.answers}
            }
        rooms = [longest.get(request.answers, _SENTENCE) + SPARE_TOKENS for request in requests]
        return self._written(self._prompts(requests), rooms, batch_size, progress)

    def _written(
        self, prompts: list[list[int]], rooms: list[int], batch_size: int, progress: Progress
    ) -> list[str]:
        self._require_room(prompts, [1] * len(prompts))
        if (window := self.window) is not None:
            rooms = [min(room, window - len(ids)) for ids, room in zip(prompts, rooms, strict=True)]
        written = self._batcher.ask(Job(prompts, [], rooms, batch_size, progress), self._open)
        return [self.tokenizer.decode(tokens, skip_special_tokens=True) for tokens in written]

    def stream(
        self, prompt: str | Sequence[int], writing: Writing | None = None
    ) -> Iterator[Piece]:
        """Write after a prompt, a piece as each token comes.

        Texts of several threads are written together, a token of each at a time. One that is
        closed before its end is written no further. The same seed draws the same tokens, but for
        rounding: what is written beside it changes the order of sums.

        Args:
            prompt: Text as :meth:`~glyphsight.dataset.Prompt.ask` renders it, or token ids.
            writing: Settings; left out, the likeliest tokens, 256 at most.

        Returns:
            Iterator of pieces; the last one says why the text ends.

        Raises:
            ModelError: The prompt is empty.
            PromptTooLongError: The prompt fills the window; nothing is written.
        """
        self.settle(1)
        ids = self._prompts([Request(prompt)])[0] if isinstance(prompt, str) else list(prompt)
        if not ids:
            raise ModelError("the prompt is empty; give text to write on from")
        self._require_room([ids], [1])
        writing = writing or Writing()
        if (window := self.window) is not None:
            writing = replace(writing, most=min(writing.most, window - len(ids)))
        state: Any = None
        logprobs: NDArray[np.float32]

        def advance(new: list[int]) -> NDArray[np.float32]:
            nonlocal state, logprobs
            for start in range(0, len(new), _READ):
                step = Job([new[start : start + _READ]], states=[state])
                [(logprobs, state)] = self._batcher.ask(step, self._open)
            return logprobs

        ends = self._open().ends(self._chats)
        return pieces(advance, ids, self.tokenizer, ends, writing)

    def draw(
        self,
        label: str | None = None,
        settings: DrawSettings | None = None,
        given: str = "",
        *,
        step: Callable[[], object] = lambda: None,
    ) -> list[Drawing]:
        """Write pictures of a label; see :class:`~glyphsight.inference.draw.DrawSettings`.

        A grammar keeps the form: each text is one of the profile, of its columns and the rows of a
        square picture.

        Args:
            label: Label that the model was trained to draw; None for the one that the model
                expects most beside what is ``given``.
            settings: Number, temperature and seed; left out, one drawing.
            given: Rows of a picture to complete, as
                :func:`~glyphsight.codec.layout.places_left` reads them; "" for none.
            step: Function called before each token of all; what it raises ends the drawing.

        Returns:
            N drawings.

        Raises:
            ModelError: The model draws nothing, or not this label; or neither is given; or a
                drawing exceeds the window, or the tokenizer has no grammar.
            PromptTooLongError: The prompt fills the window; nothing is drawn.
            FormatError: What is given is no part of a text of the profile.
        """
        return draw(self, label, settings or DrawSettings(), given, step)

    def turns(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Return the tokens of a conversation, up to where the model replies.

        Args:
            messages: Objects with ``role`` and ``content``, oldest first. A picture is its text.

        Raises:
            ModelError: The model has no chat template, or it does not take the messages.
        """
        if self._chats is None:
            chat_turns(self.tokenizer, self.name)  # says what is wrong with the template
        with self._tokens:
            try:
                text = fill(self.tokenizer, messages)
            except Exception as error:  # a template is a program of its own
                raise ModelError(
                    f"{self.name}: its chat template refuses the messages ({error}); write others"
                ) from error
            ids: list[int] = self.tokenizer([text], add_special_tokens=False)["input_ids"][0]
        return ids

    @cached_property
    def _chats(self) -> Turns | None:
        """Turns of a conversation, though the model be asked plainly; None without a template."""
        if not has_template(self.tokenizer):
            return self.chat_turns
        with self._tokens:
            return self.chat_turns or chat_turns(self.tokenizer, self.name)

    def chat(self, messages: Sequence[dict[str, str]], *, most: int = Writing.most) -> str:
        """Return the reply to a conversation.

        Args:
            messages: As of :meth:`turns`.
            most: Tokens of the reply at most.

        Raises:
            ModelError: The model has no chat template, or the conversation exceeds its window.
        """
        reply = self.stream(self.turns(messages), Writing(most))
        return "".join(piece.text for piece in reply).strip()

    def see(
        self, pictures: Sequence[PictureLike | PictureText], question: str | None = None
    ) -> list[Answer]:
        """Answer pictures, with the probability of every label.

        Args:
            pictures: N paths, open binary files, PIL images, arrays uint8[H, W], [H, W, 3] or
                [H, W, 4], or texts of pictures in the profile of the model.
            question: Question about each picture; None for the first that the model was trained
                on. Without labels to choose from the model writes its answer.

        Raises:
            PictureError: A picture cannot be read, or is too tall for the model once it is text.
            ModelError: As :meth:`task`.
        """
        texts = []
        for picture in several(pictures):
            if isinstance(picture, PictureText):
                texts.append(picture)
                continue
            require_medium(picture, self)
            texts.append(to_text(picture, self.trained.profile))
        found = self.answers(texts, question)
        for answer in found:
            if isinstance(answer, PictureError):
                raise answer
        return [answer for answer in found if isinstance(answer, Answer)]

    def answers(
        self, texts: Sequence[PictureText], question: str | None = None
    ) -> list[Answer | PictureError]:
        """Answer the texts of pictures; an error stands where the model does not take one."""
        each = [part for text in texts for part in text.parts or (text,)]
        found = iter(self._answers(each, question))
        joined: list[Answer | PictureError] = []
        for text in texts:
            first = next(found)
            if not text.parts:
                joined.append(first)
                continue
            parts = [first, *islice(found, len(text.parts) - 1)]
            error = next((part for part in parts if isinstance(part, PictureError)), None)
            known = tuple(part for part in parts if isinstance(part, Answer))
            joined.append(error or replace(known[text.main], found=text.found, parts=known))
        return joined

    @property
    def speaks(self) -> bool:
        """Whether the model has a language: all have but a ``nano`` that is not free."""
        return self._source.origin != nano.NAME or bool(self.run and self.run.free)

    def task(self, question: str | None = None) -> Task:
        """Return the task of a question; one that the model was not trained on has no labels.

        Raises:
            ModelError: The model was not trained with glyphsight, or does not speak and was not
                trained to answer the question.
        """
        try:
            return self.trained.task(question)
        except ModelError as error:
            if self.run is None:
                raise
            if question is None or not self.speaks:
                raise ModelError(f"{self.name}: {error}") from None
            return Task(question)

    def _answers(
        self, texts: Sequence[PictureText], question: str | None
    ) -> list[Answer | PictureError]:
        """Answer texts of one thing each."""
        run, task = self.trained, self.task(question)
        asked = [
            Request.about(run.prompt, text.ascii_image, task.labels, task.question)
            for text in texts
        ]
        self.settle(len(asked), rounded=True)
        self._warn_of_merged(run)
        reasons = self.too_long(asked)
        fit = [row for row in range(len(texts)) if row not in reasons]
        found: list[Answer | PictureError] = [
            PictureError(
                f"{text.height}x{text.width} pixels are too tall as text "
                f"({reasons.get(row, '')}); crop it"
            )
            for row, text in enumerate(texts)
        ]
        some = [asked[row] for row in fit]
        if not task.labels:
            for row, reply in zip(fit, self.generate(some), strict=True):
                found[row] = to_answer(texts[row], run, {}, run.prompt.read_reply(reply))
            return found
        for row, scores in zip(fit, self.score(some), strict=True):
            chances = dict(zip(task.labels, probabilities(scores).tolist(), strict=True))
            ranked = dict(sorted(chances.items(), key=lambda pair: -pair[1]))
            best = next(iter(ranked))
            found[row] = to_answer(texts[row], run, ranked, best, task.name_of(best))
        return found

    def _warn_of_merged(self, run: RunRecord) -> None:
        """Say once where the tokenizer makes pictures alike; runs of the package do not."""
        if not self._warned and not self._source.ships:
            self._warned = True
            if why := merged_pictures(self.tokenizer, run.profile):
                say(f"glyphsight: warning: {self.name}: {why}")

    def _prompts(self, requests: Sequence[Request]) -> list[list[int]]:
        with self._tokens:
            return prompt_ids(self.tokenizer, [r.prompt for r in requests], self.chat_turns)

    def _completions(self, request: Request) -> Completions:
        """Return the tokens of a request's answers; they are computed once."""
        with self._tokens:
            if (known := self._known.get(request.answers)) is None:
                known = Completions.of(self.tokenizer, request.answers, self.chat_turns)
                if len(self._known) >= _KNOWN:
                    self._known.clear()
                self._known[request.answers] = known
            return known

    def _too_long(self, prompts: Sequence[list[int]], rooms: Sequence[int]) -> dict[int, str]:
        window = self.window
        return {
            row: f"{len(ids)} tokens and {room} for the answer exceed the {window} tokens "
            f"{self.name} takes; encode it with fewer columns"
            for row, (ids, room) in enumerate(zip(prompts, rooms, strict=True))
            if window is not None and len(ids) + room > window
        }

    def _require_room(self, prompts: Sequence[list[int]], rooms: Sequence[int]) -> None:
        if reasons := self._too_long(prompts, rooms):
            raise PromptTooLongError({row + 1: reason for row, reason in reasons.items()})
