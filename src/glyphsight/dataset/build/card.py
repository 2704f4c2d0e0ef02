"""The dataset card: what a dataset holds and how it was made, for people and the hub."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from glyphsight.dataset.filesystem import Directory, put_bytes
from glyphsight.dataset.inspect.statistics import Spread
from glyphsight.dataset.prompt import Prompt, wordings_from_json
from glyphsight.dataset.record import Record
from glyphsight.dataset.storage import read_records
from glyphsight.errors import DatasetError

CARD = "README.md"
_SHOWN_LABELS = 50
_BAR = 24  # glyphs of the longest bar
_READ_FILES = 16
_CARD_SHARDS = 4  # whose records a card counts
_SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"))
_LARGE = ((1e7, "1M<n<10M"), (1e8, "10M<n<100M"), (1e9, "100M<n<1B"))
_CREATIVE_COMMONS = re.compile(r"\bcc[ -](by(?:-(?:nc|nd|sa))*)[ -](\d\.\d)\b")
_LICENCES = (
    (re.compile(r"\bcc0\b"), "cc0-1.0"),
    (re.compile(r"\bapache[ -](licen[cs]e,? )?(version )?2\.0\b"), "apache-2.0"),
    (re.compile(r"(the )?mit( licen[cs]e)?"), "mit"),
)
_ONCE = ("source", "licence", "wordings", "command")  # manifest keys that the card tells elsewhere


@dataclass(frozen=True)
class TokenCounter:
    """Counts tokens.

    Attributes:
        tokenizer: Name of the model whose tokenizer it is.
        count: Tokens of each of some texts.
    """

    tokenizer: str
    count: Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class TokenStatistics:
    """Tokens of records.

    Attributes:
        tokenizer: Name of the model whose tokenizer counted.
        records: Number of records counted.
        prompt: Tokens of the prompts.
        completion: Tokens of the completions.
    """

    tokenizer: str
    records: int
    prompt: Spread
    completion: Spread


class Sample(NamedTuple):
    """A record and its number in its split.

    Attributes:
        record: The record.
        shard: The number of its file among those of the split, from 0.
        number: Its number there, from 0.
    """

    record: Record
    shard: int = 0
    number: int = 0


def token_statistics(
    numbered: Sequence[tuple[int, Record]], wordings: Sequence[Prompt], counter: TokenCounter
) -> TokenStatistics:
    """Count the tokens of records; number i of a split is in wording ``i % len(wordings)``."""
    pairs = [wordings[number % len(wordings)].pair(record) for number, record in numbered]
    return TokenStatistics(
        counter.tokenizer,
        len(pairs),
        Spread.of(counter.count([asked for asked, _ in pairs])),
        Spread.of(counter.count([said for _, said in pairs])),
    )


def card_records(files: Sequence[Path], count: int = 2048) -> list[Sample]:
    """Read the first records of up to 16 files, evenly chosen: about ``count``.

    Args:
        files: The first files of a split, or all, in order.
        count: Number of records.

    Raises:
        DatasetError: A file cannot be read, or none holds a record.
    """
    step = max(1, -(-len(files) // _READ_FILES))
    chosen = range(0, len(files), step)
    each = -(-count // len(chosen))
    samples = [
        Sample(record, shard, number)
        for shard in chosen
        for number, record in enumerate(islice(read_records(files[shard]), each))
    ]
    if not samples:
        raise DatasetError(f"{files[0]}: holds no record for a dataset card to show")
    return samples


def licence_id(licence: str) -> str:
    """Return the hub's identifier of a licence: ``other`` if it has none, or ``unknown``."""
    text = " ".join(licence.lower().split())
    if not text:
        return "unknown"
    if found := _CREATIVE_COMMONS.search(text):
        return f"cc-{found[1]}-{found[2]}"
    for pattern, name in _LICENCES:
        if pattern.fullmatch(text) or (name != "mit" and pattern.search(text)):
            return name
    return "other"


def size_category(records: int) -> str:
    """Return the hub's name for a number of records."""
    return next((name for limit, name in (*_SIZES, *_LARGE) if records < limit), "n>1B")


def render_card(
    name: str,
    manifest: Mapping[str, Any],
    samples: Sequence[Sample],
    *,
    command: str,
    counter: TokenCounter | None = None,
) -> str:
    """Render the card of a directory of Parquet shards, YAML and Markdown.

    Args:
        name: Name of the dataset.
        manifest: Content of ``manifest.json``; ``records`` and ``labels`` by split must be there,
            and with a counter ``files``, which tells the records of each.
        samples: Some records of the largest split, one at least; the first is shown, all are
            counted.
        command: The command that makes the same dataset again.
        counter: Counts tokens; None leaves them out.

    Raises:
        DatasetError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise DatasetError(
            "a dataset card needs the package jinja2; pip install 'glyphsight[data]'"
        ) from error
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
        command=command,
        settings=_settings(manifest),
        wordings=[json.dumps(vars(wording), ensure_ascii=False) for wording in wordings],
        histogram=histogram,
        more_labels=more,
        sample=samples[0].record,
        split=split,
        tokens=token_statistics(_numbered(samples, manifest, split), wordings, counter)
        if counter
        else None,
    )


def write_card(
    directory: Directory, manifest: Mapping[str, Any], counter: TokenCounter | None
) -> None:
    """Write the dataset card, from the manifest and the first records of the largest split."""
    split = max(manifest["records"], key=manifest["records"].__getitem__)
    shards = [entry["name"] for entry in manifest["files"][split]]
    with ExitStack() as stack:
        files = [stack.enter_context(directory.reading(name)) for name in shards[:_CARD_SHARDS]]
        card = render_card(
            PurePosixPath(directory.root).name or Path(directory.root).resolve().name,
            manifest,
            card_records(files),
            command=manifest["command"],
            counter=counter,
        )
    put_bytes(directory, CARD, card.encode())


def _numbered(
    samples: Sequence[Sample], manifest: Mapping[str, Any], split: str
) -> list[tuple[int, Record]]:
    """Return records with their numbers in the split, from 0."""
    entries = manifest["files"][split]
    starts = list(accumulate((entry["records"] for entry in entries), initial=0))
    return [(starts[sample.shard] + sample.number, sample.record) for sample in samples]


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
    totals: Counter[str] = Counter()
    for counts in labels.values():
        totals.update(counts)
    shown = sorted(label for label, _ in totals.most_common(_SHOWN_LABELS))
    longest = max(totals.values(), default=0)
    rows = [
        {
            "label": label,
            "counts": [labels.get(split, {}).get(label, 0) for split in splits],
            "bar": "█" * max(1, round(_BAR * totals[label] / longest)),
        }
        for label in shown
    ]
    return rows, len(totals) - len(shown)


def _fenced(text: str, language: str) -> str:
    """Return a code block whose fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.removesuffix(chr(10))}\n{fence}"


def _cell(value: Any) -> str:
    """Return a value as code inside a table."""
    text = " ".join(str(value).splitlines()).replace("|", r"\|")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    tick = "`" * (longest + 1)
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{tick}{padding}{text}{padding}{tick}" if text else ""
