"""Build the documentation site: the pages of docs/, a reference made from the code, a page to draw.

    python scripts/site.py            # then: python -m http.server --directory build/site

Pages are staged in build/pages. A link that leaves docs/ takes its page along, into repository/.
A page that mkdocs.yml does not name stands at the end of its section.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BUILD = ROOT / "build"
LEFT_OUT = ("package.md", "encodings/")  # for a package index; parts of another page
LINK = re.compile(r'(\]\(|src="|href="|srcset=")([^)#"\s]+)')
PLACES = {ROOT / "README.md": "index.md", ROOT / "README.ko.md": "index.ko.md"}


def place(path: Path) -> Path:
    """Return where a file of the repository stands among the pages."""
    if path in PLACES:
        return BUILD / "pages" / PLACES[path]
    if path.is_relative_to(DOCS):
        return BUILD / "pages" / path.relative_to(DOCS)
    return BUILD / "pages" / "repository" / path.relative_to(ROOT)


def stage(path: Path, done: set[Path]) -> None:
    """Copy a file, and what its links name outside docs/, links rewritten."""
    if path in done:
        return
    done.add(path)
    target = place(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".md":
        shutil.copy(path, target)
        return

    def rewrite(found: re.Match[str]) -> str:
        before, link = found.groups()
        linked = (path.parent / link).resolve()
        if re.match(r"\w+:|/", link) or not linked.is_file():
            return found[0]
        stage(linked, done)
        return f"{before}{os.path.relpath(place(linked), target.parent)}"

    pieces = re.split(r"(^ *```.*?^ *```|`[^`\n]+`)", path.read_text("utf-8"), flags=re.M | re.S)
    text = "".join(one if n % 2 else LINK.sub(rewrite, one) for n, one in enumerate(pieces))
    target.write_text(text, "utf-8")


def command_line() -> str:
    """Write the page of the command line: what ``--help`` prints for each command."""
    from glyphsight.cli.app import app

    page = "# Command line\n\nWhat `--help` prints, of every command.\n"

    def add(command: Any, name: str, parent: Any = None) -> None:
        nonlocal page
        context = command.context_class(command, parent, name, terminal_width=84)
        page += (
            f"\n## {context.command_path}\n\n```text\n{command.get_help(context).strip()}\n```\n"
        )
        if hasattr(command, "list_commands"):
            for verb in command.list_commands(context):
                add(command.get_command(context, verb), verb, context)

    add(typer.main.get_command(app), "glyphsight")
    return page


def python() -> str:
    """Write the page of the public face: the docstring of each name in ``glyphsight.__all__``."""
    import glyphsight

    page = "# Python\n\nThe names of `import glyphsight`, from their docstrings.\n"
    for name in sorted(glyphsight.__all__, key=str.lower):
        thing = getattr(glyphsight, name)
        if callable(thing):  # a class or a function, no constant
            page += f"\n::: {thing.__module__}.{thing.__name__}\n"
    return page


def settings() -> dict[str, Any]:
    """Return the settings of the site: those of mkdocs.yml, with every page in the navigation."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    handler = found["plugins"][1]["mkdocstrings"]["handlers"]["python"]
    handler["paths"] = [str(ROOT / "src")]
    sections = {name: pages for one in found["nav"] for name, pages in one.items()}
    named = str(sections)
    for path in sorted(DOCS.rglob("*.md")):
        page = path.relative_to(DOCS).as_posix()
        if not page.startswith(LEFT_OUT) and f"'{page}'" not in named:
            title = path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
            sections["Reference" if "/" in page else "How to"].append({title: page})
    return found


def write_pages() -> None:
    """Stage the pages of docs/, what they link to, the reference, and the settings."""
    shutil.rmtree(BUILD / "pages", ignore_errors=True)
    done: set[Path] = set()
    for path in [*sorted(DOCS.rglob("*.md")), *PLACES, *(DOCS / "images").iterdir()]:
        if not path.is_relative_to(DOCS) or path.relative_to(DOCS).as_posix() != "package.md":
            stage(path, done)
    reference = BUILD / "pages" / "reference"
    reference.mkdir()
    (reference / "command-line.md").write_text(command_line(), "utf-8")
    (reference / "python.md").write_text(python(), "utf-8")
    (BUILD / "mkdocs.yml").write_text(yaml.safe_dump(settings(), allow_unicode=True), "utf-8")


def build() -> Path:
    """Build the staged pages strictly; return the folder of the site."""
    line = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    subprocess.run(line, cwd=BUILD, check=True)
    return BUILD / "site"


def main() -> None:
    """Stage the pages, build the site."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--no-draw", action="store_true", help="leave out the page to draw")
    given = parser.parse_args()
    write_pages()
    site = build()
    if not given.no_draw:
        sys.path.insert(0, str(Path(__file__).parent))
        import draw_page

        draw_page.build(site / "draw")  # beside draw.html
    print(f"{site}: {len(list(site.rglob('*.html')))} pages")


if __name__ == "__main__":
    main()
