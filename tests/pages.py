"""Blocks of code on the pages for users."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def blocks(page, language=""):
    """List the blocks of a page, a path from the repository's top, in one language."""
    text = (ROOT / page).read_text("utf-8")
    found = re.findall(r"^ *```(\S*)[^\n]*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [block for kind, block in found if kind == language]


def commands(page):
    """List the command lines of a page, without their remarks."""
    lines = [line for block in blocks(page) for line in block.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.strip()]
