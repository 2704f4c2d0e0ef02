"""What docs/sources.md says of the sources is so."""

import re
import sqlite3
import sys
import tomllib
from pathlib import Path

from glyphsight.sources import SOURCES, is_spec

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text("utf-8")


def test_the_page_has_a_row_for_each_source():
    specs = re.findall(r"^\| `(\w+(?::\w+)?)` \|", PAGE, re.MULTILINE)
    assert specs == re.findall(r"^(\w+(?::[A-Z]+)?): ", SOURCES.help(), re.MULTILINE)
    assert [spec.partition(":")[0] for spec in specs] == SOURCES.names()


def test_the_source_that_it_shows_works(tmp_path, monkeypatch, png, items):
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    [table] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "my_sources.py").write_text(code)
    info = tmp_path / "my_sources-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-sources\nVersion: 1.0\n")
    lines = []
    for group, points in tomllib.loads(table)["project"]["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
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
