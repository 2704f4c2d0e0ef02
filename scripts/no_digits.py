"""Make sounds that are no digit, for the class ``unknown`` of a model that hears.

    python scripts/no_digits.py DIR --fsdd DIR --esc DIR --folds 1 2 3

Writes into ``DIR/unknown``: noises and tones that it computes, recordings of FSDD's training part
played backwards (so that a voice or a microphone does not give the answer away; nines are left
out, since "nine" backwards is nearly "nine"), and ESC-10's clips of some folds.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 8000
Sound = NDArray[np.float64]


def colour(rng: np.random.Generator, count: int) -> Sound:
    """Draw noise whose power falls by 0 to 12 dB an octave, in bursts or steady."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    falling = np.maximum(np.fft.rfftfreq(count), 1 / count) ** -rng.uniform(0, 2)
    noise = np.fft.irfft(spectrum * falling, count)
    return noise * (1 + rng.uniform(0, 1) * np.sin(np.arange(count) * rng.uniform(1, 20) / RATE))


def hum(rng: np.random.Generator, count: int) -> Sound:
    """Draw a hum with harmonics, its pitch steady or gliding."""
    pitch = rng.uniform(50, 400) * np.geomspace(1, rng.uniform(0.5, 2), count)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return sum(np.sin(n * phase) / n ** rng.uniform(0.3, 2) for n in range(1, 9))


def music(rng: np.random.Generator, count: int) -> Sound:
    """Draw a few struck notes or chords of the twelve semitones."""
    sound = np.zeros(count)
    for start in np.sort(rng.integers(0, count // 2 + 1, rng.integers(1, 7))):
        time = np.arange(count - start) / RATE
        note = 110 * 2 ** (rng.integers(0, 37) / 12)
        for step in rng.permutation([0, 4, 7, 12])[: rng.integers(1, 4)]:
            for harmonic in range(1, 5):
                tone = np.sin(2 * np.pi * note * 2 ** (step / 12) * harmonic * time)
                sound[start:] += tone * np.exp(-time * rng.uniform(2, 12)) / harmonic**1.5
    return sound


def clicks(rng: np.random.Generator, count: int) -> Sound:
    """Draw knocks and clicks over faint noise."""
    sound = 0.01 * rng.standard_normal(count)
    for start in rng.integers(0, count, rng.integers(1, 6)):
        time = np.arange(count - start) / RATE
        tone = rng.standard_normal(len(time)) * np.exp(-time * rng.uniform(20, 200))
        sound[start:] += tone + np.sin(time * rng.uniform(500, 9000)) * np.exp(-time * 60)
    return sound


KINDS: tuple[Callable[[np.random.Generator, int], Sound], ...] = (colour, hum, music, clicks)


def main() -> None:
    """Compute, turn round, copy."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--noises", type=int, default=400)
    parser.add_argument("--fsdd", type=Path, help="FSDD, its recordings played backwards")
    parser.add_argument("--backwards", type=int, default=500)
    parser.add_argument("--esc", type=Path, help="ESC-10")
    parser.add_argument("--folds", nargs="+", default=["1", "2", "3"], help="of ESC-10")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    folder = given.directory / "unknown"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(given.noises):
        kind = KINDS[number % len(KINDS)]
        sound = kind(rng, int(RATE * rng.uniform(0.2, 1.5)))
        soundfile.write(folder / f"{kind.__name__}_{number}.wav", sound / np.abs(sound).max(), RATE)
    if given.fsdd:
        files = sorted(given.fsdd.glob("recordings/[0-8]_*.wav"))
        files = [path for path in files if int(path.stem.rpartition("_")[2]) >= 5]
        for index in rng.permutation(len(files))[: given.backwards]:
            samples, rate = soundfile.read(files[index])
            soundfile.write(folder / f"backwards_{files[index].name}", samples[::-1], rate)
    if given.esc:
        for file in sorted(given.esc.glob("*/*.ogg")):
            if file.name[0] in given.folds:
                shutil.copyfile(file, folder / f"{file.parent.name}_{file.name}")
    print(f"{folder}: {sum(1 for _ in folder.iterdir())} files")


if __name__ == "__main__":
    main()
