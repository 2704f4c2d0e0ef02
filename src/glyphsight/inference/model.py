"""The model that everything asks: scores, free answers, pictures, chats."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.dataset.questions import refers
from glyphsight.errors import ModelError, PictureError
from glyphsight.inference.answer import Answer
from glyphsight.inference.batcher import BATCH, Batcher, Job, Progress
from glyphsight.inference.draw import Drawing, DrawSettings, draw
from glyphsight.inference.opened import LazyModel
from glyphsight.inference.reading import PictureText, require_medium, to_text
from glyphsight.inference.score import Completions, PromptTooLongError, Request
from glyphsight.inference.see import answer_texts
from glyphsight.inference.stream import Piece, Writing, pieces
from glyphsight.inference.tokenize import completion_ids, prompt_ids
from glyphsight.media.picture import PictureLike, several
from glyphsight.models.chat import Turns, chat_turns, end_tokens, fill, has_template
from glyphsight.models.runs import root_of

SPARE_TOKENS = 12
"""Tokens that a free answer may have beyond the longest label, so that a refusal can be told."""
_READ = 512  # tokens of a prompt read at a time, so that other texts are written meanwhile
_SENTENCE = 48  # tokens of an answer that is written freely, beside the spare ones
_KNOWN = 4096  # sets of answers whose tokens are kept


class Model(LazyModel):
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
        talker: Model that writes about what a run names, as ``model``; None for :attr:`talker`.

    Raises:
        ModelError: There is no such engine, or it does not compute in ``dtype``.
    """

    def _prepare(self) -> None:
        self._known: dict[tuple[str, ...], Completions] = {}
        self._tokens, self._batcher = threading.Lock(), Batcher()
        super()._prepare()

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
        Arguments are those of :meth:`score`.

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

        ends = end_tokens(self._open().tokenizer, self._chats)
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

    @cached_property
    def talker(self) -> Model | None:
        """Model that writes about what a run names, where the run itself does not (:meth:`writes`).

        Left out, it is the base of the run, if that has a chat template; of one that numpy maps the
        weights are in memory once. None for a base model, a ``nano``, and a run whose first
        question asks for no name.

        Raises:
            ModelError: The one that was given has no chat template.
        """
        run, given = self.run, self._talker
        if given is not None:
            talker = Model(given)
            if not has_template(talker.tokenizer):
                raise ModelError(f"{given}: has no chat template; give a model that chats")
            return talker
        if run is None or not (run.names_first and self.speaks):
            return None
        if not has_template(self.tokenizer):
            return None
        return Model(root_of(run).base)

    def talker_for(self, question: str | None) -> Model | None:
        """Return the talker that answers a question; None where the run answers it itself."""
        own = question is None or self.task(question) in self.trained.tasks
        return None if own or self.writes(question) else self.talker

    def writes(self, words: str | None) -> bool:
        """Tell whether the run itself writes the answer to words beside a picture.

        It does where it was trained on more questions than it lists, no talker was given, and the
        words refer to the picture by a word such as "it" (:func:`refers`).
        """
        free = self.run is not None and self.run.free and self._talker is None
        return free and words is not None and refers(words, surely=True)

    def ignores(self, words: str) -> bool:
        """Tell whether words beside a picture change nothing, and are not the one question."""
        return self.talker is None and self.trained.ignores(words)

    def see(
        self, pictures: Sequence[PictureLike | PictureText], question: str | None = None
    ) -> list[Answer]:
        """Answer pictures, with the probability of every label.

        Args:
            pictures: N paths, open binary files, PIL images, arrays uint8[H, W], [H, W, 3] or
                [H, W, 4], or texts of pictures in the profile of the model.
            question: Question about each picture; None for the first that the model was trained
                on. Another is answered in writing: by the base, about what the run names, where
                it has one that chats (:attr:`talker`), else by the model.

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
        return answer_texts(self, texts, question)

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
