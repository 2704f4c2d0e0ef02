"""Answers of a model to pictures."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from glyphsight.inference.reading import PictureText, is_empty
from glyphsight.models import RunRecord
from glyphsight.models.runs import UNKNOWN
from glyphsight.pages import bars_html, text_html

NOTHING = "nothing I know"
"""Name of what a model does not know."""


@dataclass(frozen=True)
class Answer:
    """Answer of a model to a picture; of several things in it to the main one.

    Attributes:
        label: The likeliest label; of a question without labels, what the model wrote; "unknown"
            of an empty picture.
        name: Meaning of the label; the label itself where the run names none.
        probability: Probability of the label among all labels, 0-1; None for an empty picture,
            which no model judges, and for a written answer.
        probabilities: Probability of every label, likeliest first, the mean of three readings where
            the run is not sure and reads the picture turned too; empty for an answer that the model
            wrote; of one that a talker wrote, those of what was seen.
        ascii_image: Text that the model read, first.
        inverted: True where the picture was dark on light and was inverted.
        cropped: True where the picture was scaled and centred as MNIST's digits are.
        empty: True where all cells of the text are alike, so there was nothing to see.
        known: False for an empty picture, and where a model that has the label "unknown" gives it.
        found: Ink that was found and what was done to its ground and contrast, in a line; ""
            where none was sought or found.
        box: Top, bottom, left, right in pixels of the picture; None where no ink was sought or
            found, and the picture is one thing.
        parts: Answers to each thing in reading order; empty where there are not several.
        said: What was seen, in words, where the answer is written or about several things at once:
            the talker read them; "" where the answer is a label.
        written: Letters and digits of a line that was read sign by sign; "" where none was asked
            for.
    """

    label: str
    name: str
    probability: float | None
    probabilities: dict[str, float]
    ascii_image: str
    inverted: bool
    cropped: bool
    empty: bool
    known: bool = True
    found: str = ""
    box: tuple[int, int, int, int] | None = None
    parts: tuple[Answer, ...] = ()
    said: str = ""
    written: str = ""

    @property
    def things(self) -> tuple[Answer, ...]:
        """All things in reading order; this one where there are not several."""
        return self.parts or (self,)

    @property
    def labels(self) -> list[str]:
        """Labels of all things in reading order."""
        return [one.label for one in self.things]

    def _repr_html_(self) -> str:
        """Show text, answer and probabilities in a notebook; of several things each."""
        shown = "".join(
            f'<div style="margin:4px 0">{text_html(one.ascii_image)}'
            f'<div style="display:inline-block;vertical-align:top"><div><b>{escape(one.name)}</b>'
            f"</div>{bars_html(one.probabilities)}</div></div>"
            for one in self.things
        )
        if self.said and self.parts:  # the names above are the parts' own
            shown += f"<div><b>{escape(self.name)}</b></div>"
        return f"{shown}<div>{escape(self.found)}</div>" if self.found else shown


def to_answer(
    text: PictureText, run: RunRecord, ranked: dict[str, float], label: str, name: str = ""
) -> Answer:
    """Make the answer to a picture, with every label's probability, none for an open answer."""
    empty = is_empty(text, run.profile)
    if empty or label == UNKNOWN:
        label, name = UNKNOWN, NOTHING
    return Answer(
        label=label,
        name=name or label,
        probability=None if empty else ranked.get(label),
        probabilities=ranked,
        ascii_image=text.ascii_image,
        inverted=text.inverted,
        cropped=text.cropped,
        empty=empty,
        known=label != UNKNOWN,
        found=text.found,
        box=text.box or (None if text.ink is None else text.ink.box),
    )
