"""Eyes and ears of the server: the bytes of a picture or sound to what a text-only model reads."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, encode_batch
from glyphsight.errors import GlyphsightError, PictureError
from glyphsight.extras import MissingPackageError
from glyphsight.inference import Answer, Model
from glyphsight.media.picture import load_picture
from glyphsight.media.sound import load_sound
from glyphsight.models.runs import NANO_DIGITS, NANO_FASHION, SIGHT
from glyphsight.models.tokens import MAX_WIDTH, count_tokens, load_tokenizer
from glyphsight.parallel import threads
from glyphsight.serve.dialects import Part
from glyphsight.serve.errors import ApiError
from glyphsight.serve.request import Read
from glyphsight.serve.settings import ServeSettings

T = TypeVar("T")
_DIGIT = "a handwritten digit"
_SUBJECTS = {SIGHT: _DIGIT, NANO_DIGITS: _DIGIT, NANO_FASHION: "a piece of clothing"}
_NEAR = 0.85  # share of the budget from which no larger grid is sought
_TRIES = 6
_SMALL = 1 << 16  # bytes whose checksum takes less than a thread does


class Eye:
    """Reads pictures and sounds in threads of its own; what it has read it remembers.

    Args:
        settings: Settings of the server.
        model: Model that looks at pictures; None where only their text is shown.
        ears: Model that answers sounds, likewise.
        profile: Profile of every text, with its width, where a model trained on it reads the bare
            text; None for the settings' one, with words around it.
    """

    def __init__(
        self,
        settings: ServeSettings,
        model: Model | None = None,
        ears: Model | None = None,
        profile: Profile | None = None,
    ) -> None:
        self.settings, self.model, self.ears = settings, model, ears
        self._fixed, self._bare = profile, profile is not None
        if profile is None and settings.width is not None:
            self._fixed = replace(settings.profile, width=settings.width)
        workers = settings.workers or threads()
        self._pool = ThreadPoolExecutor(workers, "glyphsight-eye")
        self._known: OrderedDict[tuple[str, str, str], Read] = OrderedDict()
        self._going: dict[tuple[str, str, str], Future[Read]] = {}  # what is read at this moment

    @cached_property
    def tokenizer(self) -> Any:
        """Tokenizer that counts texts: the model's where that reads them, else the settings'."""
        if self._bare and self.model is not None:
            return self.model.tokenizer
        return load_tokenizer(self.settings.tokenizer)

    async def read(self, data: bytes, kind: str = "Picture", detail: str = "auto") -> Read:
        """Read a file.

        Args:
            data: The file, of any format that Pillow or soundfile reads.
            kind: ``Picture`` or ``Sound``.
            detail: Budget of its text: ``low``, ``auto`` or ``high``.

        Raises:
            ApiError: It cannot be read.
        """
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
            if kind == "Sound":
                pixels = load_sound(io.BytesIO(data))
                size, model = f"{pixels.shape[1] / 100:.2f} s", self.ears
            else:
                pixels = load_picture(io.BytesIO(data), max_pixels=self.settings.max_pixels)
                size, model = f"{pixels.shape[1]}x{pixels.shape[0]} pixels", self.model
            answer = self._ask(model, pixels)
            text, tokens = self._text(pixels, detail, answer)
        except MissingPackageError as error:
            raise ApiError(501, str(error), code="sound_not_installed") from None
        except PictureError as error:
            said = str(error).removeprefix("the open file: ").partition("; ")[0]
            raise ApiError(400, f"{said}; send another {kind.lower()}") from None
        return Read(kind, text, tokens, size, answer, key[0])

    def _ask(self, model: Model | None, pixels: NDArray[np.uint8]) -> Answer | None:
        try:
            return model.see([pixels])[0] if model is not None else None
        except PictureError:  # too tall for the model
            if self._bare:
                raise
            return None

    def _text(
        self, pixels: NDArray[np.uint8], detail: str, answer: Answer | None
    ) -> tuple[str, int]:
        if not self._bare or answer is None:
            return self.text_of(pixels, detail)
        texts = [one.ascii_image for one in answer.parts or (answer,)]  # what the model has read
        whole = "\n".join((*(text.removesuffix("\n") for text in texts[:-1]), texts[-1]))
        return whole, sum(count_tokens(texts, self.tokenizer))

    def text_of(self, pixels: NDArray[np.uint8], detail: str = "auto") -> tuple[str, int]:
        """Return the text of gray pixels, uint8[H, W], and its tokens.

        The width is fixed, or about the largest whose text costs no more tokens than the detail
        allows, and never more than the picture's own.

        Raises:
            PictureError: Not even one column fits.
        """
        if self._fixed is not None:
            return self._counted(pixels, self._fixed)
        budget, profile = self.settings.budgets[detail], self.settings.profile
        height, columns = pixels.shape
        most = min(columns, MAX_WIDTH)
        best, low, high = None, 0, most + 1  # the widest that fits, the narrowest that does not
        width = min(most, max(1, round((2 * budget * columns / height / profile.aspect) ** 0.5)))
        for _ in range(_TRIES):
            text, tokens = self._counted(pixels, replace(profile, width=width))
            if tokens <= budget:
                best, low = (text, tokens), width
                if tokens >= _NEAR * budget:
                    break
            else:
                high = width
            if high - low < 2:
                break
            guess = int(width * (0.97 * budget / tokens) ** 0.5)
            width = min(max(guess, low + 1), high - 1)
        if best is None:
            best = self._counted(pixels, replace(profile, width=1))
            if best[1] > budget:
                raise PictureError(f"{columns}x{height} pixels are too tall as text; crop it")
        return best

    def _counted(self, pixels: NDArray[np.uint8], profile: Profile) -> tuple[str, int]:
        text = encode_batch(pixels[None], profile)[0]
        return text, count_tokens([text], self.tokenizer)[0]

    def words(self, reads: list[Read]) -> tuple[Read, ...]:
        """Put the texts of a request's pictures and sounds into words, with their numbers."""
        show, settings = self.settings.show, self.settings
        counts: dict[str, int] = {}
        done = []
        for read in reads:
            number = counts[read.kind] = counts.get(read.kind, 0) + 1
            fields = {
                "number": number,
                "kind": read.kind,
                "size": read.size,
                "palette": repr(settings.profile.palette),
                "text": read.text,
            }
            if self._bare:
                done.append(replace(read, shown=read.text))
                continue
            said = []
            if show != "answer" or read.answer is None:
                said.append(settings.text_words.format(answer="", **fields))
            if show != "text" and read.answer is not None:
                answer = self.say(read.answer, read.kind)
                said.append(settings.answer_words.format(answer=answer, **fields))
            done.append(replace(read, shown="\n".join(said)))
        return tuple(done)

    def say(self, answer: Answer, kind: str = "Picture") -> str:
        """Say a model's answer: what it takes the picture for, and how surely."""
        if answer.parts:
            return "; ".join(self.say(one, kind) for one in answer.parts)
        if not answer.known:
            return "nothing I know"
        model = self.ears if kind == "Sound" else self.model
        assert model is not None
        about = _SUBJECTS.get(model.name) or model.trained.tasks[0].question.rstrip("?:")
        sure = "" if answer.probability is None else f" ({100 * answer.probability:.0f} %)"
        return f"{about}: {answer.name}{sure}" if about else f"{answer.name}{sure}"


def _key(data: bytes, kind: str, detail: str) -> tuple[str, str, str]:
    return hashlib.sha256(data).hexdigest(), kind, detail


def open_model(name: str | None, option: str) -> Model:
    """Return a model that answers, not loaded yet.

    Raises:
        GlyphsightError: There is none of that name, or it was not trained with glyphsight.
    """
    model = Model(name or "")
    try:
        model.trained  # noqa: B018 - says what is wrong
    except GlyphsightError as error:
        raise GlyphsightError(f"{option} {error}") from None
    return model
