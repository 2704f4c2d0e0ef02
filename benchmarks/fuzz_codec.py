"""Fuzz the picture reader, the text reader and the encoder's settings for a given time.

    .venv/bin/python benchmarks/fuzz_codec.py --minutes 10

Files of every type that Pillow writes here are mutated and read; texts are mutated and decoded;
random pictures are encoded with random settings. A crash is any exception but GlyphsightError; slow
is a case of over five seconds, or over five a million cells where a text is so large. Exit status 1
when there was a crash or a slow case; each is printed with what repeats it.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable

import numpy as np
from PIL import Image, features

from glyphsight.codec import Profile, decode, encode_batch
from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.codec.profile import PALETTES, palette_of_levels
from glyphsight.errors import GlyphsightError
from glyphsight.media.picture import load_picture

_SLOW = 5.0  # seconds, for each million cells
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "F")
_KINDS = [
    "PNG",
    "JPEG",
    "WEBP",
    "GIF",
    "TIFF",
    "BMP",
    "PPM",
    "ICO",
    "TGA",
    "PCX",
    "SGI",
    "JPEG2000",
    "AVIF",
    "DDS",
    "QOI",
    "ICNS",
    "MPO",
]
_MAX_PIXELS = 4_000_000


def _samples() -> list[tuple[str, bytes]]:
    """A small picture in every mode and type that this Pillow writes."""
    Image.init()
    rng = np.random.default_rng(0)
    gray = Image.fromarray(np.kron(rng.integers(0, 256, (8, 8), np.uint8), np.ones((4, 4), "u1")))
    found = []
    for kind in _KINDS:
        for mode in _MODES:
            for frames in (1, 3):
                stream = io.BytesIO()
                image = gray.convert("I").convert("I;16") if mode == "I;16" else gray.convert(mode)
                more = {"save_all": True, "append_images": [image] * 2} if frames > 1 else {}
                try:
                    image.save(stream, kind, **more)
                except (OSError, ValueError, KeyError, TypeError):
                    continue  # the type does not hold the mode
                found.append((f"{kind} {mode} {frames}", stream.getvalue()))
    return found


def _mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, cut, doubled or put in, mostly near the head, where the fields are."""
    body = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not body:
            break
        reach = len(body) if rng.random() < 0.5 else min(len(body), 100)
        place, act = rng.randrange(reach), rng.random()
        if act < 0.55:
            body[place] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif act < 0.75:
            value = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 65_536, rng.getrandbits(32)))
            body[place : place + 4] = value.to_bytes(4, rng.choice(("big", "little")))
        elif act < 0.85:
            del body[place : place + rng.randrange(1, 40)]
        elif act < 0.95:
            body[place:place] = body[place : place + rng.randrange(1, 40)]
        else:
            del body[place:]
    return bytes(body)


def _profile(rng: random.Random) -> Profile:
    levels = rng.randrange(2, 17)
    threshold: object = rng.choice(("equal", "otsu", "adaptive", "numbers"))
    if threshold == "numbers":
        threshold = tuple(sorted(rng.sample(range(1, 256), levels - 1)))
    plain = threshold == "equal"
    return Profile(
        width=rng.choice((1, 2, 20, 33, 80)),
        height=rng.choice((None, None, 1, 7, 40)),
        aspect=rng.choice((0.55, 1.0, 0.01, 3.0)),
        palette=palette_of_levels(levels, "digits"),
        format=rng.choice(FORMATS.names()),
        invert=rng.choice(("no", "yes", "auto")),
        centre=rng.random() < 0.2,
        crop=rng.choice((None, 0.0, 0.1, 1.0)),
        contrast=rng.random() < 0.5,
        threshold=threshold,  # type: ignore[arg-type]
        dither=rng.choice(("none", "ordered", "floyd-steinberg")) if plain else "none",
        edges=rng.choice(("none", "sobel", "dog")),
    )


def _random_picture(rng: random.Random) -> np.ndarray:
    shape = 1, rng.choice((1, 2, 5, 28, 200)), rng.choice((1, 2, 5, 28, 200))
    numbers = np.random.default_rng(rng.getrandbits(32))
    low, high = sorted((rng.randrange(256), rng.randrange(256)))
    return numbers.integers(low, high + 1, shape, dtype=np.uint8)


def _mutated_text(text: str, rng: random.Random) -> str:
    pieces = ["<row:", "</row:", ">", "\n", "\r", "&lt;", "```", "▓", "█", " ", "\0", "\ud800", ","]
    pieces += ["9" * rng.choice((1, 12, 6_000)), text[: rng.randrange(200)]]
    for _ in range(rng.choice((1, 2, 5, 30))):
        start = rng.randrange(len(text) + 1)
        put = rng.choice(pieces) * rng.choice((1, 1, 1, 3, 500))
        text = text[:start] + put + text[start + rng.choice((0, 1, 5, 30)) :]
    return text


class _Fuzz:
    """The three targets; each draws its case from ``rng`` alone and returns its size in cells."""

    def __init__(self) -> None:
        self.samples = _samples()
        picture = np.random.default_rng(0).integers(0, 256, (1, 28, 28), dtype=np.uint8)
        self.texts = [
            (encode_batch(picture, profile)[0], profile)
            for name in FORMATS.names()
            for profile in (Profile(format=name), Profile(format=name, palette=PALETTES["blocks"]))
            if self._fits(picture, profile)
        ]

    @staticmethod
    def _fits(picture: np.ndarray, profile: Profile) -> bool:
        try:
            encode_batch(picture, profile)
        except GlyphsightError:
            return False
        return True

    def read_picture(self, rng: random.Random) -> int:
        """A mutated file, any frame."""
        _, data = rng.choice(self.samples)
        pixels = load_picture(
            io.BytesIO(_mutated(data, rng)),
            frame=rng.choice((0, 0, 1, 2)),
            background=rng.choice(("auto", "black", "white")),
            max_pixels=_MAX_PIXELS,
            jpeg_at_least=rng.choice((None, 4)),
        )
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 2
        return pixels.size

    def read_text(self, rng: random.Random) -> int:
        """A mutated text of any format."""
        text, profile = rng.choice(self.texts)
        return decode(_mutated_text(text, rng), profile).size

    def encode(self, rng: random.Random) -> int:
        """A random picture with random settings."""
        picture, profile = _random_picture(rng), _profile(rng)
        tall, wide = get_format(profile.format).cell
        return tall * wide * len(encode_batch(picture, profile)[0])


def main() -> None:
    """Run until the time is over; print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    fuzz = _Fuzz()
    targets: list[Callable[[random.Random], int]] = [
        fuzz.read_picture, fuzz.read_picture, fuzz.read_text, fuzz.encode,
    ]  # fmt: skip
    runs, refused, crashes, slow = Counter[str](), Counter[str](), Counter[str](), 0
    start = time.monotonic()
    number = 0
    while time.monotonic() - start < 60 * given.minutes:
        target = targets[number % len(targets)]
        began, size = time.monotonic(), 0
        try:
            size = target(random.Random(f"{given.seed} {number}"))
        except GlyphsightError:
            refused[target.__name__] += 1
        except Exception:
            trace = traceback.format_exc()
            where = trace.strip().splitlines()[-1]
            if not crashes[where]:
                print(f"crash in {target.__name__}, case {number}:\n{trace}", flush=True)
            crashes[where] += 1
        if (took := time.monotonic() - began) > _SLOW * max(1, size / 1e6):
            slow += 1
            print(f"slow: {target.__name__}, case {number}: {took:.1f} s", flush=True)
        runs[target.__name__] += 1
        number += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(fuzz.samples)} sample files, {features.version('pil')} Pillow, seed {given.seed}")
    print("| target | runs | refused with a reason |\n|---|---|---|")
    for name, count in runs.items():
        print(f"| {name} | {count:,} | {refused[name]:,} |")
    print(f"crashes {sum(crashes.values())}, slow {slow}, peak memory {peak:.0f} MiB")
    sys.exit(bool(crashes or slow))


if __name__ == "__main__":
    main()
