"""Runs the cells of a sweep one after another; several processes may share them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from glyphsight.console import progress_bar
from glyphsight.errors import ModelError
from glyphsight.evaluate.sweep.cell import read_result, run_cell
from glyphsight.evaluate.sweep.plan import SweepPlan
from glyphsight.files import claim, replacing

_PLAN = "plan.json"
RESULTS = "results.jsonl"


def _check_plan(plan: SweepPlan, spec: str, out: Path) -> None:
    """Keep a directory to one way of teaching and one source; further cells may join."""
    said = {
        name: value
        for name, value in asdict(plan).items()
        if name in ("model", "tokenizer", "validation", "train")
    } | {"source": spec}
    path = out / _PLAN
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        with replacing(path) as stream:
            json.dump(said, stream, indent=2)
            stream.write("\n")
        return
    except ValueError as error:
        raise ModelError(f"{path}: damaged ({error}); give another --out") from None
    for name, value in said.items():
        if before.get(name) != value:
            raise ModelError(
                f"{out}: holds a sweep with {name} {before.get(name)!r}, not {value!r}; "
                "give another --out"
            )


def run_sweep(
    plan: SweepPlan, spec: str, out: Path, *, quiet: bool = False
) -> list[dict[str, Any]]:
    """Run every cell that has no result yet, and write ``results.jsonl``.

    Killed at any moment it goes on where it was; the cell under way is begun again. Several
    processes with the same arguments share the cells.

    Args:
        plan: What to compare.
        spec: Source of labelled pictures; its training split alone is read, and a part of that is
            held out to judge by.
        out: Directory of the sweep.
        quiet: Show no progress bar.

    Returns:
        The results there are, in the plan's order. Fewer than cells when another process still
        works on the rest.

    Raises:
        ModelError: The directory holds another sweep, or a cell cannot be run.
    """
    _check_plan(plan, spec, out)
    cells = plan.cells()
    with progress_bar(total=len(cells), desc="sweep", unit="run", disable=quiet) as bar:
        for cell in cells:
            directory = out / "cells" / cell.key
            directory.mkdir(parents=True, exist_ok=True)
            with (directory / ".lock").open("w") as lock:
                if claim(lock) and read_result(out, cell, plan) is None:
                    bar.set_postfix_str(cell.key, refresh=False)
                    result = run_cell(cell, plan, spec, out)
                    said = f"{cell.key}: {_said(result)}"
                    if not quiet:
                        bar.write(said, file=sys.stderr)
                    _write_results(plan, out)
            bar.update(1)
    return _write_results(plan, out)


def _said(result: dict[str, Any]) -> str:
    if "left_out" in result:
        return f"left out: {result['left_out']}"
    return f"{100 * result['accuracy']:.2f} %"


def _write_results(plan: SweepPlan, out: Path) -> list[dict[str, Any]]:
    read = (read_result(out, cell, plan) for cell in plan.cells())
    found = [result for result in read if result is not None]
    with replacing(out / RESULTS) as stream:
        stream.writelines(json.dumps(result, ensure_ascii=False) + "\n" for result in found)
    return found
