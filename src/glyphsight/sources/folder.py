"""Folders of pictures or sounds: the folder's name answers, or a metadata file does."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError
from glyphsight.media.picture import PICTURE_SUFFIXES, load_picture
from glyphsight.media.sound import SOUND_SUFFIXES, load_sound
from glyphsight.sources.listed import Item, ListedSource, Listing, walk
from glyphsight.sources.location import folder_split
from glyphsight.sources.metadata import read_metadata


class FolderSource(ListedSource):
    """Pictures in folders named by the answer, or with a metadata.csv or metadata.jsonl.

    With split folders (``train``, ``validation`` or ``val``, ``test``) around them or without;
    without, all is ``train``. Names and answers are found as the hub's imagefolder has them.
    """

    give = "folder:DIR with DIR/ANSWER/x.png or DIR/metadata.csv"
    options = ("answer",)
    suffixes = PICTURE_SUFFIXES
    things = "pictures"

    def load(self, path: Path) -> NDArray[np.uint8]:
        """The picture in gray."""
        return load_picture(path)

    def listing(self) -> Listing:
        """Every file by split, those that cannot be an item with the reason."""
        names = walk(self._directory)
        prefixes = self._split_folders(names)
        said = self._metadata(prefixes)
        found: Listing = defaultdict(list)
        strange: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name in names:
            place = self._place(name, prefixes)
            split = prefixes.get(place, "train")
            folders, _, base = name[len(place) :].rpartition("/")
            stem, dot, ending = base.rpartition(".")
            suffix = f".{ending.lower()}" if stem and dot else ""
            rows = said.get(place, said.get(""))
            if rows is not None and name in rows:
                found[split].append(rows.pop(name))
            elif suffix not in self.suffixes:
                if folders and (place or not prefixes):
                    strange[split, suffix].append(name)
            elif rows is not None:
                problem = "is not named in the metadata; add a line for it or remove it"
                found[split].append(Item(name, "", f"{self._directory / name}: {problem}"))
            elif not folders:
                problem = "is in no folder that says its answer; move it or write a metadata.csv"
                found[split].append(Item(name, "", f"{self._directory / name}: {problem}"))
            elif prefixes and not place:
                raise DatasetError(
                    f"{self._directory / name}: beside the split folders "
                    f"{', '.join(prefixes)}; move it into one of them"
                )
            else:
                found[split].append(Item(name, folders.rpartition("/")[2]))
        for rows in said.values():
            for name, item in rows.items():
                split = prefixes.get(self._place(name, prefixes), "train")
                problem = "is named in the metadata and not there; mend its file_name"
                reason = item.problem or f"{self._directory / name}: {problem}"
                found[split].append(Item(name, "", reason))
        if not found:
            raise DatasetError(f"{self._directory}: holds no {self.things}; give {self.give}")
        for place, split in prefixes.items():
            if split not in found:
                raise DatasetError(
                    f"{self._directory / place}: holds no {self.things}; fill it or remove it"
                )
        for (split, suffix), some in strange.items():
            reason = (
                f"{self._directory / some[0]}: not among the {self.things} that are read "
                f"({len(some)} such file{'s' * (len(some) > 1)} in {split}); convert or remove"
            )
            found[split].append(Item(f"{split}:*{suffix}", "", reason))
        return {split: sorted(items) for split, items in found.items()}

    def _split_folders(self, names: list[str]) -> dict[str, str]:
        """Split by folder, with its ``/``."""
        found: dict[str, str] = {}
        for path in sorted(self._directory.iterdir()):
            split = folder_split(path.name)
            if split is None or not path.is_dir():
                continue
            if split in found.values():
                raise DatasetError(f"{path}: a second folder for split {split}; join the two")
            found[f"{path.name}/"] = split
        return found

    def _metadata(self, prefixes: dict[str, str]) -> dict[str, dict[str, Item]]:
        """What the metadata files say, by the folder that each is in."""
        chosen = self._chosen.get("answer")
        said = {
            place: rows
            for place in ("", *prefixes)
            if (rows := read_metadata(self._directory / place, place, chosen)) is not None
        }
        if "" in said and len(said) > 1:
            place = next(place for place in said if place)
            raise DatasetError(
                f"{self._directory}: metadata both here and in {place}; remove one of the two"
            )
        if not said and chosen is not None:
            raise DatasetError(f"{self._directory}: ?answer={chosen} needs a metadata.csv")
        return said

    @staticmethod
    def _place(name: str, prefixes: dict[str, str]) -> str:
        top, slash, _ = name.partition("/")
        return top + slash if top + slash in prefixes else ""


class AudioFolderSource(FolderSource):
    """Sounds in folders named by the answer, or with metadata; the picture is a spectrogram."""

    give = "audiofolder:DIR with DIR/ANSWER/x.wav or DIR/metadata.csv"
    suffixes = SOUND_SUFFIXES
    things = "sounds"

    def load(self, path: Path) -> NDArray[np.uint8]:
        """Its log-mel spectrogram."""
        return load_sound(path)
