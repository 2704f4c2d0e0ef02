"""Figures from outcomes, one after the other, in memory that does not grow with them."""

from __future__ import annotations

from collections import Counter

import numpy as np

from glyphsight.dataset.inspect.grids import GridReader
from glyphsight.errors import FormatError
from glyphsight.evaluate.result import Sample, Share
from glyphsight.models import RunRecord

_AT_ONCE = 256  # texts read together


class Tally:
    """Counts outcomes as they come.

    Attributes:
        kept: Text and truth of the records that are kept.
        confusion: Counts of true label (row) against answer (column), int64[L, L].
        unread: Records of each true label that were too long to read, int64[L].
        first_unread: Number of the first of them, from 0.
        count: Outcomes.
        unreadable: Freely written answers that are no label.

    Args:
        labels: Every answer there is.
        run: How the model was taught, to compare the records with; None for a base model.
        keep: Numbers of the records, from 0, whose text and truth are kept, where they could be
            read.
    """

    def __init__(self, labels: list[str], run: RunRecord | None, keep: list[int]) -> None:
        self.kept: list[tuple[str, str]] = []
        self.confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
        self.unread = np.zeros(len(labels), dtype=np.int64)
        self.first_unread: int | None = None
        self.count = self.unreadable = 0
        self._generated = self._generated_right = 0
        self._labels = {label: place for place, label in enumerate(labels)}
        self._keep = set(keep)
        self._run = run
        self._grids = GridReader(run.profile) if run else None
        self._texts: list[str] = []
        self._doubts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, sample: Sample) -> None:
        """Count the next outcome."""
        truth = self._labels[sample.truth]
        if sample.too_long:
            self.unread[truth] += 1
            if self.first_unread is None:
                self.first_unread = self.count
        else:
            self.confusion[truth, self._labels[sample.answer]] += 1
        if sample.generated is not None:
            self._generated += 1
            self._generated_right += sample.generated == sample.truth
            self.unreadable += sample.generated not in self._labels
        if self.count in self._keep and not sample.too_long:
            self.kept.append((sample.ascii_image, sample.truth))
        self.count += 1
        if self._grids is not None:
            self._texts.append(sample.ascii_image)
            if len(self._texts) >= _AT_ONCE:
                self._read()

    @property
    def score(self) -> Share:
        """Accuracy by label log-likelihood."""
        return Share.of(int(np.trace(self.confusion)), self.count)

    @property
    def generation(self) -> Share | None:
        """Accuracy of free generation; None where nothing was written freely."""
        return Share.of(self._generated_right, self._generated) if self._generated else None

    def doubts(self) -> list[str]:
        """Why the records do not suit the model."""
        if self._run is None:
            return []
        self._read()
        profile = self._run.profile
        said = {
            "width": f"are not {profile.width} columns wide, as the model was taught",
            "glyphs": f"are not in the glyphs {profile.palette!r} the model was taught",
        }
        return [
            f"{self._doubts[kind]} of {self.count} records {what} ({self._examples[kind]})"
            for kind, what in said.items()
            if self._doubts[kind]
        ]

    def _read(self) -> None:
        """Compare the texts held with how the model was taught, and let go of them."""
        if self._grids is None:
            return
        first = self.count - len(self._texts) + 1
        for number, grid in enumerate(self._grids.read(self._texts), start=first):
            if isinstance(grid, FormatError):
                kind, what = "glyphs", str(grid)
            elif self._grids.columns(grid) != self._grids.profile.width:
                kind, what = "width", str(self._grids.columns(grid))
            else:
                continue
            self._doubts[kind] += 1
            self._examples.setdefault(kind, f"record {number}: {what}")
        self._texts.clear()
