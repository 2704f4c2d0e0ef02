"""From a source of labelled pictures to a directory of published JSON files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from tqdm import tqdm

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.dataset.augment import Augmentation, augment
from glyphsight.dataset.record import Record
from glyphsight.dataset.split import stratified_sample
from glyphsight.dataset.storage import SPLITS, write_records
from glyphsight.errors import DatasetError
from glyphsight.files import replacing
from glyphsight.sources import Pictures, Source, load_split, open_source

_CHUNK = 1024


@dataclass(frozen=True)
class BuildReport:
    """What a build wrote.

    Attributes:
        records: Records written, by split.
        labels: Records of each label, by split.
        files: Path of each split's file.
    """

    records: dict[str, int]
    labels: dict[str, dict[str, int]]
    files: dict[str, str]


def _records(
    pictures: Pictures,
    profile: Profile,
    copies: int,
    how: Augmentation,
    seed: int,
    bar: tqdm[NoReturn],
) -> Iterator[Record]:
    """Every picture once as it is, then ``copies`` rounds of changed ones."""
    for turn in range(copies + 1):
        for start in range(0, len(pictures), _CHUNK):
            stop = start + _CHUNK
            pixels = pictures.pixels[start:stop]
            if turn:
                pixels = augment(pixels, how, np.random.default_rng([seed, turn, start]))
            texts = encode_batch(pixels, profile)
            for text, label in zip(texts, pictures.labels[start:stop], strict=True):
                yield Record(str(profile.width), text, label)
            bar.update(len(texts))


def _load_splits(
    source: Source, spec: str, chosen: str | None, validation: int, seed: int
) -> dict[str, Pictures]:
    """The wanted splits; a validation split is held out of training data that comes without."""
    own = set(source.splits)
    derived = validation > 0 and "train" in own and "validation" not in own
    available = own | ({"validation"} if derived else set())
    if chosen is not None and chosen not in available:
        raise DatasetError(
            f"{spec}: has no split {chosen!r}; it gives {', '.join(sorted(available))}"
        )
    wanted = [split for split in SPLITS if split in available and chosen in (None, split)]
    loaded = {split: load_split(source, split) for split in wanted if split in own}
    if derived and {"train", "validation"} & set(wanted):
        train = loaded.get("train") or load_split(source, "train")
        if validation >= len(train):
            raise DatasetError(
                f"{spec}: cannot hold {validation} of {len(train)} training pictures out for "
                "validation; lower --validation"
            )
        held_out = stratified_sample(train.labels, validation, seed)
        rest = np.setdiff1d(np.arange(len(train), dtype=np.int64), held_out)
        parts = {"validation": train.take(held_out), "train": train.take(rest)}
        loaded |= {split: parts[split] for split in wanted if split in parts}
    return {split: loaded[split] for split in wanted}


def build_dataset(
    spec: str,
    out: Path,
    *,
    profile: Profile = PUBLISHED,
    split: str | None = None,
    limit: int | None = None,
    validation: int = 2000,
    copies: int = 0,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> BuildReport:
    """Write ``train.json``, ``validation.json``, ``test.json`` and ``manifest.json`` into ``out``.

    Args:
        spec: Source, such as ``bundled`` or ``idx:DIR``.
        out: Directory to write; files in it are replaced one by one, atomically.
        profile: How pictures become text.
        split: Build this split alone.
        limit: At most so many pictures a split, stratified by label.
        validation: Pictures held out of the training split when the source has no validation split.
        copies: Changed copies of each training picture, beside the picture itself.
        augmentation: How the copies are changed; None for the default.
        seed: Of the held-out choice, the limit and the changes.
        quiet: Show no progress bar.

    Raises:
        DatasetError: The source cannot be read or has no such split.
    """
    source = open_source(spec)
    how = augmentation or Augmentation()
    report = BuildReport({}, {}, {})
    for name, pictures in _load_splits(source, spec, split, validation, seed).items():
        if limit is not None:
            pictures = pictures.take(stratified_sample(pictures.labels, limit, seed))
        turns = copies if name == "train" else 0
        path = out / f"{name}.json"
        total = len(pictures) * (turns + 1)
        with tqdm(total=total, desc=f"encode {name}", unit="pic", disable=quiet) as bar:
            written = write_records(_records(pictures, profile, turns, how, seed, bar), path)
        report.records[name] = written
        counts = Counter(pictures.labels)
        report.labels[name] = {label: counts[label] * (turns + 1) for label in sorted(counts)}
        report.files[name] = str(path)
    manifest = {
        "source": spec,
        "licence": source.licence,
        "profile": asdict(profile),
        "limit": limit,
        "validation": validation,
        "copies": copies,
        "augmentation": asdict(how) if copies else None,
        "seed": seed,
        "records": report.records,
        "labels": report.labels,
    }
    with replacing(out / "manifest.json") as stream:
        json.dump(manifest, stream, ensure_ascii=False, indent=2)
        stream.write("\n")
    return report
