"""All that decides the bytes of a dataset, the command that builds it again, and its places."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from typing import Any

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.dataset.filesystem import Directory
from glyphsight.dataset.layouts import LAYOUTS, Output, get_output
from glyphsight.dataset.prompt import Prompt
from glyphsight.errors import DatasetError
from glyphsight.media.change import Augmentation
from glyphsight.media.picture import MAX_PIXELS
from glyphsight.settings import check, setting, settings_of
from glyphsight.sources import Source

_CHANGES = Augmentation()


@dataclass(frozen=True)
class BuildSettings:
    """Settings of a build, which with the source decide every byte of the dataset.

    Attributes:
        profile: Settings of the conversion from picture to text.
        split: Split to build; left out, all.
        limit: Largest number of pictures per split, stratified by answer.
        validation: Number of training pictures held out where the source has no validation split;
            left out, a tenth, 2,000 at most. Another profile may hold out others, since pictures
            whose texts look alike stay together.
        test: Number of training pictures held out, as those for validation are, for a test split
            that the source lacks.
        hold_out: Directory of a dataset of the same source whose validation pictures are held out
            here too, in place of validation, so that profiles are compared on the same pictures.
            Those that look like a test picture here are left out.
        copies: Number of changed copies per training picture.
        augmentation: Ranges of the changes.
        balance: Number of training pictures per answer: down leaves pictures out and up repeats
            some, until all answers are equally common.
        keep_duplicates: Pictures stay that look like held-out ones in their splits.
        seed: Random seed for the held-out choice, the limit, the balance and the changes.
        output: Layout of the files.
        wordings: Prompts around the picture, taken in turn, where the layout has any.
        max_pixels: Largest number of pixels per picture file.
        shard_size: Number of records that a process writes at a time: a shard.

    Raises:
        DatasetError: A value cannot be.
    """

    profile: Profile = PUBLISHED
    split: str | None = None
    limit: int | None = setting(None, low=1)
    validation: int | None = setting(None, low=0)
    test: int = setting(0, low=0)
    hold_out: str | None = None
    copies: int = setting(0, low=0)
    augmentation: Augmentation = _CHANGES
    balance: str = setting("none", choices=("none", "down", "up"))
    keep_duplicates: bool = False
    seed: int = setting(0, low=0)
    output: str = setting("json", choices=LAYOUTS)
    wordings: tuple[Prompt, ...] = (Prompt(),)
    max_pixels: int = setting(MAX_PIXELS, low=1)
    shard_size: int = setting(10_000, low=1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wordings", tuple(self.wordings) or (Prompt(),))
        check(self, DatasetError)
        for name in ("validation", "test"):
            if self.hold_out is not None and getattr(self, name):
                raise DatasetError(f"hold_out and {name}: give one of them")

    def as_json(self) -> dict[str, Any]:
        """Return the settings as a manifest has them."""
        said: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if not self.copies:
            said["augmentation"] = None
        usual = {"hold_out": None, "test": 0, "max_pixels": MAX_PIXELS}
        return {key: value for key, value in said.items() if usual.get(key, ...) != value}

    def command(self, source: str) -> str:
        """Return the command that builds the dataset again; options at their defaults left out."""
        words = ["glyphsight", "dataset", "build", "--source", source, "--out", "DIR"]
        words += _options(self.profile, PUBLISHED)
        words += _options(self, USUAL, "profile", "augmentation", "wordings")
        if self.copies:
            words += _options(self.augmentation, _CHANGES)
        if self.wordings != (Prompt(),):
            words += ["--wordings", "FILE"]
        return shlex.join(words)


USUAL = BuildSettings()


@dataclass(frozen=True)
class Build:
    """A build, as far as it is the same for every part and every shard."""

    spec: str  # name of the source in records
    source: Source
    directory: Directory
    settings: BuildSettings
    held_out: str = ""  # name of the file with the hashes that no copy may have

    @property
    def layout(self) -> Output:
        """Layout of the files."""
        return get_output(self.settings.output)


def _options(settings: Any, usual: Any, *without: str) -> list[str]:
    """Return command-line options for the fields that have another value than usual."""
    words: list[str] = []
    cls: Any = type(settings)
    for name in settings_of(cls):
        value = getattr(settings, name)
        if name in without or value == getattr(usual, name):
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
    return words
