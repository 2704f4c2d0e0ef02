"""Train a run unbroken, and another killed again and again; run by test_killed_run.py.

One interpreter imports everything and each attempt is a fork of it, so that an attempt costs no
imports.
"""

import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

STEPS = 16
SETTINGS = {"max_steps": STEPS, "checkpoints": STEPS, "evaluations": 2, "batch_size": 4}
KILLS = 5


def start(data: Path, run: Path, resume: bool) -> int:
    """Fork a process that trains; its id."""
    child = os.fork()
    if child:
        return child
    try:
        settings = resolve_settings("nano", SETTINGS | {"validation_records": 5})
        train(data, "nano", run, settings, resume=resume, quiet=True)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def is_running(child: int) -> bool:
    """Whether it still trains; what ended otherwise than well ends this too."""
    done, status = os.waitpid(child, os.WNOHANG)
    if done and status:
        sys.exit(f"an attempt failed: {status}")
    return not done


def checkpoints(run: Path) -> set[str]:
    """Names of the checkpoints there are, whole or not."""
    return {path.name for path in (run / "checkpoints").glob("checkpoint-*")}


def kill(child: int, run: Path, dice: random.Random) -> bool:
    """Kill it within a step or two of its first new checkpoint; whether it was still training."""
    before = checkpoints(run)
    while not checkpoints(run) - before:
        if not is_running(child):
            return False
        time.sleep(0.001)
    time.sleep(dice.uniform(0, 0.15))
    if not is_running(child):
        return False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def main(data: Path, place: Path) -> None:
    """Leave ``whole`` and ``broken`` in ``place`` and print how often the second was killed."""
    os.waitpid(start(data, place / "whole", False), 0)
    dice, kills, broken = random.Random(), 0, place / "broken"
    for attempt in range(KILLS):
        child = start(data, broken, resume=attempt > 0)
        if not kill(child, broken, dice):
            break
        kills += 1
    os.waitpid(start(data, broken, resume=True), 0)
    print(kills)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
