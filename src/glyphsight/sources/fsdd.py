"""The Free Spoken Digit Dataset: recordings named ``{digit}_{speaker}_{index}.wav``."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError
from glyphsight.media.sound import SOUND_SUFFIXES, load_sound
from glyphsight.sources.listed import Item, ListedSource, Listing, walk

_NAME = re.compile(r"(?:.*/)?(\d)_[^_/]+_(\d+)\.wav")
_TEST = 5  # recordings of each digit and speaker that the dataset's authors hold out


class FsddSource(ListedSource):
    """The Free Spoken Digit Dataset's recordings, as spectrograms, with its official split."""

    give = "fsdd:DIR with the dataset's recordings/"
    licence = "Free Spoken Digit Dataset by Zohar Jackson and others, CC BY-SA 4.0"

    def listing(self) -> Listing:
        """Recordings 0 to 4 of each digit and speaker are ``test``, the others ``train``."""
        found: Listing = defaultdict(list)
        for name in walk(self._directory):
            path = self._directory / name
            if match := _NAME.fullmatch(name):
                split = "test" if int(match[2]) < _TEST else "train"
                found[split].append(Item(name, match[1]))
            elif path.suffix.lower() in SOUND_SUFFIXES:
                problem = f"{path}: not named digit_speaker_index.wav; rename it or remove it"
                found["train"].append(Item(name, "", problem))
        if not found:
            raise DatasetError(f"{self._directory}: holds no recordings; give {self.give}")
        return found

    def load(self, path: Path) -> NDArray[np.uint8]:
        """Its log-mel spectrogram."""
        return load_sound(path)
