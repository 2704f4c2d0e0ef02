"""Small datasets in any layout, for tests of what looks at them."""

import json

from glyphsight.codec import PUBLISHED
from glyphsight.codec.formats import get_format
from glyphsight.dataset import Prompt, Record
from glyphsight.dataset.layouts import get_output, join

WORDING = (Prompt(),)
LAYOUTS = ["json", "jsonl", "chat", "parquet", "hub"]


def write_layout(directory, layout, splits, *, wordings=WORDING, profile=None, shard=1000):
    """Write the records of each split as a build does, with a manifest."""
    output = get_output(layout)
    for split, records in splits.items():
        pieces = []
        cuts = range(0, max(1, len(records)), shard)
        for number, start in enumerate(cuts):
            name = f"data/{split}-{number:05}-of-{len(cuts):05}" if output.sharded else f"p{number}"
            piece = directory / f"{name}{output.suffix}"
            piece.parent.mkdir(parents=True, exist_ok=True)
            with piece.open("wb") as stream:
                output.write(records[start : start + shard], stream, wordings, start)
            pieces.append(piece)
        if not output.sharded:
            with (directory / f"{split}{output.suffix}").open("wb") as stream:
                join(output, pieces, stream)
            for piece in pieces:
                piece.unlink()
    manifest = {"wordings": [vars(wording) for wording in wordings]}
    if profile is not None:
        manifest["profile"] = vars(profile)
    (directory / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return directory


def asking(rng, count):
    """Records that ask, of one, two and no pictures in turn; each answer is their own."""
    made = records(pictures(rng, 2 * count), ["a"] * 2 * count)
    asked = []
    for number in range(count):
        own = made[2 * number : 2 * number + 2][: (1, 2, 0)[number % 3]]
        asked.append(
            Record(
                tuple(record.picture for record in own),
                f"answer number {number}",
                f"Question {number}?",
                " ".join(record.size for record in own),
                f"made:{number}",
            )
        )
    return asked


def pictures(rng, count, *, rows=6, columns=8, levels=3):
    """Random level grids, no two alike."""
    return rng.integers(0, levels, (count, rows, columns)).astype("uint8")


def records(grids, answers, *, palette=PUBLISHED.palette, source="made"):
    """Records of level grids in the published format, each with its source."""
    texts = get_format("seed").render_batch(grids, palette)
    return [
        Record(text, answer, size=str(grids.shape[2]), source=f"{source}:{number}")
        for number, (text, answer) in enumerate(zip(texts, answers, strict=True))
    ]
