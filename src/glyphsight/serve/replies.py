"""Replies of the embedded model in the shape of each API, whole and streamed."""

from __future__ import annotations

import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from glyphsight.inference.stream import Piece, Token
from glyphsight.serve.asked import Asked

Object = dict[str, Any]


@dataclass
class Choice:
    """A text that is being written: what has come of it, and why it ended."""

    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    finish: str = ""


class Reply(ABC):
    """A reply as it grows; the base of those of each API."""

    media = "text/event-stream"  # type of a stream of this reply

    def __init__(self, asked: Asked, model: str, prompt_tokens: int, count: int) -> None:
        self.asked, self.model, self.prompt_tokens = asked, model, prompt_tokens
        self.choices = [Choice() for _ in range(count)]
        self.created, self.began = int(time.time()), time.perf_counter_ns()

    @property
    def tokens(self) -> int:
        """Number of tokens written."""
        return sum(len(choice.tokens) for choice in self.choices)

    def add(self, index: int, piece: Piece) -> None:
        """Take a piece of a text."""
        choice = self.choices[index]
        choice.text += piece.text
        choice.tokens += [piece.token] if piece.token else []
        choice.finish = piece.finish

    @abstractmethod
    def whole(self) -> Object:
        """Return the reply once every text has ended."""

    def begin(self) -> Iterator[bytes]:
        """Yield what a stream begins with."""
        yield from ()

    @abstractmethod
    def step(self, index: int, piece: Piece) -> Iterator[bytes]:
        """Yield what a piece, just added, puts into a stream."""

    @abstractmethod
    def end(self) -> Iterator[bytes]:
        """Yield what a stream ends with."""


class _Completions(Reply):
    begins, named, streamed = "cmpl", "text_completion", "text_completion"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.id = f"{self.begins}-{uuid.uuid4().hex}"

    def _shell(self, kind: str, choices: list[Object], usage: bool) -> Object:
        shell = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        shell |= {"choices": choices, "system_fingerprint": None}
        read, written = self.prompt_tokens, self.tokens
        counts = {"prompt_tokens": read, "completion_tokens": written}
        counts["total_tokens"] = read + written
        return shell | ({"usage": counts if usage else None} if usage or self.asked.usage else {})

    def whole(self) -> Object:
        choices = [self._choice(index, one) for index, one in enumerate(self.choices)]
        return self._shell(self.named, choices, True)

    def _choice(self, index: int, choice: Choice, start: int = 0) -> Object:
        told = _listed(choice.tokens, start) if self.asked.logprobs else None
        rest = {"logprobs": told, "finish_reason": choice.finish or None}
        return {"index": index, "text": choice.text} | rest

    def step(self, index: int, piece: Piece) -> Iterator[bytes]:
        added = Choice(piece.text, [piece.token] if piece.token else [], piece.finish)
        if added.text or added.finish or self.asked.logprobs:
            before = self.choices[index].tokens[: -len(added.tokens) or None]
            start = sum(len(token.text) for token in before) if self.asked.logprobs else 0
            yield self._chunk([self._choice(index, added, start)])

    def _chunk(self, choices: list[Object], usage: bool = False) -> bytes:
        return _event(self._shell(self.streamed, choices, usage))

    def end(self) -> Iterator[bytes]:
        if self.asked.usage:
            yield self._chunk([], True)
        yield b"data: [DONE]\n\n"


class _Chat(_Completions):
    begins, named, streamed = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def _choice(self, index: int, choice: Choice, start: int = 0) -> Object:
        message = {"role": "assistant", "content": choice.text, "refusal": None}
        return {"index": index, "message": message} | self._rest(choice)

    def _rest(self, choice: Choice) -> Object:
        told = None
        if self.asked.logprobs:
            told = {"content": [_told(token) for token in choice.tokens], "refusal": None}
        return {"logprobs": told, "finish_reason": choice.finish or None}

    def begin(self) -> Iterator[bytes]:
        for index in range(len(self.choices)):
            delta = {"role": "assistant", "content": ""}
            rest = {"logprobs": None, "finish_reason": None}
            yield self._chunk([{"index": index, "delta": delta} | rest])

    def step(self, index: int, piece: Piece) -> Iterator[bytes]:
        added = Choice(piece.text, [piece.token] if piece.token else [])
        if added.text or (added.tokens and self.asked.logprobs):
            delta = {"index": index, "delta": {"content": piece.text}}
            yield self._chunk([delta | self._rest(added)])
        if piece.finish:
            rest = {"logprobs": None, "finish_reason": piece.finish}
            yield self._chunk([{"index": index, "delta": {}} | rest])


class _Responses(Reply):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.id, self.item = f"resp_{uuid.uuid4().hex}", f"msg_{uuid.uuid4().hex}"
        self._number = -1

    def whole(self) -> Object:
        status = "incomplete" if self.choices[0].finish == "length" else "completed"
        return self._shell(status, [self._message(status)])

    def _shell(self, status: str, output: list[Object]) -> Object:
        writing, over = self.asked.writing, status not in ("queued", "in_progress")
        usage = {
            "input_tokens": self.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": self.tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.prompt_tokens + self.tokens,
        }
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"}
            if status == "incomplete"
            else None,
            "model": self.model,
            "output": output,
            "parallel_tool_calls": False,
            "temperature": writing.temperature,
            "tool_choice": "none",
            "tools": [],
            "top_p": writing.top_p,
            "usage": usage if over else None,
        } | dict(self.asked.repeated)

    def _message(self, status: str) -> Object:
        content = [self._part()] if status != "in_progress" else []
        message = {"id": self.item, "type": "message", "role": "assistant"}
        return message | {"status": status, "content": content}

    def _part(self) -> Object:
        part: Object = {"type": "output_text", "text": self.choices[0].text, "annotations": []}
        if self.asked.logprobs:
            part["logprobs"] = [_told(token) for token in self.choices[0].tokens]
        return part

    def _event(self, kind: str, **values: Any) -> bytes:
        self._number += 1
        return _event({"type": kind, "sequence_number": self._number} | values, kind)

    def _place(self) -> Object:
        return {"item_id": self.item, "output_index": 0, "content_index": 0}

    def begin(self) -> Iterator[bytes]:
        for kind in ("response.created", "response.in_progress"):
            yield self._event(kind, response=self._shell("in_progress", []))
        item = self._message("in_progress")
        yield self._event("response.output_item.added", output_index=0, item=item)
        yield self._event("response.content_part.added", **self._place(), part=self._part())

    def step(self, index: int, piece: Piece) -> Iterator[bytes]:
        told = [_told(piece.token)] if piece.token and self.asked.logprobs else []
        if piece.text or told:
            place = self._place() | {"delta": piece.text, "logprobs": told}
            yield self._event("response.output_text.delta", **place)

    def end(self) -> Iterator[bytes]:
        part, whole = self._part(), self.whole()
        done = self._place() | {"text": part["text"], "logprobs": part.get("logprobs", [])}
        yield self._event("response.output_text.done", **done)
        yield self._event("response.content_part.done", **self._place(), part=part)
        item = whole["output"][0]
        yield self._event("response.output_item.done", output_index=0, item=item)
        yield self._event(f"response.{whole['status']}", response=whole)


class _Ollama(Reply):
    media = "application/x-ndjson"
    chat = False

    def _shell(self, text: str, tokens: list[Token], finish: str = "") -> Object:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        said: Object = {"model": self.model, "created_at": now}
        said |= (
            {"message": {"role": "assistant", "content": text}} if self.chat else {"response": text}
        )
        said["done"] = bool(finish)
        if self.asked.logprobs:
            said["logprobs"] = [_told(token) for token in tokens]
        if finish:
            said |= {
                "done_reason": finish,
                "total_duration": time.perf_counter_ns() - self.began,
                "load_duration": 0,
                "prompt_eval_count": self.prompt_tokens,
                "eval_count": self.tokens,
            }
        return said

    def whole(self) -> Object:
        [choice] = self.choices
        return self._shell(choice.text, choice.tokens, choice.finish)

    def step(self, index: int, piece: Piece) -> Iterator[bytes]:
        tokens = [piece.token] if piece.token else []
        if piece.text or (tokens and self.asked.logprobs):
            yield _line(self._shell(piece.text, tokens))

    def end(self) -> Iterator[bytes]:
        yield _line(self._shell("", [], self.choices[0].finish))


class _OllamaChat(_Ollama):
    chat = True


REPLIES: dict[str, type[Reply]] = {
    "/v1/chat/completions": _Chat,
    "/v1/completions": _Completions,
    "/v1/responses": _Responses,
    "/api/chat": _OllamaChat,
    "/api/generate": _Ollama,
}
"""Reply of each path."""


def _event(value: Object, kind: str = "") -> bytes:
    name = f"event: {kind}\n" if kind else ""
    return f"{name}data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def _line(value: Object) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode()


def _told(token: Token) -> Object:
    return _one(token.text, token.logprob) | {"top_logprobs": [_one(*pair) for pair in token.top]}


def _one(text: str, logprob: float) -> Object:
    whole = "\ufffd" not in text
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()) if whole else None}


def _listed(tokens: list[Token], start: int) -> Object:
    """Return log-probabilities as ``/v1/completions`` lists them."""
    offsets = list(accumulate((len(token.text) for token in tokens), initial=start))
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [dict(token.top) for token in tokens],
        "text_offset": offsets[:-1],
    }
