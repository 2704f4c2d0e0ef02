"""Outcomes written as they come, so that an evaluation that ended early is gone on with."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from glyphsight.errors import GlyphsightError
from glyphsight.evaluate.result import SAMPLES_FILE, STATE_FILE, Sample, SampleFile
from glyphsight.files import claim, replacing


def claimed(path: Path) -> BinaryIO:
    """The ``samples.jsonl`` of a directory, made if it is not there, alone until it is closed.

    Raises:
        GlyphsightError: It cannot be written, or another evaluation is writing there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        stream = path.open("r+b")
    except OSError as error:
        raise GlyphsightError(
            f"{path}: cannot be written ({error.strerror}); give another place"
        ) from error
    if not claim(stream):
        stream.close()
        raise GlyphsightError(
            f"{path.parent}: another evaluation is writing here; wait for it, or give another --out"
        )
    return stream


class SampleLog:
    """``samples.jsonl`` of a directory and, beside it, how much of it holds and what made it.

    What an earlier evaluation with the same settings left is kept, but for lines that its state
    does not know of: those of an unfinished chunk, the last perhaps torn. Until the log is closed
    no other process writes there.

    Args:
        directory: Where; made if it is not there.
        settings: What the outcomes depend on, as JSON values.

    Raises:
        GlyphsightError: Nothing can be written there, or another evaluation is writing.
    """

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        self.path = directory / SAMPLES_FILE
        self._state = directory / STATE_FILE
        self._settings = settings
        self.count = 0
        self.seconds = 0.0
        self._stream = claimed(self.path)
        size = self._found()
        self._stream.seek(size)
        if not size:
            self._note()  # first: a finished evaluation is none once its samples go
        self._stream.truncate(size)

    @property
    def samples(self) -> SampleFile:
        """What is there, read as it is iterated."""
        return SampleFile(self.path, self.count)

    def append(self, samples: Sequence[Sample], seconds: float) -> None:
        """Write the outcomes of a chunk, and note that they are whole.

        Args:
            samples: In their order.
            seconds: That scoring them took.
        """
        self._stream.write("".join(sample.as_line() for sample in samples).encode())
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self.count += len(samples)
        self.seconds += seconds
        self._note()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _note(self) -> None:
        with replacing(self._state) as stream:
            json.dump(
                {
                    "settings": self._settings,
                    "count": self.count,
                    "bytes": self._stream.tell(),
                    "seconds": self.seconds,
                },
                stream,
                ensure_ascii=False,
            )

    def _found(self) -> int:
        """Bytes of the file that an evaluation with the same settings wrote."""
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            size = int(state["bytes"])
            if state["settings"] != self._settings or self.path.stat().st_size < size:
                return 0
            self.count, self.seconds = int(state["count"]), float(state["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        return size
