"""Letters and icons to draw: what is kept for tests."""

import runpy
from pathlib import Path

from glyphsight.dataset import Record

PROGRAM = Path(__file__).parents[2] / "scripts" / "names_to_draw.py"


def test_pictures_of_one_font_or_designer_stay_together():
    cut = runpy.run_path(str(PROGRAM))["cut"]
    sources = [f"font {number % 40}" for number in range(400)]
    records = [Record((f"{number}\n",), "A") for number in range(400)]
    parts = cut(records, sources)
    fonts = {part: {sources[int(one.picture)] for one in own} for part, own in parts.items()}
    assert sum(map(len, fonts.values())) == 40
    assert sum(map(len, parts.values())) == 400
    assert (len(fonts["test"]), len(fonts["validation"])) == (6, 2)
