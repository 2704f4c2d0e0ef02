"""Pictures and sounds in words, for a model that reads text alone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, encode_batch
from glyphsight.errors import GlyphsightError, PictureError
from glyphsight.inference.answer import NOTHING, Answer
from glyphsight.inference.model import Model
from glyphsight.media.picture import MAX_PIXELS, load_picture
from glyphsight.media.sound import load_sound
from glyphsight.models.runs import NANO_DIGITS, NANO_FASHION, SIGHT, SIGHT_VQA
from glyphsight.models.tokens import EMBEDDED, MAX_WIDTH, count_tokens, load_tokenizer
from glyphsight.settings import check, setting

SHOWN = Profile(format="plain", invert="auto")
"""Profile of a text for a model that never saw one, unless another is asked for: cheap tokens."""
_DIGIT = "a handwritten digit"
_SUBJECTS = {
    **dict.fromkeys((SIGHT, SIGHT_VQA, NANO_DIGITS), _DIGIT),
    NANO_FASHION: "a piece of clothing",
}
_NEAR = 0.85  # share of the budget from which no larger grid is sought
_TRIES = 6


@dataclass(frozen=True)
class ReadSettings:
    """Settings of what a model reads in place of a picture or sound.

    Attributes:
        show: Part that is read: the picture as text, the model's answer, or both.
        width: Number of columns of a text; left out, as many as the tokens allow.
        low_tokens: Largest number of tokens of a picture with the detail low.
        tokens: Largest number of tokens of a picture with the detail auto, or without one.
        high_tokens: Largest number of tokens of a picture with the detail high.
        tokenizer: Tokenizer that counts them.
        text_words: Words around a text, with {number}, {kind}, {size}, {palette} and {text}.
        answer_words: Words around an answer, with {number}, {kind} and {answer}.
        max_pixels: Limit of pixels in a picture; one that declares more is refused before it is
            decoded.
        profile: All other settings of the text.
    """

    show: str = setting("both", choices=("text", "answer", "both"))
    width: int | None = setting(None, low=1, high=1000)
    low_tokens: int = setting(64, low=1)
    tokens: int = setting(256, low=1)
    high_tokens: int = setting(1024, low=1, high=16384)
    tokenizer: str = EMBEDDED
    text_words: str = (
        "{kind} {number} ({size}) as text, glyphs from ground to ink {palette}:\n{text}"
    )
    answer_words: str = "A small model says of {kind} {number}: {answer}"
    max_pixels: int = setting(MAX_PIXELS, low=1)
    profile: Profile = SHOWN

    def __post_init__(self) -> None:
        check(self)
        for name, words in (("text_words", self.text_words), ("answer_words", self.answer_words)):
            try:
                words.format(number=1, kind="", size="", palette="", text="", answer="")
            except (LookupError, ValueError, AttributeError) as error:
                raise GlyphsightError(
                    f"{name} cannot be filled in ({error!r}); see glyphsight serve --help, and "
                    "write {{ for a brace"
                ) from None

    @property
    def budgets(self) -> dict[str, int]:
        """Largest number of tokens of a picture, by its detail."""
        return {"low": self.low_tokens, "auto": self.tokens, "high": self.high_tokens}


@dataclass(frozen=True)
class Read:
    """A picture or sound as it was read."""

    kind: str  # ``Picture`` or ``Sound``
    text: str  # the ASCII_Image
    tokens: int  # tokens of the text, as the tokenizer of the settings counts them
    size: str  # width x height in pixels, or seconds
    answer: Answer | None  # answer of our model; None where it was not asked
    sha256: str  # checksum of the file, in hexadecimal
    shown: str = ""  # text that takes the place of the part in the request


@dataclass(eq=False)
class Reader:
    """Reads pictures and sounds."""

    settings: ReadSettings
    model: Model | None = None  # model that looks at pictures; None where only their text is shown
    ears: Model | None = None  # model that answers sounds, likewise
    # Profile of every text, with its width, where a model trained on it reads the bare text; None
    # for the settings' one, with words around it
    profile: Profile | None = None

    @cached_property
    def tokenizer(self) -> Any:
        """Tokenizer that counts texts: the model's where that reads them, else the settings'."""
        if self.profile and self.model is not None:
            return self.model.tokenizer
        return load_tokenizer(self.settings.tokenizer)

    def look(self, data: bytes, kind: str = "Picture", detail: str = "auto") -> Read:
        """Read a file.

        Args:
            data: The file, of any format that Pillow or soundfile reads.
            kind: ``Picture`` or ``Sound``.
            detail: Budget of its text: ``low``, ``auto`` or ``high``.

        Raises:
            PictureError: It cannot be read.
            MissingPackageError: A sound needs packages that are not installed.
        """
        if kind == "Sound":
            pixels = load_sound(io.BytesIO(data))
            size, model = f"{pixels.shape[1] / 100:.2f} s", self.ears
        else:
            pixels = load_picture(io.BytesIO(data), max_pixels=self.settings.max_pixels)
            size, model = f"{pixels.shape[1]}x{pixels.shape[0]} pixels", self.model
        answer = None
        try:
            answer = model.see([pixels])[0] if model is not None else None
        except PictureError:  # too tall for the model
            if self.profile:
                raise
        if self.profile is None or model is None or answer is None:
            text, tokens = self.text_of(pixels, detail)
        else:  # what the model has read, in its own tokens
            texts = [one.ascii_image for one in answer.things]
            text = "\n".join((*(one.removesuffix("\n") for one in texts[:-1]), texts[-1]))
            tokens = sum(count_tokens(texts, model.tokenizer))
        return Read(kind, text, tokens, size, answer, hashlib.sha256(data).hexdigest())

    def text_of(self, pixels: NDArray[np.uint8], detail: str = "auto") -> tuple[str, int]:
        """Return the text of gray pixels, uint8[H, W], and its tokens.

        The width is fixed, or about the largest whose text costs no more tokens than the detail
        allows, and never more than the picture's own.

        Raises:
            PictureError: Not even one column fits.
        """
        settings = self.settings
        if self.profile is not None:
            return self._counted(pixels, self.profile)
        if settings.width is not None:
            return self._counted(pixels, replace(settings.profile, width=settings.width))
        budget, profile = settings.budgets[detail], settings.profile
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

    def words(self, reads: Sequence[Read], names: Sequence[str] | None = None) -> tuple[Read, ...]:
        """Put texts and answers into words, by their names or, without, numbered in order."""
        counts: dict[str, int] = {}
        done = []
        for row, read in enumerate(reads):
            number = counts[read.kind] = counts.get(read.kind, 0) + 1
            done.append(self._said(read, names[row] if names else str(number)))
        return tuple(done)

    def _said(self, read: Read, name: str) -> Read:
        if self.profile:
            return replace(read, shown=read.text)
        settings = self.settings
        fields = {
            "number": name,
            "kind": read.kind,
            "size": read.size,
            "palette": repr(settings.profile.palette),
            "text": read.text,
        }
        said = []
        if settings.show != "answer" or read.answer is None:
            said.append(settings.text_words.format(answer="", **fields))
        if settings.show != "text" and read.answer is not None:
            answer = self.say(read.answer, read.kind)
            said.append(settings.answer_words.format(answer=answer, **fields))
        return replace(read, shown="\n".join(said))

    def say(self, answer: Answer, kind: str = "Picture") -> str:
        """Say a model's answer: what it takes the picture for, and how surely."""
        if answer.parts:
            return "; ".join(self.say(one, kind) for one in answer.parts)
        if not answer.known:
            return NOTHING
        model = self.ears if kind == "Sound" else self.model
        assert model is not None
        about = _SUBJECTS.get(model.name) or model.trained.tasks[0].question.rstrip("?:")
        if about == _DIGIT and not answer.label.isdecimal():
            about = ""
        sure = "" if answer.probability is None else f" ({100 * answer.probability:.0f} %)"
        return f"{about}: {answer.name}{sure}" if about else f"{answer.name}{sure}"
