"""Make the text of ``glyphsight evaluate --forgetting`` from pages of SQLite's documentation.

    apt-get download sqlite3-doc && dpkg-deb -x sqlite3-doc_*.deb pages
    python scripts/bundle_prose.py pages/usr/share/doc/sqlite3
    python scripts/bundle_prose.py pages/usr/share/doc/sqlite3 --pages atomiccommit testing \
        --out other.txt

Paragraphs of running text alone: headings, tables, code and anything shorter than 200 characters
are left out. The second command gives text of other pages, for ``train --set text=other.txt``.
"""

from __future__ import annotations

import argparse
import re
from html.parser import HTMLParser
from pathlib import Path

from glyphsight.files import write

PAGES = ["whentouse", "affcase1", "howtocorrupt"]
TARGET = Path(__file__).parents[1] / "src" / "glyphsight" / "assets" / "plain-english.txt"
_SHORTEST = 200
_LEFT_OUT = {"script", "style", "pre", "table", "svg"}
_BORDERS = re.compile(r"h\d|ul|ol|div|blockquote|center|p|li")


class Paragraphs(HTMLParser):
    """The running text of a page, one string a paragraph."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside: list[str] | None = None
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a paragraph, or something that is none."""
        self._hidden += tag in _LEFT_OUT
        if _BORDERS.fullmatch(tag):
            self._close()
        if tag in {"p", "li"}:
            self._inside = []

    def handle_endtag(self, tag: str) -> None:
        """End it."""
        self._hidden = max(0, self._hidden - (tag in _LEFT_OUT))
        if _BORDERS.fullmatch(tag):
            self._close()

    def handle_data(self, data: str) -> None:
        """Take text inside a paragraph."""
        if self._inside is not None and not self._hidden:
            self._inside.append(data)

    def _close(self) -> None:
        text = re.sub(r"\s+", " ", "".join(self._inside or [])).strip()
        if len(text) >= _SHORTEST:
            self.found.append(text)
        self._inside = None


def main() -> None:
    """Write the paragraphs of the pages named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--pages", nargs="+", default=PAGES)
    parser.add_argument("--out", type=Path, default=TARGET)
    given = parser.parse_args()
    paragraphs = []
    for page in given.pages:
        reader = Paragraphs()
        reader.feed((given.directory / f"{page}.html").read_text("utf-8"))
        reader.close()
        paragraphs += reader.found
    write(given.out, "\n\n".join(paragraphs) + "\n")


if __name__ == "__main__":
    main()
