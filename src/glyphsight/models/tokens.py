"""Cost of a text: tokenizers from local files, token counts, the grid that fits a budget.

Only the ``tokenizers`` library is needed, neither torch nor transformers; nothing is fetched.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.codec.profile import PALETTES
from glyphsight.errors import FormatError, ModelError, PictureError
from glyphsight.models import nano, smollm2
from glyphsight.models.runs import RunRecord

EMBEDDED = smollm2.NAME  # name of the tokenizer that ships with the package

_TRIED = 8  # cells in a row of the pictures that must be told apart
MAX_WIDTH = 4096  # columns beyond which no larger grid is looked for


def load_tokenizer(name: str | Path = EMBEDDED) -> Any:
    """Load a tokenizer from local files.

    Args:
        name: ``smollm2-135m`` (ships with the package), ``nano``, a ``tokenizer.json`` or a
            directory with one, such as a run or a transformers directory. A ``Path``, or
            ``"./nano"``, is a file or directory whatever it is called.

    Returns:
        A ``tokenizers.Tokenizer`` that neither pads nor truncates.

    Raises:
        ModelError: There is none, or it is damaged.
    """
    if isinstance(name, str) and name in (nano.NAME, smollm2.NAME):
        return _own(name)
    path = Path(name)
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"{file}: cannot be read ({error.strerror}); give {smollm2.NAME}, {nano.NAME}, a "
            "tokenizer.json or a directory with one"
        ) from error
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{file}: not UTF-8 at byte {error.start}; give a tokenizer.json"
        ) from None
    return _from_json(text, str(file))


@lru_cache(maxsize=2)
def _own(name: str) -> Any:
    if name == nano.NAME:
        return nano.make_backend()
    packed = (files("glyphsight") / "assets" / "smollm2-tokenizer.json.xz").read_bytes()
    return _from_json(lzma.decompress(packed).decode("utf-8"), name)


def _from_json(text: str, where: str) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare Exception
        raise ModelError(
            f"{where}: no tokenizer of the tokenizers library ({error}); give another"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Tokenize each text alone, without a beginning or end token; any tokenizer will do."""
    if callable(tokenizer):  # as those of transformers are
        ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return ids
    found = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return [encoding.ids for encoding in found]


def count_tokens(texts: Sequence[str], tokenizer: Any) -> list[int]:
    """Count the tokens of each text alone, without a beginning or end token."""
    return list(map(len, token_ids(tokenizer, texts)))


def count_pairs(pairs: Sequence[tuple[str, str]], tokenizer: Any) -> list[int]:
    """Count the tokens of each prompt with its completion and end token, as training does."""
    prompts = tokenizer.encode_batch([prompt for prompt, _ in pairs], add_special_tokens=True)
    replies = count_tokens([reply for _, reply in pairs], tokenizer)
    return [len(asked.ids) + reply + 1 for asked, reply in zip(prompts, replies, strict=True)]


def merged_pictures(tokenizer: Any, profile: Profile) -> str:
    """Return why different pictures are the same tokens, and the fix; "" where none are.

    Small pictures are tried: every box of each level in one short row of glyphs, and one glyph in
    the middle of a row as wide as the profile's. A tokenizer that squeezes spaces, lower-cases or
    does not know the glyphs makes some of them alike.
    """
    if not (pair := _merged(tokenizer, profile)):
        return ""
    others = [
        (form, name)
        for form in dict.fromkeys((profile.format, *FORMATS.own))
        for name, palette in PALETTES.items()
        if _merged(tokenizer, profile, form, palette) == ()
    ]
    fix = "take another model"
    if others:
        form, name = others[0]
        kept = f" --format {form}" if form != profile.format else ""
        fix = f"encode them with{kept} --palette {name}, which it keeps apart"
    return (
        f"different pictures are the same tokens to its tokenizer, such as {pair[0]!r} and "
        f"{pair[1]!r}; {fix}"
    )


def _merged(
    tokenizer: Any, profile: Profile, form: str = "", palette: str = ""
) -> tuple[str, ...] | None:
    """Return two texts with the same tokens, empty for none; None where the format has no such."""
    try:
        profile = replace(
            profile, format=form or profile.format, palette=palette or profile.palette
        )
        written = get_format(profile.format)
        tall, wide = written.cell
        rows, columns = combinations(range(tall + 1), 2), combinations(range(_TRIED + 1), 2)
        boxes = list(product(range(1, profile.levels), rows, columns))
        grids = np.zeros((1 + len(boxes), tall, _TRIED), dtype=np.uint8)
        for grid, (level, (top, bottom), (left, right)) in zip(grids[1:], boxes, strict=True):
            grid[top:bottom, left:right] = level
        texts = written.render_batch(grids, profile.palette)
        long = np.zeros((4 * (profile.levels - 1), tall, wide * profile.width), dtype=np.uint8)
        dots = product(range(1, profile.levels), (False, True), (0, wide))
        for grid, (level, hole, moved) in zip(long, dots, strict=True):
            start = profile.width // 2 * wide - moved  # a run is as long as it can be on both sides
            grid[:] = level * hole
            grid[:, max(start, 0) :][:, :wide] = level * (not hole)
        texts += written.render_batch(long, profile.palette)
    except FormatError:
        return None
    known: dict[tuple[int, ...], str] = {}
    for text, ids in zip(texts, token_ids(tokenizer, texts), strict=True):
        if (other := known.setdefault(tuple(ids), text)) != text:
            return other, text
    return ()


def model_window(name: str | Path) -> int:
    """Read a model's longest sequence, in tokens, from local files and without loading it.

    Args:
        name: Name as for :func:`load_tokenizer`, but a directory with a ``config.json``, or a run.

    Raises:
        ModelError: Nothing says it.
    """
    own = {nano.NAME: nano.WINDOW, smollm2.NAME: smollm2.WINDOW}
    if isinstance(name, str) and name in own:
        return own[name]
    file = Path(name) / "config.json"
    if not file.is_file() and (run := RunRecord.load(name)):
        return model_window(run.base)  # an adapter
    try:
        return int(json.loads(file.read_text(encoding="utf-8"))["max_position_embeddings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{name}: does not say how long a sequence it takes ({file.name}: {error!r}); give "
            f"{smollm2.NAME}, {nano.NAME} or a directory whose config.json has "
            "max_position_embeddings"
        ) from error


def largest_grid(
    pictures: NDArray[np.uint8],
    profile: Profile,
    budget: float,
    tokenizers: Sequence[Any],
    most: int = MAX_WIDTH,
) -> Profile:
    """Find the largest width whose texts cost at most ``budget`` tokens, in the mean over pictures.

    The cost of a text grows with its width, but not always: a wider one may merge into fewer
    tokens. So beyond the widest found by bisection the next widths, an eighth as many, are tried
    too. The texts of the result have been counted.

    Args:
        pictures: Gray pixels uint8[N, H, W].
        profile: All other settings.
        budget: Largest number of tokens per text.
        tokenizers: Tokenizers as :func:`load_tokenizer` gives them; the texts fit each.
        most: Largest width to try.

    Raises:
        FormatError: The format is unknown or cannot carry the palette.
        ModelError: Not even one column fits.
    """

    def cost(width: int) -> float:
        texts = encode_batch(pictures, replace(profile, width=width))
        return max(float(np.mean(count_tokens(texts, each))) for each in tokenizers)

    def fits(width: int) -> bool:
        try:
            return cost(width) <= budget
        except PictureError:  # more arithmetic than the resize allows
            return False

    least = cost(1)
    if least > budget:
        raise ModelError(
            f"one column of format {profile.format} costs {least:g} tokens, more than the "
            f"{budget:g} allowed; allow more, or crop the picture"
        )
    return replace(profile, width=_widest(fits, most))


def _widest(fits: Callable[[int], bool], most: int) -> int:
    """Find the largest number from 1 to ``most`` that fits, of a rule that is almost monotone."""
    good, bad = 1, 2
    while bad <= most and fits(bad):
        good, bad = bad, 2 * bad
    bad = min(bad, most + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    width = good + 1
    while width <= min(good + max(4, good // 8), most):
        good = width if fits(width) else good
        width += 1
    return good


@dataclass(frozen=True)
class TokenBudget:
    """A choice of the largest grid for each picture, as a value that reaches other processes."""

    tokens: int  # largest number of tokens per text
    tokenizer: str = EMBEDDED  # name or path, as :func:`load_tokenizer` takes it

    def __call__(self, image: NDArray[np.uint8], profile: Profile) -> Profile:
        """Return the profile with the width for a picture, gray pixels uint8[H, W]."""
        return largest_grid(image[None], profile, self.tokens, [_cached(self.tokenizer)])


_cached = lru_cache(maxsize=4)(load_tokenizer)
