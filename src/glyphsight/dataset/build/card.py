"""The dataset card: what a dataset holds and how it was made, for people and the hub."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from glyphsight.console import printable
from glyphsight.dataset.filesystem import Directory
from glyphsight.dataset.inspect.statistics import Spread
from glyphsight.dataset.prompt import Prompt, wordings_from_json
from glyphsight.dataset.record import Record
from glyphsight.dataset.storage import read_records
from glyphsight.extras import need

CARD = "README.md"
_SHOWN_LABELS = 50
_BAR = 24  # glyphs of the longest bar
_SHARDS, _RECORDS = 4, 2048  # whose tokens a card counts
_POWERS = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
_SIZES = ("n<1K", *(f"{low}<n<{high}" for low, high in pairwise(_POWERS)), "n>1B")
_CREATIVE_COMMONS = re.compile(r"\bcc[ -](by(?:-(?:nc|nd|sa))*)[ -](\d\.\d)\b")
_LICENCES = (
    (re.compile(r"\bcc0\b"), "cc0-1.0"),
    (re.compile(r"\bapache[ -](licen[cs]e,? )?(version )?2\.0\b"), "apache-2.0"),
    (re.compile(r"\A(the )?mit( licen[cs]e)?\Z"), "mit"),
)
_ONCE = ("source", "licence", "wordings", "command")  # manifest keys that the card tells elsewhere


@dataclass(frozen=True)
class TokenCounter:
    """Counts tokens."""

    tokenizer: str  # name of the model whose tokenizer it is
    count: Callable[[Sequence[str]], list[int]]  # tokens of each of some texts


def licence_id(licence: str) -> str:
    """Return the hub's identifier of a licence: ``other`` if it has none, or ``unknown``."""
    text = " ".join(licence.lower().split())
    if not text:
        return "unknown"
    if found := _CREATIVE_COMMONS.search(text):
        return f"cc-{found[1]}-{found[2]}"
    return next((name for pattern, name in _LICENCES if pattern.search(text)), "other")


def size_category(records: int) -> str:
    """Return the hub's name for a number of records."""
    return _SIZES[min(max(0, len(str(records)) - 3), len(_SIZES) - 1)]


def render_card(
    name: str,
    manifest: Mapping[str, Any],
    numbered: Sequence[tuple[int, Record]],
    counter: TokenCounter | None = None,
) -> str:
    """Render the card of a directory of Parquet shards, YAML and Markdown."""
    with need("data", "jinja2"):
        from jinja2 import Environment, PackageLoader, StrictUndefined
    environment = Environment(
        loader=PackageLoader("glyphsight", "assets"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    environment.filters |= {"fenced": _fenced, "cell": _cell}
    wordings = wordings_from_json(manifest.get("wordings", [{}]), "manifest: wordings")
    total = sum(manifest["records"].values())
    split = max(manifest["records"], key=manifest["records"].__getitem__)
    histogram, more = _histogram(manifest["labels"], list(manifest["records"]))
    return environment.get_template("card.md.j2").render(
        name=name,
        source=manifest.get("source", ""),
        licence=manifest.get("licence", ""),
        licence_id=licence_id(manifest.get("licence", "")),
        size_category=size_category(total),
        records=manifest["records"],
        command=manifest["command"],
        settings=_settings(manifest),
        wordings=[json.dumps(vars(wording), ensure_ascii=False) for wording in wordings],
        histogram=histogram,
        more_labels=more,
        sample=numbered[0][1],
        split=split,
        tokens=counter and _tokens(numbered, wordings, counter),
    )


def write_card(
    directory: Directory, manifest: Mapping[str, Any], counter: TokenCounter | None
) -> None:
    """Write the dataset card, from the manifest and the first records of the largest split."""
    split = max(manifest["records"], key=manifest["records"].__getitem__)
    entries = manifest["files"][split][:_SHARDS]
    numbered: list[tuple[int, Record]] = []
    first = 0
    for entry in entries:
        with directory.reading(entry["name"]) as file:
            records = islice(read_records(file), -(-_RECORDS // len(entries)))
            numbered += enumerate(records, start=first)
        first += entry["records"]
    name = PurePosixPath(directory.root).name or Path(directory.root).resolve().name
    directory.write(CARD, render_card(name, manifest, numbered, counter).encode())


def _tokens(
    numbered: Sequence[tuple[int, Record]], wordings: Sequence[Prompt], counter: TokenCounter
) -> dict[str, Any]:
    """Count the tokens of records; number i of a split is in wording ``i % len(wordings)``."""
    pairs = [wordings[number % len(wordings)].pair(record) for number, record in numbered]
    return {
        "tokenizer": counter.tokenizer,
        "records": len(pairs),
        "prompt": Spread.of(counter.count([asked for asked, _ in pairs])),
        "completion": Spread.of(counter.count([said for _, said in pairs])),
    }


def _settings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest's single values, the profile's settings among them."""
    flat = {key: value for key, value in manifest.items() if key not in _ONCE}
    flat |= flat.pop("profile", {})
    return {
        key: value
        for key, value in flat.items()
        if isinstance(value, str | int | float) and value != ""
    }


def _histogram(
    labels: Mapping[str, Mapping[str, int]], splits: Sequence[str]
) -> tuple[list[dict[str, Any]], int]:
    """Return a row per label, its counts and a bar, and the number of labels left out."""
    totals = sum(map(Counter, labels.values()), Counter[str]())
    shown = sorted(totals.most_common(_SHOWN_LABELS))
    longest = max(totals.values(), default=0)
    rows = [
        {
            "label": label,
            "counts": [labels.get(split, {}).get(label, 0) for split in splits],
            "bar": "█" * max(1, round(_BAR * total / longest)),
        }
        for label, total in shown
    ]
    return rows, len(totals) - len(shown)


def _ticks(text: str, least: int) -> str:
    """Return more backticks than any run of them in the text has."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def _fenced(text: str, language: str) -> str:
    fence = _ticks(text, 3)
    return f"{fence}{language}\n{text.removesuffix(chr(10))}\n{fence}"


def _cell(value: Any) -> str:
    """Return a value as code inside a table."""
    text = printable(str(value)).replace("|", r"\|")
    tick, padding = _ticks(text, 1), " " if "`" in (text[:1], text[-1:]) else ""
    return f"{tick}{padding}{text}{padding}{tick}" if text else ""
