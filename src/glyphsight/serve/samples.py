"""Corrections from the page: a dataset that ``train`` and ``dataset check`` take."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from glyphsight.codec import Profile
from glyphsight.dataset import Record, load_dataset
from glyphsight.dataset.storage import MANIFEST, profile_of, read_manifest, write_records
from glyphsight.errors import DatasetError
from glyphsight.files import alone, write_json


class Samples:
    """Dataset directory to which records are appended, by any number of processes.

    Its training split is the published file, replaced as a whole: a reader finds each record or
    none of it, whatever ends the server.

    Raises:
        DatasetError: Another dataset is there.
    """

    def __init__(self, directory: Path, profile: Profile) -> None:
        self._directory, self._file = directory, directory / "train.json"
        self._profile = profile
        self._check()

    def _check(self) -> None:
        """Refuse a directory that holds anything but records of this profile."""
        if not self._directory.exists():
            return
        # The manifest last: another process may write it, then its first record, in between.
        found = [path for path in self._directory.glob("[!.]*") if path.name != MANIFEST]
        known = read_manifest(self._directory)
        rivals = [path for path in found if path.stem.startswith(("train", "data"))]
        if "files" in known or (found and not known) or rivals not in ([], [self._file]):
            raise DatasetError(
                f"{self._directory}: holds another dataset; give --samples a new directory"
            )
        if known and profile_of(self._directory) != self._profile:
            raise DatasetError(
                f"{self._directory}: holds samples in the profile of another model; give --samples "
                "a new directory"
            )

    def add(self, record: Record) -> int:
        """Append a record; it takes the place of one with the same pictures and question.

        Returns:
            Number of records that the dataset holds now.

        Raises:
            DatasetError: Another dataset is there, or the file is damaged.
            GlyphsightError: The directory cannot be written.
        """
        with alone(self._file):
            self._check()
            known = load_dataset(self._directory) if self._file.exists() else []
            same = record.pictures, record.question
            kept = [one for one in known if (one.pictures, one.question) != same]
            if not known:
                write_json(self._directory / MANIFEST, {"profile": asdict(self._profile)})
            return write_records([*kept, record], self._file)
