"""Plans of sweeps: one YAML file of encodings, sizes, amounts of data and seeds."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec.formats import get_format
from glyphsight.errors import FormatError, GlyphsightError, ModelError
from glyphsight.models import nano, smollm2
from glyphsight.train.recipe import read_mapping, refuse_unknown

_KEYS = {
    *("model", "tokenizer", "encodings", "palettes", "tokens", "widths", "records", "seeds"),
    *("validation", "train"),
}


@dataclass(frozen=True)
class Encoding:
    """A way to write pictures, of any size.

    Attributes:
        name: Name in tables and plots.
        profile: Settings; the width is chosen later.
    """

    name: str
    profile: Profile


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        encoding: Way to write pictures.
        tokens: Largest mean number of tokens per text; None where the width is given.
        width: Columns of glyphs; None where tokens decide.
        records: Number of training records, each seen once.
        seed: Random seed for initial weights and record order.
    """

    encoding: Encoding
    tokens: int | None
    width: int | None
    records: int
    seed: int

    @property
    def size(self) -> str:
        """Budget or width, as in file names."""
        return f"{self.tokens}tokens" if self.width is None else f"{self.width}columns"

    @property
    def key(self) -> str:
        """Name of the cell's directory; no other cell of the plan has it."""
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in self.name)
        return f"{safe}-{self.size}-{self.records}-seed{self.seed}"

    @property
    def name(self) -> str:
        """Name of the encoding."""
        return self.encoding.name


@dataclass(frozen=True)
class SweepPlan:
    """A sweep: every encoding at every size, with every amount of data and every seed.

    Attributes:
        model: ``nano``, made again for each seed, or any model that ``train`` takes.
        tokenizer: Name of the model whose tokens are counted. A ``nano`` reads them too, so that
            formats are compared as a language model of the field gets them.
        encodings: Ways to write pictures.
        tokens: Budgets: the widest grid is taken whose texts cost at most this many tokens on
            average, never finer than the picture's own pixels.
        widths: Columns of glyphs, in place of budgets.
        records: Numbers of training records, each seen once. The largest number is the same records
            for every seed; smaller ones are drawn from it with each seed.
        seeds: Random seeds for initial weights and record order.
        validation: Number of records held out of the training split, the same for every run.
        train: Training settings by name.
    """

    model: str
    tokenizer: str
    encodings: list[Encoding]
    tokens: list[int]
    widths: list[int]
    records: list[int]
    seeds: list[int]
    validation: int = 2000
    train: dict[str, Any] = field(default_factory=dict)

    def cells(self) -> list[Cell]:
        """List every run, seeds last, so that an unfinished sweep has each encoding once."""
        sizes: list[tuple[int | None, int | None]] = [(t, None) for t in self.tokens]
        sizes += [(None, w) for w in self.widths]
        return [
            Cell(encoding, tokens, width, records, seed)
            for seed, records, (tokens, width), encoding in itertools.product(
                self.seeds, self.records, sizes, self.encodings
            )
        ]


def read_plan(path: Path) -> SweepPlan:
    """Read a plan.

    ``encodings`` holds names of formats, or mappings of a ``format``, a ``name`` for the tables and
    any setting of :class:`glyphsight.codec.Profile` except the size. With ``palettes``, an encoding
    without its own palette is run in each of them.

    Raises:
        ModelError: The file cannot be read, or a key or a value is not a plan's.
        FormatError: A format is unknown, or cannot carry a palette.
    """
    value = read_mapping(path)
    refuse_unknown(path, "a plan", set(value), _KEYS)
    tokens, widths = _numbers(path, value, "tokens"), _numbers(path, value, "widths")
    if bool(tokens) == bool(widths):
        raise ModelError(f"{path}: give tokens or widths, such as 'tokens: [32, 64, 128]'")
    train = value.get("train") or {}
    if not isinstance(train, dict):
        raise ModelError(f"{path}: train holds settings by name, not {train!r}")
    if taken := {"seed", "max_steps", "epochs"} & set(train):
        raise ModelError(f"{path}: train: {min(taken)} is decided by records and seeds")
    validation = value.get("validation", 2000)
    if type(validation) is not int or validation < 1:
        raise ModelError(f"{path}: validation is a whole number above 0, not {validation!r}")
    names = {
        "model": value.get("model", nano.NAME),
        "tokenizer": value.get("tokenizer", smollm2.NAME),
    }
    for key, name in names.items():
        if not isinstance(name, str):
            raise ModelError(f"{path}: {key} is a name, not {name!r}")
    plan = SweepPlan(
        model=names["model"],
        tokenizer=names["tokenizer"],
        encodings=_encodings(path, value),
        tokens=tokens,
        widths=widths,
        records=_numbers(path, value, "records") or [8192],
        seeds=_numbers(path, value, "seeds", least=0) or [0],
        validation=validation,
        train=train,
    )
    keys = [cell.key for cell in plan.cells()]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ModelError(f"{path}: {twice[0]} comes twice; give each encoding a name of its own")
    return plan


def _numbers(path: Path, value: dict[str, Any], key: str, least: int = 1) -> list[int]:
    found = value.get(key) or []
    found = found if isinstance(found, list) else [found]
    if wrong := [n for n in found if type(n) is not int or n < least]:
        raise ModelError(f"{path}: {key} holds whole numbers from {least}, not {wrong[0]!r}")
    return list(found)


def _encodings(path: Path, value: dict[str, Any]) -> list[Encoding]:
    palettes = value.get("palettes") or [None]
    wanted = value.get("encodings")
    if not isinstance(wanted, list) or not wanted or not isinstance(palettes, list):
        raise ModelError(f"{path}: encodings (and palettes) are lists, such as [seed, plain]")
    found = []
    for entry in wanted:
        settings = {"format": entry} if isinstance(entry, str) else entry
        if not isinstance(settings, dict) or not isinstance(settings.get("format"), str):
            raise ModelError(
                f"{path}: an encoding names its format, such as 'plain', not {entry!r}"
            )
        settings = dict(settings)
        name = str(settings.pop("name", settings["format"]))
        if size := {"width", "height"} & set(settings):
            raise ModelError(f"{path}: {name}: {min(size)} is chosen by tokens or widths")
        own = [settings.pop("palette")] if "palette" in settings else palettes
        for palette in own:
            label = name if palette is None or len(own) == 1 else f"{name} {palette}"
            found.append(Encoding(label, _profile(path, label, settings, palette)))
    return found


def _profile(path: Path, name: str, settings: dict[str, Any], palette: str | None) -> Profile:
    try:
        profile = Profile(**settings)
        if palette is not None:
            profile = replace(profile, palette=palette)
        form = get_format(profile.format)
    except (TypeError, GlyphsightError) as error:
        raise FormatError(f"{path}: {name}: {error}") from None
    if profile.levels <= form.max_levels:
        return profile
    if palette is None:  # the published palette has more levels than the format: keep its ends
        return replace(profile, palette=PUBLISHED.palette[0] + PUBLISHED.palette[-1])
    raise FormatError(
        f"{path}: {name}: carries {form.max_levels} levels, palette {palette!r} has "
        f"{profile.levels}; give this encoding a palette of its own"
    )
