"""Run the README's first commands and draw the terminal session.

    python scripts/terminal_svg.py

writes docs/images/terminal.svg: every command of the block under "Try it", run in an empty
directory, each followed by what it printed on standard output.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
COLUMNS = 84
WIDE, HIGH, EDGE = 8.4, 17, 16  # pixels of a cell, and around the session
SHADES = {"█": 1.0, "▓": 0.75, "▒": 0.5, "░": 0.25}  # drawn as boxes, whatever the font

STYLE = """text { font: 14px 'DejaVu Sans Mono', Menlo, Consolas, monospace; white-space: pre; \
fill: #d6deeb; } .typed { fill: #ffffff; font-weight: bold; } .prompt { fill: #7fdbca; }"""


def commands() -> list[str]:
    """Return the commands of the README's first block, without their comments."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"## Try it\n.*?```\n(glyphsight.*?)```", readme, re.DOTALL)
    return [line.split("  #")[0].strip() for line in block.splitlines()]


def record(directory: Path) -> list[tuple[str, list[str]]]:
    """Run the commands in a directory.

    Returns:
        Each command with the lines it printed on standard output.
    """
    shutil.copy(ROOT / "tests" / "golden" / "five.png", directory)
    shapes = [sys.executable, str(ROOT / "scripts" / "shapes.py"), "shapes"]
    subprocess.run(shapes, cwd=directory, check=True)
    environment = os.environ | {"COLUMNS": str(COLUMNS)}
    session = []
    for command in commands():
        program = command.replace("glyphsight", f"{sys.executable} -m glyphsight", 1)
        done = subprocess.run(
            program, shell=True, cwd=directory, env=environment, capture_output=True, check=True
        )
        session.append((command, done.stdout.decode("utf-8").splitlines()))
        print(command, file=sys.stderr)
    return session


def drawn(session: list[tuple[str, list[str]]]) -> str:
    """Return the session as SVG."""
    lines = [
        line
        for command, printed in session
        for line in [(command, True), *((text, False) for text in printed), ("", False)]
    ][:-1]
    width = round(COLUMNS * WIDE + 2 * EDGE)
    height = len(lines) * HIGH + 2 * EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="A glyphsight session">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#0f1720"/>',
    ]
    for row, (text, typed) in enumerate(lines):
        if typed:
            parts.append(_text("$", 0, row, "prompt"))
            parts.append(_text(text, 2, row, "typed"))
            continue
        for found in re.finditer(r"[█▓▒░]+|[^█▓▒░ ]+(?: [^█▓▒░ ]+)*", text):
            run, column = found.group(), found.start()
            if run[0] in SHADES:
                parts += [_box(glyph, column + i, row) for i, glyph in enumerate(run)]
            else:
                parts.append(_text(run, column, row, ""))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(text: str, column: int, row: int, style: str) -> str:
    """Return a run of text, stretched to the grid whatever the font's own width."""
    x, y = EDGE + column * WIDE, EDGE + row * HIGH + 13
    kind = f' class="{style}"' if style else ""
    length = f'textLength="{len(text) * WIDE:.1f}" lengthAdjust="spacingAndGlyphs"'
    return f'<text x="{x:.1f}" y="{y}" {length}{kind}>{escape(text)}</text>'


def _box(glyph: str, column: int, row: int) -> str:
    x, y = EDGE + column * WIDE, EDGE + row * HIGH
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{WIDE + 0.2:.1f}" height="{HIGH + 0.2}" '
        f'fill="#f2d58a" fill-opacity="{SHADES[glyph]}"/>'
    )


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "terminal.svg")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as directory:
        out.write_text(drawn(record(Path(directory))), encoding="utf-8")


if __name__ == "__main__":
    main()
