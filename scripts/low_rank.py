"""Cut a wholly trained run to an adapter of low rank: a new run, to be measured or trained on.

python scripts/low_rank.py runs/whole runs/adapter --rank 8 --data data
"""

from __future__ import annotations

import argparse
from pathlib import Path

from glyphsight.dataset import load_dataset
from glyphsight.models.runs import save_made
from glyphsight.train.lowrank import low_rank_adapter

_RECORDS = 256


def main() -> None:
    """Cut and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--data", type=Path, help="dataset whose training records weigh inputs")
    given = parser.parse_args()
    records = load_dataset(given.data)[:_RECORDS] if given.data else None
    adapted, kept = low_rank_adapter(given.run, given.rank, records)
    save_made(adapted, given.run, given.out)
    of = "outputs" if records else "weights"
    print(f"{given.out}: rank {given.rank} keeps {100 * kept:.1f} % of the squared change of {of}")


if __name__ == "__main__":
    main()
