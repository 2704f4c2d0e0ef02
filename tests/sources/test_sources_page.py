"""What docs/sources.md says of the sources is so."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

from glyphsight.sources import SOURCES, is_spec

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text("utf-8")


def test_the_page_has_a_row_for_each_source():
    specs = re.findall(r"^\| `(\w+(?::\w+)?)` \|", PAGE, re.MULTILINE)
    assert specs == re.findall(r"^(\w+(?::[A-Z]+)?): ", SOURCES.help(), re.MULTILINE)
    assert [spec.partition(":")[0] for spec in specs] == SOURCES.names()


def install(folder: Path, kind: str) -> None:
    """Install the page's module ``my_KIND`` with its entry points into a folder."""
    blocks = re.findall(r"```python\n(.*?)```\s*(?:[^`]*\s)?.*?```toml\n(.*?)```", PAGE, re.DOTALL)
    [(code, table)] = [block for block in blocks if f"my_{kind}:" in block[1]]
    (folder / f"my_{kind}.py").write_text(code)
    info = folder / f"my_{kind}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: my-{kind}\nVersion: 1.0\n")
    lines = []
    for group, points in tomllib.loads(table)["project"]["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def test_the_medium_that_it_shows_works(tmp_path):
    """Its files are encoded, listed in class folders and refused as pictures are."""
    install(tmp_path, "media")
    for answer, numbers in (("up", "1 2 3 4"), ("down", "4 3 2 1")):
        for name in "ab":
            file = tmp_path / "curves" / answer / f"{name}.curve"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(numbers.replace(" ", "\n"))
    (tmp_path / "flat.curve").write_text("1\n1\n")

    def run(*arguments):
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, "-m", "glyphsight", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )

    text = run("encode", "curves/up/a.curve", "--width", "4", "--height", "4").stdout
    assert [re.sub(r"<.*?>", "", line) for line in text.splitlines()] == [
        "   █",
        "  ██",
        " ▓██",
        " ███",
    ]
    assert run("encode", "flat.curve").stderr == (
        "glyphsight: flat.curve: a flat curve; give two different numbers at least\n"
    )
    built = run(
        "dataset",
        "build",
        "--source",
        "folder:curves",
        "--out",
        "data",
        "--validation",
        "0",
        "--keep-duplicates",
        "--json",
    )
    assert json.loads(built.stdout)["labels"] == {"train": {"down": 2, "up": 2}}


def test_the_source_that_it_shows_works(tmp_path, monkeypatch, png, items):
    install(tmp_path, "sources")
    monkeypatch.syspath_prepend(tmp_path)

    database = sqlite3.connect(tmp_path / "pets.db")
    database.execute("CREATE TABLE pictures(id INTEGER PRIMARY KEY, file BLOB, answer TEXT)")
    rows = [(1, png(10), "cat"), (2, b"no", "cat"), (3, png(30), "dog")]
    database.executemany("INSERT INTO pictures VALUES (?, ?, ?)", rows)
    database.commit()
    database.close()

    spec = f"sqlite:{tmp_path / 'pets.db'}"
    assert is_spec(spec)
    first, failure, last = items(spec)
    assert (first, last) == (("1", "cat", 10), ("3", "dog", 30))
    assert failure[0] == "2"
    assert failure[1].startswith(f"{tmp_path / 'pets.db'}: row 2: ")
    sys.modules.pop("my_sources")
