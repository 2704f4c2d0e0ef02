"""Plans of sweeps: encodings, sizes, amounts of data and seeds, read from YAML."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec.formats import get_format
from glyphsight.errors import FormatError, GlyphsightError, ModelError
from glyphsight.media.picture import MAX_PIXELS
from glyphsight.models import nano, smollm2
from glyphsight.settings import check, setting, settings_of
from glyphsight.train.recipe import mapping, read_mapping, refuse_unknown


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: an encoding at a size, by tokens or by width; see :class:`SweepPlan`."""

    name: str
    profile: Profile
    tokens: int | None
    width: int | None
    records: int
    seed: int

    @property
    def key(self) -> str:
        """Name of the cell's directory; no other cell of the plan has it."""
        return f"{self.encoding}-{self.records}-seed{self.seed}"

    @property
    def encoding(self) -> str:
        """Encoding and size, as in file names."""
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in self.name)
        size = f"{self.tokens}tokens" if self.width is None else f"{self.width}columns"
        return f"{safe}-{size}"


@dataclass(frozen=True)
class SweepPlan:
    """A sweep: every encoding at every size, with every amount of data and every seed.

    Attributes:
        encodings: Name and profile of each way to write pictures; the width is chosen later.
        tokens: Budgets: the widest grid is taken whose texts cost at most this many tokens on
            average, never finer than the picture's own pixels.
        widths: Columns of glyphs, in place of budgets.
        records: Numbers of training records, each seen once. The largest number is the same records
            for every seed; smaller ones are drawn from it with each seed.
        seeds: Random seeds for initial weights and record order.
        model: ``nano``, made again for each seed, or any model that ``train`` takes.
        tokenizer: Name of the model whose tokens are counted. A ``nano`` reads them too, so that
            formats are compared as a language model of the field gets them.
        validation: Number of records held out of the training split, the same for every run.
        train: Training settings by name.
        max_pixels: Largest number of pixels per picture file.
    """

    encodings: Sequence[tuple[str, Profile]]
    tokens: Sequence[int]
    widths: Sequence[int]
    records: Sequence[int]
    seeds: Sequence[int]
    model: str = nano.NAME
    tokenizer: str = smollm2.NAME
    validation: int = setting(2000, low=1)
    train: dict[str, Any] = field(default_factory=dict)
    max_pixels: int = setting(MAX_PIXELS, low=1)

    def __post_init__(self) -> None:
        check(self, ModelError)

    def cells(self) -> list[Cell]:
        """List every run, seeds last, so that an unfinished sweep has each encoding once."""
        sizes: list[tuple[int | None, int | None]] = [(t, None) for t in self.tokens]
        sizes += [(None, w) for w in self.widths]
        return [
            Cell(name, profile, tokens, width, records, seed)
            for seed, records, (tokens, width), (name, profile) in itertools.product(
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
    refuse_unknown(path, "a plan", value, {*settings_of(SweepPlan), "palettes"})
    tokens, widths = _numbers(path, value, "tokens"), _numbers(path, value, "widths")
    if bool(tokens) == bool(widths):
        raise ModelError(f"{path}: give tokens or widths, such as 'tokens: [32, 64, 128]'")
    train = mapping(path, "train", value.get("train"))
    if decided := {"seed", "max_steps", "epochs"} & set(train):
        raise ModelError(
            f"{path}: train: {min(decided)} is decided by records and seeds; remove it"
        )
    plain = ("model", "tokenizer", "validation", "max_pixels")
    settings = {key: value[key] for key in plain if key in value}
    records = _numbers(path, value, "records") or [8192]
    seeds = _numbers(path, value, "seeds", least=0) or [0]
    made = _encodings(path, value)
    try:
        plan = SweepPlan(made, tokens, widths, records, seeds, train=train, **settings)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    keys = [cell.key for cell in plan.cells()]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ModelError(f"{path}: {twice[0]} comes twice; give each encoding a name of its own")
    return plan


def _numbers(path: Path, value: dict[str, Any], key: str, least: int = 1) -> list[int]:
    found = value.get(key) or []
    found = found if isinstance(found, list) else [found]
    if wrong := [n for n in found if type(n) is not int or n < least]:
        raise ModelError(f"{path}: {key} holds {wrong[0]!r}; give whole numbers from {least}")
    return list(found)


def _encodings(path: Path, value: dict[str, Any]) -> list[tuple[str, Profile]]:
    palettes = value.get("palettes") or [None]
    wanted = value.get("encodings")
    if not isinstance(wanted, list) or not wanted or not isinstance(palettes, list):
        raise ModelError(f"{path}: give encodings (and palettes) as lists, such as [seed, plain]")
    found = []
    for entry in wanted:
        settings = {"format": entry} if isinstance(entry, str) else entry
        if not isinstance(settings, dict) or not isinstance(settings.get("format"), str):
            raise ModelError(
                f"{path}: encoding {entry!r} names no format; give one, such as 'plain'"
            )
        settings = dict(settings)
        name = str(settings.pop("name", settings["format"]))
        if size := {"width", "height"} & set(settings):
            raise ModelError(
                f"{path}: {name}: {min(size)} is chosen by tokens or widths; remove it"
            )
        own = [settings["palette"]] if "palette" in settings else palettes
        for palette in own:
            label = name if palette is None or len(own) == 1 else f"{name} {palette}"
            if palette is not None:
                settings["palette"] = palette
            found.append((label, _profile(f"{path}: {label}", settings)))
    return found


def _profile(where: str, settings: dict[str, Any]) -> Profile:
    try:
        profile = Profile(**settings)
        most = get_format(profile.format).max_levels
    except (TypeError, GlyphsightError) as error:
        raise FormatError(f"{where}: {error}") from None
    if profile.levels <= most:
        return profile
    if "palette" not in settings:  # the published one has more levels than the format: its ends
        return replace(profile, palette=PUBLISHED.palette[0] + PUBLISHED.palette[-1])
    raise FormatError(
        f"{where}: carries {most} levels, palette {settings['palette']!r} has {profile.levels}; "
        "give this encoding a palette of its own"
    )
