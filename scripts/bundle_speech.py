"""Put sixty recordings of the Free Spoken Digit Dataset into the package, as FLAC.

    python scripts/bundle_speech.py DIR

The first recording, index 0, of each digit and speaker; DIR holds the dataset's ``recordings/``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import soundfile

TARGET = Path(__file__).parents[1] / "src" / "glyphsight" / "assets" / "spoken-digits"


def main() -> None:
    """Read, write, say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    given = parser.parse_args()
    TARGET.mkdir(exist_ok=True)
    for file in sorted(given.directory.glob("recordings/?_*_0.wav")):
        samples, rate = soundfile.read(file, dtype="int16")
        soundfile.write(TARGET / f"{file.stem}.flac", samples, rate, "PCM_16")
    files = list(TARGET.glob("*.flac"))
    size = sum(file.stat().st_size for file in files)
    print(f"{TARGET}: {len(files)} recordings, {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
