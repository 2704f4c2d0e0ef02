"""Make the conformance set: 100 pictures and 20 sounds with their profiles and texts.

python scripts/conformance_cases.py --out conformance/cases.jsonl
"""

from __future__ import annotations

import argparse
import base64
import itertools
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from glyphsight.codec import Profile, encode_batch, resize
from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.codec.resample import FILTERS
from glyphsight.codec.sound import spectrogram
from glyphsight.files import json_line, replacing
from glyphsight.sources import load_split, open_source

ROOT = Path(__file__).parents[1]
SPEECH = ROOT / "src" / "glyphsight" / "assets" / "spoken-digits"
TREMBLE = 1e-9  # changes of samples, as a share, that must change no text
PRINTED = {"invert": "auto", "centre": True, "ink": True}  # as the models that ship read pictures

Gray = NDArray[np.uint8]
Case = tuple[str, dict[str, Any], dict[str, Any]]


def photograph(digit: Gray, side: int, number: int) -> Gray:
    """Draw a digit, uint8[28, 28], dark on paper that lies in a shadow, uint8[side, side]."""
    rng = np.random.default_rng(number)
    ink = np.zeros((side, side))
    size = side // 2
    at = (side - size) // 2 + 3 * (number % 3)
    ink[at : at + size, at : at + size] = resize(digit[None], size, size)[0] / 255
    light = 225 - 90 * np.linspace(0, 1, side)[None] * (number % 2)
    noise = rng.normal(0, 2, (side, side))
    return np.clip(light * (1 - 0.8 * ink) + noise, 0, 255).round().astype(np.uint8)


def scene(height: int, width: int, number: int) -> Gray:
    """Draw waves, a gradient and a bright box, uint8[height, width]."""
    y, x = np.mgrid[:height, :width] + 0.5
    waves = np.sin(x * (0.2 + 0.1 * number)) * np.cos(y * 0.15)
    gray = 90 + 70 * waves + 60 * x / width
    gray[height // 4 : height // 2, width // 3 : width // 2] = 250
    return np.clip(gray, 0, 255).round().astype(np.uint8)


def picture(name: str, gray: Gray, **profile: Any) -> Case:
    """Make the case of a picture."""
    height, width = gray.shape
    pixels = base64.b64encode(gray.tobytes()).decode()
    return name, {"height": height, "width": width, "pixels": pixels}, profile


def pictures() -> Iterator[Case]:
    """Make the cases of pictures; those of a kind have a name in common."""
    bundled = load_split(open_source("bundled"), "train")
    digits = [np.asarray(pixels) for pixels in bundled.pixels[:60]]
    for number, digit in enumerate(digits[:14]):
        yield picture(f"published-{number}", digit)
    for name in FORMATS.own:
        tall, wide = get_format(name).cell
        two = get_format(name).max_levels == 2
        palette = " █" if two else " ▓█"
        yield picture(f"format-{name}-digit", digits[14], format=name, palette=palette)
        palette = " █" if two else "0123" if name == "digits" else " .:#"
        size = {"width": 9, "height": 5, "palette": palette}
        yield picture(f"format-{name}-scene", scene(7 * tall, 11 * wide, 1), format=name, **size)
    for name in FILTERS:
        yield picture(f"filter-{name}-smaller", scene(31, 43, 2), filter=name, palette="digits")
        yield picture(
            f"filter-{name}-larger", scene(5, 7, 3), filter=name, palette="digits", width=13
        )
    shapes: list[tuple[int, int, dict[str, Any]]] = [
        (1, 1, {}),
        (1, 40, {}),
        (40, 1, {"width": 3, "height": 7}),
        (20, 20, {"aspect": 1.0}),
        (11, 20, {"height": 11}),
        (30, 50, {"width": 50, "height": 30}),
        (60, 20, {"width": 1}),
        (45, 80, {"width": 33, "aspect": 0.7}),
    ]
    for height, width, size in shapes:
        yield picture(f"size-{height}x{width}", scene(height, width, 1), **size)
    for height, width in ((20, 97), (20, 30)):  # a word's shape, and one that is not wide enough
        sizes = {"width": 16, "height": 9, "widest": 60}
        yield picture(f"widest-{height}x{width}", scene(height, width, 1), **sizes)
    for invert, turned in itertools.product(("yes", "auto"), (False, True)):
        name = f"invert-{invert}-{'light' if turned else 'dark'}"
        yield picture(name, 255 - digits[15] if turned else digits[15], invert=invert)
    for number, (side, light) in enumerate([(28, 0), (28, 1), (40, 0), (47, 1), (64, 0), (90, 1)]):
        small = resize(digits[16 + number][None], side // 2, side // 3)[0]
        gray = np.zeros((side, side), np.uint8)
        gray[2 : 2 + side // 2, 3 : 3 + side // 3] = small // 2 + 20 * (small > 0)
        yield picture(f"centre-{number}", 255 - gray if light else gray, centre=True)
    for number, side in enumerate((96, 96, 72, 28)):
        shot = photograph(digits[22 + number], side, number)
        way = "paper" if number == 1 else "ink"
        yield picture(f"{way}-{number}", shot, **PRINTED | {"ink": False, way: True})
    for number, margin in enumerate((0.0, 0.1, 0.5)):
        yield picture(f"crop-{number}", photograph(digits[26 + number], 40, 0), crop=margin)
    yield picture("contrast-faint", digits[29] // 4 + 60, contrast=True)
    yield picture("contrast-flat", np.full((9, 9), 77, np.uint8), contrast=True)
    for threshold in ("otsu", "adaptive"):
        yield picture(f"threshold-{threshold}-digit", digits[30], threshold=threshold)
        yield picture(
            f"threshold-{threshold}-scene",
            scene(33, 41, 4),
            threshold=threshold,
            palette="blocks",
        )
    yield picture("threshold-numbers", digits[31], threshold=[40, 200])
    yield picture("threshold-flat", np.full((6, 6), 9, np.uint8), threshold="otsu")
    for dither in ("ordered", "floyd-steinberg"):
        yield picture(f"dither-{dither}-two", scene(36, 36, 1), dither=dither, palette=" #")
        yield picture(f"dither-{dither}-ten", scene(30, 36, 2), dither=dither, palette="ascii")
    for edges in ("sobel", "dog"):
        yield picture(f"edges-{edges}-digit", digits[32], edges=edges)
        yield picture(f"edges-{edges}-scene", scene(60, 90, 3), edges=edges, palette="blocks")
    for name, palette in (("wide", "⬛🟥⬜"), ("sixteen", "digits"), ("backwards", "█▓ ")):
        yield picture(f"palette-{name}", digits[33], palette=palette)
    number = itertools.count()
    while True:  # as the models that ship read digits, until there are a hundred
        at = next(number)
        yield picture(f"digits-{at}", digits[34 + at], **PRINTED)


def sounds() -> Iterator[Case]:
    """Make the cases of sounds: ten spoken digits, ten computed ones."""
    hearing = {"width": 20, "height": 16, "palette": " ░▒▓█", "threshold": [85, 128, 170, 213]}
    spoken = [
        soundfile.read(file, dtype="int16")[0] for file in sorted(SPEECH.glob("?_nicolas_0.flac"))
    ]
    time = np.arange(4000) / 8000
    rng = np.random.default_rng(0)
    computed = {
        "tone": np.sin(2 * np.pi * 440 * time),
        "low": np.sin(2 * np.pi * 60 * time),
        "high": np.sin(2 * np.pi * 3900 * time),
        "rising": np.sin(2 * np.pi * (200 + 3000 * time) * time),
        "noise": rng.normal(0, 0.2, 4000),
        "fading": np.exp(-6 * time) * np.sin(2 * np.pi * 800 * time),
        "two": 0.5 * (np.sin(2 * np.pi * 500 * time) + np.sin(2 * np.pi * 1700 * time)),
        "clicks": (np.arange(4000) % 800 == 400) * 1.0,
        "pause": rng.normal(0, 0.2, 4000) * ((time < 0.1) | (time > 0.4)),
        "short": rng.normal(0, 0.2, 50),
    }
    for number, samples in enumerate(spoken):
        yield sound(f"sound-spoken-{number}", samples, **hearing, trim=20.0 if number % 2 else 25.0)
    for number, (name, values) in enumerate(computed.items()):
        samples = np.clip(0.7 * values * 32767, -32768, 32767).round().astype(np.int16)
        dither = rng.integers(-20, 21, len(samples)).astype(np.int16)  # no window is silent
        profile = {} if number % 2 else hearing | {"trim": 40.0}
        yield sound(f"sound-{name}", np.clip(samples, -32000, 32000) + dither, **profile)


def sound(name: str, samples: NDArray[np.int16], **profile: Any) -> Case:
    """Make the case of a sound, changed a little until its gray values lie far from a border."""
    samples = samples.copy()
    rng = np.random.default_rng(len(samples))
    while not is_firm(samples):
        samples[rng.integers(len(samples), size=8)] += 1
    return name, {"samples": base64.b64encode(samples.astype("<i2").tobytes()).decode()}, profile


def is_firm(samples: NDArray[np.int16]) -> bool:
    """Tell whether changes far larger than errors of rounding change no gray value."""
    rng = np.random.default_rng(0)
    firm = spectrogram(samples / 32768)
    changes = (1 + TREMBLE * rng.standard_normal((4, len(samples)))) / 32768
    return all(np.array_equal(spectrogram(samples * change), firm) for change in changes)


def gray_of(data: dict[str, Any]) -> Gray:
    """Read the gray picture of a case."""
    sys.path.insert(0, str(ROOT / "conformance"))
    from ours import gray_of

    return np.asarray(gray_of(data))


def main() -> None:
    """Write every case as a line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "conformance" / "cases.jsonl")
    out = parser.parse_args().out
    cases = [*itertools.islice(pictures(), 100), *itertools.islice(sounds(), 20)]
    with replacing(out) as stream:
        for name, data, changed in cases:
            profile = Profile(**changed)
            [text] = encode_batch(gray_of(data)[None], profile)
            stream.write(
                json_line({"name": name} | data | {"profile": asdict(profile), "text": text}) + "\n"
            )
    print(f"{out}: {len(cases)} cases, {out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
