# ruff: noqa: E402 - numpy reads how many threads to take when it is first imported
"""Pictures a second, one core: glyphsight against a Pillow loop, ascii_magic, chafa and jp2a.

    apt-get install chafa jp2a
    pip install ascii_magic scikit-image
    python benchmarks/codec.py --pictures 60000 --photos 200 --repeats 5

(a) MNIST's digits in 20 columns; (b) JPEG photographs of 1-12 megapixels, made from scikit-image's
sample pictures, in 80 columns; (c) what a round trip loses. A peer that is not installed is left
out, and the run says so.
"""

from __future__ import annotations

import os

for _library in ("OMP", "OPENBLAS", "MKL"):  # read once, when numpy is first imported
    os.environ[f"{_library}_NUM_THREADS"] = "1"

import argparse
import itertools
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from glyphsight.codec import Profile, decode, encode_batch
from glyphsight.media.picture import load_picture

ASSETS = Path(__file__).parents[1] / "src/glyphsight/assets/digits.npz"
WIDE = Profile(width=80)
SAMPLES = [  # of the pictures that come with scikit-image
    *("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png"),
    *("gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png"),
    *("retina.jpg", "rocket.jpg"),
]
WHOLE = """
import sys, numpy
from glyphsight.codec import encode_batch
digits = numpy.load(sys.argv[1])["train_pixels"]
texts = encode_batch(numpy.resize(digits, (int(sys.argv[2]), 28, 28)))
open(sys.argv[3], "w", encoding="utf-8").writelines(texts)
"""
FROM_FILES = """
import sys
from glyphsight.codec import Profile, encode_batch
from glyphsight.media.picture import load_picture
for path in sys.argv[2:]:
    print(encode_batch(load_picture(path)[None], Profile(width=int(sys.argv[1])))[0], end="")
"""


def by_loop(pictures: list[Image.Image], profile: Profile) -> list[str]:
    """What one would write by hand: two one-axis resizes, a table of glyphs, joins."""
    glyphs = [profile.palette[value * profile.levels // 256] for value in range(256)]
    texts = []
    for picture in pictures:
        width, height = picture.size
        columns, rows = profile.width, profile.rows(height, width)
        small = picture.resize((columns, height), Image.Resampling.BICUBIC)
        values = small.resize((columns, rows), Image.Resampling.BICUBIC).tobytes()
        lines = []
        for row in range(rows):
            cells = "".join([glyphs[v] for v in values[row * columns : (row + 1) * columns]])
            lines.append(f"<row:{row + 1}>{cells}</row:{row + 1}>\n")
        texts.append("".join(lines))
    return texts


def by_one_resize(pixels: np.ndarray) -> None:
    """The shortest loop: one resize to 20x11, other bytes from Pillow 13 on."""
    glyphs = [" ▓█"[value * 3 // 256] for value in range(256)]
    for picture in pixels:
        values = Image.fromarray(picture).resize((20, 11), Image.Resampling.BICUBIC).tobytes()
        "".join(
            f"<row:{row + 1}>"
            + "".join([glyphs[v] for v in values[row * 20 : row * 20 + 20]])
            + f"</row:{row + 1}>\n"
            for row in range(11)
        )


def by_ascii_magic(pictures: list[Image.Image], width: int) -> None:
    """ascii_magic's plain text on the same grid."""
    from ascii_magic import AsciiArt

    for picture in pictures:
        AsciiArt(picture).to_ascii(columns=width, width_ratio=1 / 0.55, monochrome=True)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def process(command: list[str]) -> Callable[[], object]:
    """A call that starts a process and throws its output away."""
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def table(title: str, work: dict[str, tuple[int, Callable[[], object]]], repeats: int) -> None:
    """Time every way in turn, again and again, and print medians and ratios to the first."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats):
        for name, (_, call) in work.items():
            times[name].append(seconds(call))
    rates = {name: work[name][0] / statistics.median(times[name]) for name in work}
    ours = next(iter(rates.values()))
    print(f"\n{title}\n\n| way | pictures/s | slower than the first row |\n|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:,.{0 if rate >= 100 else 1}f} | {ours / rate:.1f} x |")


def peers(columns: int, rows: int) -> dict[str, list[str]]:
    """Commands of the converters at hand; the files' names go behind."""
    size = f"{columns}x{rows}"
    chafa = ["chafa", "--threads=1", "--format=symbols", "--colors=none", "--symbols=ascii"]
    commands = {
        "chafa": [*chafa, "--stretch", f"--size={size}"],
        "jp2a": ["jp2a", f"--size={size}"],
    }
    return {name: command for name, command in commands.items() if shutil.which(name)}


def on_digits(pictures: int, repeats: int, folder: Path) -> None:
    """Table (a)."""
    digits = np.load(ASSETS)["train_pixels"]
    pixels = np.resize(digits, (pictures, 28, 28))
    few = [Image.fromarray(picture) for picture in pixels[:2000]]
    assert encode_batch(pixels) == by_loop([Image.fromarray(p) for p in pixels], Profile())
    print(f"All {pictures:,} texts equal the two-resize loop's.")
    files = []
    for number, picture in enumerate(few[:1000]):
        files.append(str(folder / f"{number}.png"))
        picture.save(files[-1])
    python = [sys.executable, "-c"]
    whole = [*python, WHOLE, str(ASSETS), str(pictures), str(folder / "texts")]
    work: dict[str, tuple[int, Callable[[], object]]] = {
        "glyphsight, arrays": (pictures, lambda: encode_batch(pixels)),
        "Pillow + join, one resize": (pictures, lambda: by_one_resize(pixels)),
        "Pillow + join, two resizes": (2000, lambda: by_loop(few, Profile())),
    }
    if find_spec("ascii_magic"):
        work["ascii_magic, arrays"] = 500, lambda: by_ascii_magic(few[:500], 20)
    work["glyphsight, whole process, arrays in, text file out"] = pictures, process(whole)
    table(f"(a) {pictures:,} digits, 20x11", work, repeats)

    ours = [*python, FROM_FILES, "20"]
    on_files: dict[str, tuple[int, Callable[[], object]]] = {
        "glyphsight, started already": (
            1000,
            lambda: [encode_batch(load_picture(path)[None]) for path in files],
        ),
        "glyphsight, one process": (1000, process([*ours, *files])),
        "glyphsight, started for each": (1, process([*ours, files[0]])),
    }
    for name, command in peers(20, 11).items():
        on_files[f"{name}, one process"] = 1000, process([*command, *files])
        on_files[f"{name}, started for each"] = 1, process([*command, files[0]])
    table("(a) 1,000 digits as PNG files, 20x11", on_files, repeats)


def samples() -> list[Image.Image]:
    """scikit-image's sample pictures."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    return [Image.open(folder / name).convert("RGB") for name in SAMPLES]


def make_photos(count: int, folder: Path) -> list[str]:
    """JPEG files of 1 to 12 megapixels, sizes evenly apart."""
    pictures = samples()
    files = []
    for number in range(count):
        picture = pictures[number % len(pictures)]
        area = 1e6 * (1 + 11 * number / max(count - 1, 1))
        scale = (area / (picture.width * picture.height)) ** 0.5
        size = round(picture.width * scale), round(picture.height * scale)
        files.append(str(folder / f"{number}.jpg"))
        picture.resize(size, Image.Resampling.BICUBIC).save(files[-1], quality=90)
    return files


def changed(texts: list[str], others: list[str]) -> float:
    """Share of the characters, 0-1, in which texts of the same sizes differ."""
    ours, theirs = (np.array(list("".join(each))) for each in (texts, others))
    return float((ours != theirs).mean())


def on_photos(count: int, repeats: int, folder: Path) -> None:
    """Table (b): from JPEG file to text, each photograph on its own grid of 80 columns."""
    files = make_photos(count, folder)

    def ours() -> list[str]:
        return [encode_batch(load_picture(path)[None], WIDE)[0] for path in files]

    def loop() -> list[str]:
        return [by_loop([Image.open(path).convert("L")], WIDE)[0] for path in files]

    def fast() -> list[str]:
        return [
            encode_batch(load_picture(path, jpeg_at_least=4 * 80)[None], WIDE)[0] for path in files
        ]

    exact = ours()
    for name, other in (
        ("The two-resize loop, which goes by RGB,", loop()),
        ("--fast-jpeg", fast()),
    ):
        print(f"{name} differs in {100 * changed(exact, other):.3f} % of the characters.")
    rows = {}
    for path in files:
        with Image.open(path) as image:
            rows[path] = WIDE.rows(image.height, image.width)
    python, few = [sys.executable, "-c"], files[:: max(1, count // 20)]
    gray = [load_picture(path)[None] for path in few]
    small = [Image.fromarray(pixels[0]) for pixels in gray]

    def started_for_each(name: str) -> Callable[[], object]:
        return lambda: [process([*peers(80, rows[path])[name], path])() for path in files]

    work: dict[str, tuple[int, Callable[[], object]]] = {
        "glyphsight": (count, ours),
        "glyphsight, --fast-jpeg": (count, fast),
        "glyphsight, one process": (count, process([*python, FROM_FILES, "80", *files])),
        "glyphsight, started for each": (
            len(few),
            lambda: [process([*python, FROM_FILES, "80", path])() for path in few],
        ),
        "Pillow + join, two resizes": (count, loop),
    }
    if find_spec("ascii_magic"):
        some = files[::5]
        work["ascii_magic"] = len(some), lambda: [by_ascii_magic([Image.open(p)], 80) for p in some]
    for name in peers(80, 1):
        work[f"{name}, started for each"] = count, started_for_each(name)
    table(f"(b) {count} JPEG photographs, 1-12 megapixels, 80 columns", work, repeats)
    decoded: dict[str, tuple[int, Callable[[], object]]] = {
        "glyphsight": (len(gray), lambda: [encode_batch(pixels, WIDE) for pixels in gray]),
        "Pillow + join, two resizes": (len(gray), lambda: by_loop(small, WIDE)),
    }
    if find_spec("ascii_magic"):
        decoded["ascii_magic"] = len(gray), lambda: by_ascii_magic(small, 80)
    table(f"(b) {len(gray)} of them, decoded to gray before the clock starts", decoded, repeats)


def round_trip() -> None:
    """Table (c): a picture to text, back to gray and up to its own size, against the picture."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    digits = list(np.load(ASSETS)["train_pixels"][:1000])
    photos = [np.asarray(picture.convert("L")) for picture in samples()]
    ways = [(" █", "none"), (" ▓█", "none"), (" ▓█", "floyd-steinberg")]
    ways += [("ascii", "none"), ("digits", "none")]
    print("\n(c) Round trip: PSNR in dB and SSIM, means\n")
    print("| grid | digits: PSNR | SSIM | photographs: PSNR | SSIM |\n|---|---|---|---|---|")
    for width, (palette, dither) in itertools.product((20, 40, 80), ways):
        profile = Profile(width, palette, dither=dither)
        line = [f"{width} columns, {profile.levels} levels, dither {dither}"]
        for pictures in (digits, photos):
            pairs = []
            for picture in pictures:
                cells = decode(encode_batch(picture[None], profile)[0], profile, strict=True)
                size = picture.shape[::-1]
                back = np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC))
                psnr = peak_signal_noise_ratio(picture, back)
                pairs.append((psnr, structural_similarity(picture, back)))
            psnr, ssim = np.mean(pairs, axis=0)
            line += [f"{psnr:.1f}", f"{ssim:.3f}"]
        print(f"| {' | '.join(line)} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=60_000, help="digits in table (a)")
    parser.add_argument("--photos", type=int, default=200, help="photographs in table (b)")
    parser.add_argument("--repeats", type=int, default=5, help="of each figure; medians count")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # processes started inherit it
    for name in ("chafa", "jp2a"):
        if not shutil.which(name):
            print(f"{name} is not installed: left out")
    for name in ("ascii_magic", "skimage"):
        if not find_spec(name):
            print(f"{name} is not installed: left out")
    with tempfile.TemporaryDirectory() as folder:
        on_digits(arguments.pictures, arguments.repeats, Path(folder))
    if find_spec("skimage"):
        with tempfile.TemporaryDirectory() as folder:
            on_photos(arguments.photos, arguments.repeats, Path(folder))
        round_trip()


if __name__ == "__main__":
    main()
