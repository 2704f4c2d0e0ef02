"""Blocks of code on the pages for users."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FENCED = r"^(?P<indent> *)```(?P<kind>\S*)[^\n]*\n(?P<fenced>.*?)^ *```$"
_INDENTED = r"(?<=\n\n)(?P<indented>(?:    [^\n]*\n|\n(?=    ))+)"
_BLOCK = re.compile(f"{_FENCED}|{_INDENTED}", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code: its page, a path from the repository's top, its line, language, text."""

    page: str
    line: int
    language: str
    text: str


def every_block(page):
    """List the blocks of a page: those in fences, and indented ones, which have no language."""
    text = (ROOT / page).read_text("utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, one.start()) + 1,
            one["kind"] or "",
            re.sub("^    ", "", one["indented"], flags=re.M) if one["indented"] else one["fenced"],
        )
        for one in _BLOCK.finditer(text)
    ]


def prose(page):
    """Return the text of a page outside its blocks."""
    return _BLOCK.sub("", (ROOT / page).read_text("utf-8"))


def blocks(page, language=""):
    """List the fenced blocks of a page in one language."""
    text = (ROOT / page).read_text("utf-8")
    found = re.findall(r"^ *```(\S*)[^\n]*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [block for kind, block in found if kind == language]


def commands(page):
    """List the command lines of a page, without their remarks."""
    lines = [line for block in blocks(page) for line in block.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.strip()]
