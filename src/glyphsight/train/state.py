"""State of a run that was begun: settings, inputs, checkpoints; processes that train together."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from glyphsight.errors import GlyphsightError, ModelError
from glyphsight.files import write, write_json
from glyphsight.models.chat import Turns
from glyphsight.models.runs import HISTORY_FILE, SETTINGS_FILE
from glyphsight.train.settings import ResolvedSettings, TrainSettings, saved_settings

CHECKPOINTS = "checkpoints"
WORDS_FILE = "own-words.txt"
"""File of the text that the base model of a run wrote, where the run learns it."""
_INPUT_FILE = "input.json"


def world_size() -> int:
    """Return the number of processes that train together, as torchrun and accelerate set it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Say whether this process writes files and messages."""
    return os.environ.get("RANK", "0") == "0"


def refuse_existing(run: Path) -> None:
    """Raise ModelError where ``run`` holds a run."""
    if (run / SETTINGS_FILE).exists():
        raise ModelError(f"{run}: holds a run already; add --resume or choose another --out")


def start_run(
    run: Path, inputs: dict[str, Any], resolved: ResolvedSettings, words: Path | None
) -> None:
    """Write the inputs that a resumed run must find unchanged, and the settings.

    Raises:
        ModelError: The directory holds a run already.
    """
    refuse_existing(run)
    if words is not None:  # copied, so that a resumed run finds them unchanged
        write(run / WORDS_FILE, words.read_bytes())
    write_json(run / _INPUT_FILE, inputs)
    resolved.save(run / SETTINGS_FILE)


@contextmanager
def nothing_left(run: Path) -> Iterator[None]:
    """Remove what a run wrote where an unforeseen error ends the block before a checkpoint."""
    try:
        yield
    except GlyphsightError:  # says how to resume
        raise
    except Exception:
        if last_checkpoint(run)[1] is None:
            for name in (_INPUT_FILE, WORDS_FILE, HISTORY_FILE, SETTINGS_FILE):
                (run / name).unlink(missing_ok=True)
            shutil.rmtree(run / CHECKPOINTS, ignore_errors=True)
            with suppress(OSError):  # the user's own files stay
                run.rmdir()
        raise


def read_inputs(run: Path) -> tuple[dict[str, Any], Turns | None]:
    """Read the inputs of a run that is resumed, and its chat; raise ModelError if damaged."""
    file = run / _INPUT_FILE
    try:
        inputs: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return inputs, Turns(**inputs["chat"]) if inputs.get("chat") else None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{file}: damaged ({error}); start a new run") from error


def require_same(run: Path, before: dict[str, Any], inputs: dict[str, Any]) -> None:
    """Raise ModelError where a run was started with other inputs."""
    for name, value in inputs.items():
        if before.get(name) != value:
            raise ModelError(
                f"{run}: was started with another {name} ({before.get(name)}, now {value}); "
                "resume with the same or start a new run"
            )


def settings_to_resume(run: Path, resolved: ResolvedSettings) -> TrainSettings:
    """Read the settings of a run that is resumed; the given ones must agree with them.

    Raises:
        ModelError: There is no run, or a setting is given with another value.
    """
    saved = saved_settings(run / SETTINGS_FILE)
    for name, origin in resolved.origin.items():
        value = getattr(resolved.values, name)
        if origin == "given" and name == "compile":  # changes rounding alone
            saved[name] = value
        elif origin == "given" and saved.get(name) != value:
            raise ModelError(
                f"{run}: was started with {name} {saved.get(name)}, not {value}; "
                "leave it out, or start a new run"
            )
    try:
        return TrainSettings(**saved)
    except TypeError as error:
        raise ModelError(
            f"{run / SETTINGS_FILE}: holds a setting that this version does not know ({error}); "
            "resume with the version that began it, or start a new run"
        ) from error


def checkpoint_of(run: Path, step: int) -> Path:
    """Return the directory of a checkpoint, as the Trainer names it."""
    return run / CHECKPOINTS / f"checkpoint-{step}"


def last_checkpoint(run: Path, *, remove_halves: bool = False) -> tuple[int, Path | None]:
    """Return step and path of the newest whole checkpoint; 0 and None where there is none."""
    found: list[tuple[int, Path | None]] = [(0, None)]
    for path in (run / CHECKPOINTS).glob("checkpoint-*"):
        try:
            state = json.loads((path / "trainer_state.json").read_text("utf-8"))  # written last
            found.append((int(state["global_step"]), path))
        except (OSError, ValueError, KeyError):
            if remove_halves:
                shutil.rmtree(path, ignore_errors=True)
    return max(found, key=lambda pair: pair[0])


def kept(run: Path) -> str:
    """Say which checkpoint a run that stops can be resumed from."""
    step, checkpoint = last_checkpoint(run)
    return f"the checkpoint of step {step} is kept" if checkpoint else "no checkpoint was due yet"
