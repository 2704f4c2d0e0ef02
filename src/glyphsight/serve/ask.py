"""The way of a request: its body, its pictures to text, the backend, the reply; and its limits."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from glyphsight.files import JsonLog
from glyphsight.inference.parts import Part
from glyphsight.inference.words import Read
from glyphsight.serve.document import Document, slots
from glyphsight.serve.errors import ApiError, as_api_error
from glyphsight.serve.eye import Eye
from glyphsight.serve.fetch import fetch
from glyphsight.serve.metrics import Metrics
from glyphsight.serve.request import Incoming, abort
from glyphsight.serve.settings import ServeSettings

READ_HEADER = b"x-glyphsight-read"  # header of a reply that says what the model read
_SHORT = 1 << 16  # bytes of a body that is read at once, without a thread
_LISTED = 64  # parts that the header lists
_BODIES = 16  # largest bodies that are held at a time
_CLOSE = {"Connection": "close"}  # what else the client sends is not read


@dataclass(eq=False)
class Ask:
    """Answers a request of an API; an ASGI application."""

    _settings: ServeSettings
    _handle: Callable[[Incoming], Awaitable[Response]]
    _eye: Eye
    _metrics: Metrics
    _log: JsonLog | None = None
    _busy: int = 0  # requests
    _held: int = 0  # bytes of their bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count."""
        began, out = time.perf_counter(), _Out(scope, send, self._settings.patience)
        try:
            with self._place():
                await self._answer(scope, receive, out)
        except Exception as error:
            refusal = as_api_error(error).response(scope["path"])
            if out.begun:
                abort(scope)
            elif not out.gone:
                await refusal(scope, receive, out)
        finally:
            path = scope["path"]
            path = "/v1/models/NAME" if path.startswith("/v1/models/") else path
            self._metrics.requests.labels(path, str(out.status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Hold a place in the queue."""
        if self._busy >= self._settings.queue:
            raise _busy()
        self._busy += 1
        self._metrics.busy.inc()
        try:
            yield
        finally:
            self._busy -= 1
            self._metrics.busy.dec()

    async def _answer(self, scope: Scope, receive: Receive, out: _Out) -> None:
        method, path = scope["method"], scope["path"]
        query = scope["query_string"].decode("latin-1")
        body = b""
        reads: tuple[Read, ...] = ()
        with ExitStack() as held:
            hold = held.enter_context(self._holding())
            if method == "POST":
                body = await self._take_body(scope, receive, hold)
            with _cancelled_when_gone(receive, out, self._metrics):
                if method == "POST":
                    body, reads = await self._read(path, body)
                if reads:
                    out.headers.append((READ_HEADER, _summary(reads)))
                request = Incoming(method, path, query, scope["headers"], body, reads)
                response = await self._handle(request)
                del request, body
                held.close()
                await response(scope, _never, out)

    @contextmanager
    def _holding(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that counts bytes of a request; let go of them at the end.

        It raises an ``ApiError`` where they are too many, for one request or for all together.
        """
        most, taken = self._settings.max_body, 0

        def hold(count: int) -> None:
            nonlocal taken
            if taken + count > most:
                raise _too_large(most)
            if self._held + count > _BODIES * most:
                raise _busy()
            taken += count
            self._held += count
            self._metrics.held.inc(count)

        try:
            yield hold
        finally:
            self._held -= taken
            self._metrics.held.dec(taken)

    async def _take_body(
        self, scope: Scope, receive: Receive, hold: Callable[[int], None]
    ) -> bytes:
        """Read the body, no more than its limit, no longer than the client's time."""
        given, body = dict(scope["headers"]), bytearray()
        if given.get(b"content-encoding", b"identity").lower() != b"identity":
            raise ApiError(415, "the body is compressed; send it plain", headers=_CLOSE)
        length = given.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._settings.max_body:
            raise _too_large(self._settings.max_body)
        try:
            async with asyncio.timeout(self._settings.patience):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ApiError(499, "the client went away")
                    hold(len(piece := message.get("body", b"")))
                    body += piece
                    more = message.get("more_body", False)
        except TimeoutError:
            said = "the body did not come in time; send it at once"
            raise ApiError(408, said, code="timeout", headers=_CLOSE) from None
        return bytes(body)

    async def _read(self, path: str, body: bytes) -> tuple[bytes, tuple[Read, ...]]:
        """Turn the pictures of a request into text."""
        aside = len(body) > _SHORT
        document = await self._eye.run(Document, body) if aside else Document(body)
        count = sum(len(slot.parts) for slot in slots(path, document.value))
        if not count:
            return body, ()
        if count > (most := self._settings.max_parts):
            said = f"{count} pictures and sounds, the limit is {most}; send fewer"
            raise ApiError(413, said, code="too_many_parts")
        began = time.perf_counter()
        if aside:  # thousands of values, while others are answered
            await self._eye.run(document.locate)
        else:
            document.locate()
        found = list(slots(path, document.value))
        parts = [part for slot in found for part in slot.parts]
        with self._holding() as hold:  # files of other machines, all parts together
            work = [self._take(part, hold) for part in parts]
            taken: list[Any] = await asyncio.gather(*work, return_exceptions=True)
        if failed := next((one for one in taken if isinstance(one, BaseException)), None):
            try:
                raise failed  # once none is under way
            finally:
                del failed, taken  # whose traceback holds this frame, and with it the body
        reads = self._eye.words(taken)
        shown = iter(reads)
        for slot in found:
            slot.write(document, [next(shown).shown for _ in slot.parts])
        self._metrics.reading.observe(time.perf_counter() - began)
        for read in reads:
            self._metrics.parts.labels(read.kind.lower()).inc()
            self._metrics.tokens.inc(read.tokens)
        self._note(path, parts, reads)
        return document.encode(), reads

    async def _take(self, part: Part, hold: Callable[[int], None]) -> Read:
        try:
            if not part.remote:
                return await self._eye.take(part)
            if not self._settings.allow_remote:
                raise ApiError(
                    400,
                    "pictures of other machines are not fetched; send the picture itself as a "
                    "data URI, or start the server with --allow-remote",
                    code="remote_not_allowed",
                )
            most, wait = self._settings.max_body, self._settings.patience
            data = await fetch(part.source, max_bytes=most, timeout=wait, hold=hold)
            return await self._eye.read(data, part.kind, part.detail)
        except ApiError as error:
            if error.param is None:
                error.args = (f"{part.place}: {error.message}",)
                error.message, error.param = error.args[0], part.place
            raise

    def _note(self, path: str, parts: Sequence[Part], reads: Sequence[Read]) -> None:
        if self._log is None:
            return
        values = [
            {
                "place": part.place,
                "kind": read.kind.lower(),
                "size": read.size,
                "sha256": read.sha256,
                "tokens": read.tokens,
                "label": None if read.answer is None else read.answer.label,
                "probability": None if read.answer is None else read.answer.probability,
                "read": read.shown,
            }
            for part, read in zip(parts, reads, strict=True)
        ]
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._log.append([{"time": now, "path": path, "parts": values}], sync=False)


class AskWhole(Ask):
    """Answers a request whose body goes to the backend as it came, such as one of the page."""

    async def _read(self, path: str, body: bytes) -> tuple[bytes, tuple[Read, ...]]:
        return body, ()


class _Out:
    """The way to the client: with our headers, with an end to waiting, and known to have begun."""

    def __init__(self, scope: Scope, send: Send, patience: float) -> None:
        self._scope, self._send, self._patience = scope, send, patience
        self.headers: list[tuple[bytes, bytes]] = []
        self.begun = self.ended = self.gone = False
        self.status = 499  # as long as no reply has begun

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            message["headers"] = [*message["headers"], *self.headers]
        else:
            self.ended = not message.get("more_body", False)
        waiting = asyncio.timeout(self._patience)
        try:
            async with waiting:
                await self._send(message)
        except TimeoutError:
            if not waiting.expired():
                raise
            self.gone = True
            abort(self._scope)
            raise ApiError(408, "the client takes nothing") from None


@contextmanager
def _cancelled_when_gone(receive: Receive, out: _Out, metrics: Metrics) -> Iterator[None]:
    """Cancel what is done inside when the client goes away, such as a request to the upstream."""
    task = asyncio.current_task()
    assert task is not None

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not out.ended:
            out.gone = True
            metrics.gone.inc()
            task.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not out.gone:
            raise
        task.uncancel()
    finally:
        watching.cancel()


def _busy() -> ApiError:
    headers = _CLOSE | {"Retry-After": "1"}
    return ApiError(429, "too much is asked at once; ask again", code="busy", headers=headers)


def _too_large(most: int) -> ApiError:
    said = f"the request is over {most:,} bytes; send smaller pictures, or fewer"
    return ApiError(413, said, code="too_large", headers=_CLOSE)


async def _never() -> Message:
    """Wait for a message of the client that the watch takes."""
    await asyncio.Event().wait()
    raise AssertionError


def _summary(reads: Sequence[Read]) -> bytes:
    """Say in a header what was read: kind, checksum of the text, tokens of each."""
    said = [
        f"{read.kind.lower()};sha256={hashlib.sha256(read.shown.encode()).hexdigest()[:16]}"
        f";tokens={read.tokens}"
        for read in reads[:_LISTED]
    ]
    if (more := len(reads) - _LISTED) > 0:  # clients take no header of any length
        said.append(f"more={more}")
    return ", ".join(said).encode()
