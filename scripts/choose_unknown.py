"""Choose how sure a run must be to say ``unknown``, on validation records, and note it in the run.

    python scripts/choose_unknown.py runs/eyes data/mnist data/eyes --refused 0.002

The threshold is the smallest, ``--least`` at least, at which no more than a share ``--refused`` of
the records that show something known, and are right where ``unknown`` is left out, get that
answer. ``glyphsight train`` does so too, with 0.001 and one half. Only validation splits are read.
It is chosen on single readings; ``--turned-by 6`` notes besides that ``see`` reads pictures of
which the run is not sure turned too.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from glyphsight.dataset import load_dataset
from glyphsight.inference import Model, Request
from glyphsight.inference.threshold import REFUSED, choose_threshold, margins
from glyphsight.models import load_model
from glyphsight.models.runs import UNKNOWN, RunRecord


def main() -> None:
    """Score, choose, note."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--refused", type=float, default=REFUSED, metavar="SHARE")
    parser.add_argument("--least", type=float, default=RunRecord.unknown_above)
    parser.add_argument("--turned-by", type=float, metavar="DEGREES", help="as noted unless given")
    given = parser.parse_args()
    loaded = load_model(given.run)
    if loaded.run is None or UNKNOWN not in loaded.run.labels:
        parser.error(f"{given.run}: is no run trained with the label {UNKNOWN!r}")
    run = replace(loaded.run, unknown_above=RunRecord.unknown_above)
    records = [record for data in given.data for record in load_dataset(data, "validation")]
    asked = [Request.about(run.prompt, one.picture, run.labels) for one in records]
    scores = np.array(Model(replace(loaded, run=run)).score(asked))
    sure, answers = margins(scores, run.labels), np.array([one.answer for one in records])
    scores[:, run.labels.index(UNKNOWN)] = -np.inf
    other = np.array(run.labels)[scores.argmax(axis=1)]
    threshold = choose_threshold(sure[other == answers], given.refused, given.least)
    degrees = run.turned_by if given.turned_by is None else given.turned_by
    run = replace(run, unknown_above=threshold, turned_by=degrees)
    run.save(given.run)
    refused, known = sure > run.caution, answers != UNKNOWN
    right = (other == answers) & ~refused
    said = f"of {known.sum()} known records {right[known].mean():.2%} right"
    said += f", {refused[known].mean():.2%} refused"
    if not known.all():
        said += f"; of {(~known).sum()} others {(~refused)[~known].mean():.2%} accepted"
    print(f"{given.run}: unknown above {run.unknown_above:.6f}; {said}")


if __name__ == "__main__":
    main()
