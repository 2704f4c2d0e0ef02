"""The perturbations and their strengths, with what others published for the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glyphsight.evaluate.robustness import texts
from glyphsight.media import perturb

LIFT = "LIFT/GPT-3"
"""Dinh et al. 2022, "LIFT: Language-Interfaced Fine-Tuning for Non-Language Machine Learning Tasks"
(NeurIPS; arXiv 2206.06565); all six figures stand in the results published with its code. The
noise is theirs, see :mod:`~glyphsight.media.perturb`; the rest is not: their GPT-3
(``ada``) was fine-tuned on 48,000 of MNIST's training digits, read the 18x18 pixels in the middle
as numbers 0 to 255 and wrote its answer freely, on all 10,000 test digits."""


@dataclass(frozen=True)
class Perturbation:
    """One way to change what the model reads.

    Attributes:
        name: What figures and tables call it.
        unit: Of its strengths; "" where it has none.
        strengths: Weakest first; none for a change that is either made or not.
        on: ``picture``, ``text``, or ``hand`` for digits of other people.
        change: A function of :mod:`~glyphsight.media.perturb` or
            :mod:`~glyphsight.evaluate.robustness.texts`; None for none.
        published: Accuracies of others, 0-1, by strength and by whose they are.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    on: str
    change: Callable[..., Any] | None
    published: Mapping[float, Mapping[str, float]] = field(default_factory=dict)


def _lift(*accuracies: float) -> dict[float, dict[str, float]]:
    """At 0.01, 0.1 and 0.3."""
    return {eps: {LIFT: share} for eps, share in zip((0.01, 0.1, 0.3), accuracies, strict=True)}


_OF_28 = "px of 28"
_OF_1 = "of 0-1"

PERTURBATIONS: tuple[Perturbation, ...] = (
    Perturbation("shift", _OF_28, (1, 2, 3, 4), "picture", perturb.shift),
    Perturbation("rotation", "degrees", (10, 20, 30, 45), "picture", perturb.rotation),
    Perturbation("scale", "times", (0.6, 0.8, 1.2, 1.4), "picture", perturb.scale),
    Perturbation("thickness", _OF_28, (-1, -0.5, 0.5, 1, 2), "picture", perturb.thickness),
    Perturbation("inversion", "", (), "picture", perturb.inversion),
    Perturbation("salt", "share of pixels", (0.02, 0.05, 0.1, 0.2), "picture", perturb.salt),
    Perturbation(
        *("Gaussian noise", _OF_1, (0.01, 0.1, 0.3, 0.5), "picture", perturb.gaussian),
        published=_lift(0.9828, 0.8838, 0.5480),
    ),
    Perturbation(
        *(
            "signed constant noise",
            _OF_1,
            (0.01, 0.1, 0.3, 0.5),
            "picture",
            perturb.signed_constant,
        ),
        published=_lift(0.8805, 0.6880, 0.2968),
    ),
    Perturbation("other glyphs", "", (), "text", texts.other_glyphs),
    Perturbation("no row tags", "", (), "text", texts.no_row_tags),
    Perturbation("rows dropped", "share of rows", (0.1, 0.2, 0.4), "text", texts.rows_dropped),
    Perturbation("rows swapped", "pairs", (1, 2, 4), "text", texts.rows_swapped),
    Perturbation(
        "salt on cells", "share of cells", (0.01, 0.02, 0.05, 0.1), "text", texts.cell_salt
    ),
    Perturbation("another hand", "", (), "hand", None),
)

ALL = tuple(one.name for one in PERTURBATIONS)
CLEAN = "clean"
