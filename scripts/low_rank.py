"""Cut a wholly trained run to an adapter of low rank: a new run, to be measured or trained on.

python scripts/low_rank.py runs/whole runs/adapter --rank 16
"""

from __future__ import annotations

import argparse
from pathlib import Path

from glyphsight.models import RunRecord, load_model
from glyphsight.train.lowrank import low_rank_adapter


def main() -> None:
    """Cut and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rank", type=int, default=16)
    given = parser.parse_args()
    adapted, kept = low_rank_adapter(given.run, given.rank)
    adapted.save_pretrained(given.out)
    load_model(given.run).tokenizer.save_pretrained(given.out)
    record = RunRecord.load(given.run)
    assert record is not None
    record.save(given.out)
    print(f"{given.out}: rank {given.rank} keeps {100 * kept:.1f} % of the squared change")


if __name__ == "__main__":
    main()
