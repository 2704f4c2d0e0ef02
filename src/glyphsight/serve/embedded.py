"""The backend without an upstream: the model answers pictures and writes, in each API's shape."""

from __future__ import annotations

import asyncio
import math
import re
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from glyphsight.dataset.questions import refers
from glyphsight.errors import ModelError, PictureError
from glyphsight.inference import Answer, Model
from glyphsight.inference.naming import is_known, names_of, sentences
from glyphsight.inference.reading import PictureText
from glyphsight.inference.score import PromptTooLongError
from glyphsight.inference.stream import Piece, Token, Writing
from glyphsight.inference.talk import (
    asked_again,
    conversation_ids,
    task_about,
    too_long,
    without_lead,
)
from glyphsight.inference.tokenize import prompt_ids
from glyphsight.inference.words import Read
from glyphsight.models.runs import DRAW
from glyphsight.serve.asked import Asked, read_asked
from glyphsight.serve.drawings import DRAWINGS, drawn_reply, read_drawing
from glyphsight.serve.errors import ApiError
from glyphsight.serve.replies import REPLIES, Reply
from glyphsight.serve.request import Incoming
from glyphsight.version import __version__

T = TypeVar("T")
_WRITERS = 32  # texts written at a time; the others wait
_MADE = "2026-01-01T00:00:00Z"
_UNREAD = {
    "X-Glyphsight-Note": "the words beside the pictures were not read: this model was trained on "
    "one question, and answers that"
}
_SPEAKERS = "--model sight, --talker MODEL, or --upstream in front of a model that writes"


class Embedded:
    """Answers with the model of the settings.

    A request whose last message is the user's and holds pictures is a question about them: labels
    are scored, whatever else was said. All else is a conversation.
    """

    name = "embedded"

    def __init__(self, model: Model, ears: Model | None = None) -> None:
        self._model, self._ears, self._name = model, ears, Path(model.name).resolve().name
        self._pool = ThreadPoolExecutor(_WRITERS, "glyphsight-writer")

    async def start(self) -> None:
        """Load the model, and the talker that was given."""
        await self._run(self._model.settle, None, rounded=True)
        await self._run(lambda: self._model.talker)

    async def close(self) -> None:
        """End the threads, each after the token that it writes."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: Callable[..., T], *given: Any, **named: Any) -> T:
        call = partial(function, *given, **named)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    async def handle(self, request: Incoming) -> Response:
        """Answer a request, or raise ApiError: it is not valid, too long or not to be done here."""
        if request.path == DRAWINGS:
            with self._refused():
                return await self._draw(request.payload)
        if request.path not in REPLIES:
            return self._about(request)
        body = request.payload
        self._require(body.get("model"))
        asked = read_asked(request.path, body)
        if request.path.startswith("/api/") and not (asked.texts or asked.messages):
            return self._loaded(request.path)
        with self._refused():
            answers, count = await self._pictures(asked, request.reads)
            if answers is not None:
                writers: Sequence[Iterable[Piece]] = [
                    _as_pieces(answers, asked.writing) for _ in range(asked.count)
                ]
            else:
                writers, count = await self._run(self._begin, asked, request.reads)
        reply = REPLIES[request.path](asked, self._name, count, len(writers))
        pieces = self._pieces(writers)
        words = _last(asked, request.reads)[0] if answers else ""
        headers = _UNREAD if words and self._model.ignores(words) else {}
        if asked.streamed:
            return _Streamed(reply, pieces, headers)
        async with aclosing(pieces):
            async for index, piece in pieces:
                reply.add(index, piece)
        return JSONResponse(reply.whole(), headers=headers)

    async def _draw(self, body: Mapping[str, Any]) -> Response:
        """Answer with drawings, of the model or, where it draws nothing, of the package's."""
        name, own = body.get("model"), bool(self._model.trained.draws)
        if name != DRAW:
            self._require(name)
        elif self._name != DRAW:
            own = False
        drawer = self._model if own else self._package
        asked, gone = read_drawing(body, drawer.trained.draws), threading.Event()

        def step() -> None:
            if gone.is_set():
                raise CancelledError

        try:
            made = await self._run(drawer.draw, asked.label, asked.settings, step=step)
        finally:
            gone.set()
        return JSONResponse(await self._run(drawn_reply, asked, made))

    @cached_property
    def _package(self) -> Model:
        """Model of the package that draws."""
        return Model(DRAW)

    async def _pictures(
        self, asked: Asked, reads: Sequence[Read]
    ) -> tuple[list[tuple[Answer, ...]] | None, int]:
        """Answer each thing in pictures, None where none is asked about; count the tokens read."""
        words, inside = _last(asked, reads)
        model = self._model
        run = model.trained
        unknown = all(read.answer is not None and not is_known(read.answer) for read in reads)
        if not inside and reads and unknown and model.talker is not None and refers(words):
            inside = [reads[-1]]  # of what nobody knows nothing is said in later turns either
        reads = inside
        if not reads:
            return None, 0
        task = task_about(model, words, [read.answer for read in reads if read.answer])
        if task is None and model.talker is None:
            return None, 0
        another = task is not None and task != run.task(None)
        if any(read.kind == "Sound" and (another or read.answer is None) for read in reads):
            raise ApiError(
                400,
                "the embedded model does not hear; start the server with --sound-model RUN, and "
                "send a sound without words",
                code="unsupported_content_part",
            )
        if task is None:
            return None, 0
        answers = [one.things for read in reads if (one := read.answer) is not None]
        texts = [one.ascii_image for things in answers for one in things]
        if another:
            given = [PictureText(text, 0, 0, False, False) for text in texts]
            found = iter(await self._run(model.see, given, task.question))
            answers = [tuple(next(found) for _ in things) for things in answers]
        count = 0
        for read, things in zip(reads, answers, strict=True):
            reader = self._ears if read.kind == "Sound" and self._ears else model
            question = task.question if reader is model else reader.trained.task(None).question
            ask = reader.trained.prompt.ask
            prompts = [ask(one.ascii_image, question) for one in things]
            count += sum(map(len, prompt_ids(reader.tokenizer, prompts, reader.chat_turns)))
        return answers, count

    def _begin(self, asked: Asked, reads: Sequence[Read]) -> tuple[list[Iterator[Piece]], int]:
        """Begin to write, and count the tokens read."""
        model = self._model
        conversations: list[Sequence[Mapping[str, str]]] = (
            [asked.messages] if asked.messages else []
        )
        if reads and model.talker is not None:
            every = asked.messages or [{"role": "user", "content": text} for text in asked.texts]
            named = _named(every, reads)
            conversations = [named] if asked.messages else [[one] for one in named]
        texts = self._own_words_about(asked, reads)
        if texts:
            prompts = [asked_again(model, texts, _last(asked, reads)[0])]
        elif conversations:
            drawn = f", ask {DRAWINGS} for a drawing" if model.trained.draws else ""
            fix = f"send a picture in the last message{drawn}, or start the server with {_SPEAKERS}"
            prompts = [
                conversation_ids(model, one, fix, pictures=bool(reads)) for one in conversations
            ]
        else:
            prompts = prompt_ids(model.tokenizer, asked.texts)
        writers = []
        writer = (model.talker or model) if conversations and not texts else model
        for ids in prompts:
            for number in range(asked.count):
                writing = asked.writing
                if writing.seed is not None:
                    writing = replace(writing, seed=writing.seed + number)
                one = writer.stream(ids, writing)
                writers.append(without_lead(one) if conversations else one)
        return writers, sum(map(len, prompts))

    def _own_words_about(self, asked: Asked, reads: Sequence[Read]) -> list[str]:
        """Return the texts of the pictures that the run itself is to write about; none: it is not.

        They are those of the last message that has pictures. What was said before is left out, as
        the run did not learn from long conversations.
        """
        words, inside = _last(asked, reads)
        if not words or not self._model.writes(words) or self._model.talker is None:
            return []
        for stop in range(len(asked.messages) - 1, 0, -1):
            if not inside and asked.messages[stop - 1]["role"] == "user":
                _, inside = _last(replace(asked, messages=asked.messages[:stop]), reads)
        seen = [read.answer for read in inside if read.kind == "Picture" and read.answer]
        return (
            [one.ascii_image for x in seen for one in x.things] if any(map(is_known, seen)) else []
        )

    async def _pieces(
        self, writers: Sequence[Iterable[Piece]]
    ) -> AsyncGenerator[tuple[int, Piece], None]:
        """Yield the pieces of several texts as they come; a text is ended where nobody waits."""
        if all(isinstance(one, list) for one in writers):
            for index, one in enumerate(writers):
                for piece in one:
                    yield index, piece
            return
        loop, gone = asyncio.get_running_loop(), threading.Event()
        queue: asyncio.Queue[tuple[int, Piece] | Exception] = asyncio.Queue()

        def put(value: tuple[int, Piece] | Exception) -> None:
            if not gone.is_set():
                loop.call_soon_threadsafe(queue.put_nowait, value)

        def write(index: int, pieces: Iterable[Piece]) -> None:
            try:
                for piece in pieces:
                    put((index, piece))
                    if gone.is_set():
                        return
            except Exception as error:
                put(error)

        tasks = [self._pool.submit(write, index, one) for index, one in enumerate(writers)]
        left = len(tasks)
        try:
            while left:
                value = await queue.get()
                if isinstance(value, Exception):
                    raise value
                left -= bool(value[1].finish)
                yield value
        finally:
            gone.set()
            for task in tasks:
                task.cancel()

    @contextmanager
    def _refused(self) -> Iterator[None]:
        """Turn errors of the model into those of a request, without the model's path."""
        try:
            yield
        except PromptTooLongError as error:
            said, code = f"{too_long(error)}; send less text", "context_length_exceeded"
        except (ModelError, PictureError) as error:
            said, code = str(error), None
        else:
            return
        named = rf"(?<![\w./-]){re.escape(self._model.name)}(?![\w/-])"  # "." is a path too
        raise ApiError(400, re.sub(named, lambda _: self._name, said), code=code)

    def _require(self, name: Any) -> None:
        if name in (None, "", self._name, f"{self._name}:latest"):
            return
        asked = name[:80] if isinstance(name, str) else "the one asked for"
        said = f"no model {asked!r} here; ask {self._name!r}"
        raise ApiError(404, said, code="model_not_found", param="model")

    def _loaded(self, path: str) -> Response:
        """Answer a request without a prompt, by which Ollama's clients load a model."""
        said = {"message": {"role": "assistant", "content": ""}}
        text = said if path == "/api/chat" else {"response": ""}
        done = {"done": True, "done_reason": "load"}
        return JSONResponse({"model": self._name, "created_at": _MADE} | text | done)

    def _about(self, request: Incoming) -> Response:
        """Answer what clients ask about models."""
        name, path, model = self._name, request.path, self._model
        card = {"id": name, "object": "model", "created": 0, "owned_by": "glyphsight"}
        details: dict[str, Any] = {"parent_model": "", "format": "safetensors", "family": "llama"}
        details |= {"families": ["llama"], "parameter_size": "", "quantization_level": model.dtype}
        tag = {"name": f"{name}:latest", "model": f"{name}:latest", "modified_at": _MADE}
        tags = {"models": [tag | {"size": 0, "digest": "", "details": details}]}
        info = {"general.architecture": "llama", "llama.context_length": model.window}
        show = {"modified_at": _MADE, "details": details, "model_info": info}
        known: dict[str, dict[str, Any]] = {
            "/v1/models": {"object": "list", "data": [card]},
            "/api/version": {"version": __version__},
            "/api/tags": tags,
            "/api/ps": tags,
            "/api/show": show | {"capabilities": ["completion", "vision"]},
        }
        if path.startswith("/v1/models/"):
            self._require(path.removeprefix("/v1/models/"))
            return JSONResponse(card)
        if path == "/api/show":
            self._require(request.payload.get("model", request.payload.get("name")))
        if path not in known:
            raise ApiError(
                404,
                "the embedded model has no such thing; start the server with --upstream in front "
                "of one that has",
                code="unsupported",
            )
        return JSONResponse(known[path])


class _Streamed(Response):
    """A reply that is sent as it is written; nothing is written for a client that has gone."""

    def __init__(
        self, reply: Reply, pieces: AsyncGenerator[tuple[int, Piece], None], headers: dict[str, str]
    ) -> None:
        super().__init__(media_type=reply.media, headers={"Cache-Control": "no-cache", **headers})
        del self.headers["content-length"]
        self._reply, self._pieces = reply, pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = self._reply

        async def put(chunks: Iterator[bytes]) -> None:
            if body := b"".join(chunks):
                await send({"type": "http.response.body", "body": body, "more_body": True})

        start = {"type": "http.response.start", "status": self.status_code}
        async with aclosing(self._pieces):
            await send(start | {"headers": self.raw_headers})
            await put(reply.begin())
            async for index, piece in self._pieces:
                reply.add(index, piece)
                await put(reply.step(index, piece))
            await put(reply.end())
            await send({"type": "http.response.body", "body": b""})


def _last(asked: Asked, reads: Sequence[Read]) -> tuple[str, list[Read]]:
    """Return the words of the last message, where it is the user's, and what was read in it."""
    if len(asked.texts) > 1 or (asked.messages and asked.messages[-1]["role"] != "user"):
        return "", []
    words = asked.texts[0] if asked.texts else asked.messages[-1]["content"]
    inside: list[Read] = []
    for read in reversed(reads):  # the last ones: an earlier message may hold the same picture
        shown = read.shown.removesuffix("\n")
        if (at := words.rfind(shown)) < 0:  # the text of an empty picture may be empty
            break
        words = f"{words[:at]}\n{words[at + len(shown) :]}"
        inside.insert(0, read)
    return words.strip(), inside


def _named(messages: Sequence[Mapping[str, str]], reads: Sequence[Read]) -> list[dict[str, str]]:
    """Put what each picture shows, in words, in the place of its text."""
    left, named = list(reads), []
    for message in messages:
        rest, inside = message["content"], []
        while left and (shown := left[0].shown.removesuffix("\n")) in rest:
            before, _, rest = rest.partition(shown) if shown else (rest, "", "")
            inside.append((before, shown, left.pop(0)))
        said = {}
        for kind in ("Picture", "Sound"):
            own = [one.answer for _, _, one in inside if one.kind == kind and one.answer]
            said[kind] = iter(sentences([*map(names_of, own)], kind))
        content = "".join(
            before + (next(said[read.kind]) if read.answer else shown)
            for before, shown, read in inside
        )
        named.append({**message, "content": content + rest})
    return named


def _as_pieces(answers: Sequence[Sequence[Answer]], writing: Writing) -> list[Piece]:
    """Return the answers as text, a line per picture, labels with their probabilities.

    The likeliest label is given, whatever the temperature; a label counts as one token.
    """
    found = []
    for things in answers:
        for answer in things:
            token = Token(answer.label, 0.0, ()) if answer.empty else None  # no model judged it
            if answer.probability is not None:
                likeliest = list(answer.probabilities.items())[: writing.top]
                chances = tuple((label, _log(chance)) for label, chance in likeliest)
                token = Token(answer.label, _log(answer.probability), chances)
            found.append(Piece(answer.name + (", " if answer is not things[-1] else "\n"), token))
    found[-1] = replace(found[-1], text=found[-1].text[:-1])
    whole = "".join(piece.text for piece in found)
    ends = [at for stop in writing.stop if (at := whole.find(stop)) >= 0]
    end, at = min(ends, default=len(whole)), 0
    kept: list[Piece] = []
    for piece in found[: writing.most]:
        kept.append(replace(piece, text=piece.text[: end - at]))
        at += len(piece.text)
        if at > end:
            break
    cut = len(kept) == writing.most < len(found) and at <= end
    kept[-1] = replace(kept[-1], finish="length" if cut else "stop")
    return kept


def _log(chance: float) -> float:
    return math.log(max(chance, 1e-30))
