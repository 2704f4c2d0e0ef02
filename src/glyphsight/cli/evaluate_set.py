"""``glyphsight evaluate`` on a text-art recognition set of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from glyphsight.cli.output import print_json, say

if TYPE_CHECKING:
    from glyphsight.evaluate.tasks import SetEvaluation


def evaluate_set(
    model: str,
    spec: str,
    *,
    limit: int | None,
    seed: int,
    batch_size: int,
    generate: int,
    out: Path | None,
    json_: bool,
) -> None:
    """Measure, write ``metrics.json`` and ``samples.jsonl`` where ``out`` is given, and print."""
    from glyphsight.evaluate.tasks import evaluate_set as measure
    from glyphsight.evaluate.tasks.run import require_place

    if out is not None:
        require_place(out)
    result = measure(model, spec, limit=limit, seed=seed, batch_size=batch_size, generate=generate)
    if result.too_long:
        say(
            f"glyphsight: warning: {result.too_long} of {len(result.samples)} questions exceed "
            f"what {result.model} takes; they count as wrong"
        )
    if out is not None:
        result.save(out)
        say(f"figures: {out / 'metrics.json'}")
    if json_:
        print_json(result.as_json())
    else:
        print_set_summary(result)


def print_set_summary(result: SetEvaluation) -> None:
    """The figures as a table for a terminal."""
    print(f"{result.model} on {result.set}:{result.file}")
    shares = [("by choice likelihood", result.score), ("writing freely", result.generation)]
    for name, share in (*shares, (f"always {result.majority_answer!r}", result.majority)):
        if share is not None:
            low, high = share.interval
            print(
                f"  {name:<30} {100 * share.accuracy:6.2f} %   "
                f"95 % interval {100 * low:.2f}-{100 * high:.2f}   n = {share.n}"
            )
    others = [
        ("chance", result.chance),
        ("mean over its groups", result.macro),
        ("characters found in writing", result.character_match),
    ]
    for name, value in others:
        if value is not None:
            print(f"  {name:<30} {100 * value:6.2f} %")
    if result.malformed:
        print(f"  {result.malformed} of the freely written replies hold no answer")
