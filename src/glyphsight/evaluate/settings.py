"""Settings of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from glyphsight.errors import GlyphsightError
from glyphsight.media.picture import MAX_PIXELS
from glyphsight.settings import check, setting


@dataclass(frozen=True)
class EvaluateSettings:
    """Settings of an evaluation.

    Attributes:
        split: Split of a dataset directory or a source; a file has none.
        limit: Number of records to judge at most, stratified by answer.
        seed: Random seed for the choice under a limit and for all that --full draws.
        batch_size: Prompts per forward pass; changes speed alone.
        generate: Number of records on which the model also writes freely. Records without choices
            are always judged by writing.
        zero_shot: Number of records that the base model is also asked, as it was before training.
        full: Baselines on the same text, robustness and attributions too; takes minutes.
        train_data: Data that the baselines of --full learn from; by default the split train.
        max_pixels: Largest number of pixels per picture file of a source.
        chunk: Records scored together. They are written at once, so a killed run loses at most
            these.

    Raises:
        GlyphsightError: A value cannot be.
    """

    split: str = "test"
    limit: int | None = setting(None, low=1)
    seed: int = setting(0, low=0)
    batch_size: int = setting(64, low=1)
    generate: int = setting(200, low=0)
    zero_shot: int = setting(100, low=0)
    full: bool = False
    train_data: str | None = None
    max_pixels: int = setting(MAX_PIXELS, low=1)
    chunk: int = setting(512, low=1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class ForgettingSettings:
    """Settings of a measurement of plain English.

    Attributes:
        against: Model to compare with; left out, the base in the run's glyphsight.json.
        window: Tokens read at once; fewer where the model takes fewer.
        stride: Tokens from one window to the next; at most window.
    """

    against: str | None = None
    window: int = setting(512, low=2)
    stride: int = setting(256, low=1)

    def __post_init__(self) -> None:
        check(self)
        if self.stride > self.window:
            raise GlyphsightError(f"stride: {self.stride} exceeds window {self.window}; lower it")
