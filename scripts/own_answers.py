"""Let SmolLM2 answer questions that have nothing to do with a picture; writes ``asides.json``.

The file in the package holds the questions. An answer that is "" there is written in place; the
rest stays:

    python scripts/own_answers.py
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from glyphsight.dataset.questions import ASIDES, CHAT, PLAIN
from glyphsight.files import write
from glyphsight.inference import Model, Request

_ROOM = " word" * 36  # with the spare tokens, 48 to write in
_TOGETHER = 50


def main() -> None:
    """Ask each question that has no answer yet in both templates, without a picture."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    ).parse_args()
    file = Path(str(ASIDES))
    asides = json.loads(file.read_text("utf-8"))
    model = Model("smollm2-135m", engine="torch")
    for name, wording in (("chat", CHAT), ("plain", PLAIN)):
        left = [one for one in asides if not one[name]]
        for start in range(0, len(left), _TOGETHER):
            some = left[start : start + _TOGETHER]
            asked = [Request(wording.ask("", one["ask"]), (_ROOM,)) for one in some]
            for one, said in zip(some, model.generate(asked), strict=True):
                one[name] = said.strip()
            lines = ",\n".join(f" {json.dumps(one, ensure_ascii=False)}" for one in asides)
            write(file, f"[\n{lines}\n]\n")
            print(f"{name}: {start + len(some)} of {len(left)}")


if __name__ == "__main__":
    main()
