"""Eyes and ears of the server: the bytes of a picture or sound to what a text-only model reads."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from glyphsight.errors import GlyphsightError, PictureError
from glyphsight.extras import MissingPackageError
from glyphsight.inference import Model
from glyphsight.inference.parts import Part
from glyphsight.inference.words import Read, Reader
from glyphsight.parallel import threads
from glyphsight.serve.errors import ApiError
from glyphsight.serve.settings import ServeSettings

T = TypeVar("T")
_SMALL = 1 << 16  # bytes whose checksum takes less than a thread does


@dataclass(eq=False)
class Eye(Reader):
    """Reads pictures and sounds in threads of its own; what it has read it remembers."""

    settings: ServeSettings

    def __post_init__(self) -> None:
        workers = self.settings.workers or threads()
        self._pool = ThreadPoolExecutor(workers, "glyphsight-eye")
        self._known: OrderedDict[tuple[str, str, str], Read] = OrderedDict()
        self._going: dict[tuple[str, str, str], Future[Read]] = {}  # what is read at this moment

    async def read(self, data: bytes, kind: str = "Picture", detail: str = "auto") -> Read:
        """Read a file as :meth:`look` does, unless it is remembered, or raise ApiError."""
        if len(data) <= _SMALL and (known := self._recall(_key(data, kind, detail))):
            return known
        return await self.run(self._read, data, kind, detail)

    async def take(self, part: Part) -> Read:
        """Read the part of a request that holds its file; as :meth:`read`."""
        if len(part.source) <= _SMALL:
            return await self.read(part.data(), part.kind, part.detail)
        return await self.run(lambda: self._read(part.data(), part.kind, part.detail))

    async def run(self, function: Callable[..., T], *given: Any, **named: Any) -> T:
        """Call a function in one of the threads."""
        call = partial(function, *given, **named)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    async def start(self) -> None:
        """Load the models, so that the first picture does not wait for them."""
        blank = np.zeros((28, 28), np.uint8)
        if self.profile is None:  # a format or tokenizer that cannot be is refused now
            await self.run(self.text_of, blank, "auto")
        for model in filter(None, (self.model, self.ears)):
            await self.run(model.settle, None, rounded=True)
            await self.run(model.see, [blank])

    def close(self) -> None:
        """End the threads; what they have begun is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _recall(self, key: tuple[str, str, str]) -> Read | None:
        known = self._known.get(key)
        if known is not None:
            with suppress(KeyError):  # another thread has just forgotten it
                self._known.move_to_end(key)
        return known

    def _read(self, data: bytes, kind: str, detail: str) -> Read:
        key = _key(data, kind, detail)
        if known := self._recall(key):
            return known
        mine: Future[Read] = Future()
        if (going := self._going.setdefault(key, mine)) is not mine:
            with suppress(ApiError):  # each request has an error of its own, with its place
                return going.result()
        try:
            mine.set_result(read := self._read_first(data, key))
        except BaseException as error:
            if not mine.done():
                mine.set_exception(error)
            raise
        finally:
            if going is mine:
                del self._going[key]
        self._known[key] = read
        while len(self._known) > self.settings.remember:
            with suppress(KeyError):  # another thread was quicker
                self._known.popitem(last=False)
        return read

    def _read_first(self, data: bytes, key: tuple[str, str, str]) -> Read:
        _, kind, detail = key
        try:
            return self.look(data, kind, detail)
        except MissingPackageError as error:
            raise ApiError(501, str(error), code="sound_not_installed") from None
        except PictureError as error:
            said = str(error).removeprefix("the open file: ").partition("; ")[0]
            raise ApiError(400, f"{said}; send another {kind.lower()}") from None


def _key(data: bytes, kind: str, detail: str) -> tuple[str, str, str]:
    return hashlib.sha256(data).hexdigest(), kind, detail


def open_model(name: str | None, option: str, talker: str | None = None) -> Model:
    """Return a model that answers, not loaded yet, and that has a talker where one is given.

    Raises:
        GlyphsightError: There is none of that name, or it was not trained with glyphsight.
    """
    model = Model(name or "", talker=talker)
    try:
        model.trained  # noqa: B018 - says what is wrong
    except GlyphsightError as error:
        raise GlyphsightError(f"{option} {error}") from None
    return model
