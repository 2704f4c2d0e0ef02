"""Read pictures once, and turned where the model is unsure: does the mean of several looks help?

    pip install '.[train]' scikit-image pyfiglet==1.0.4 art==6.5 resvg-py==0.5.0
    python benchmarks/angles.py --mnist DIR --fashion DIR --quickdraw FILE --fonts FONTS \
        --icons NPM/node_modules/@iconify/json --vitc ViTC [--split test]

The pictures are those of scripts/open_eyes.py --plan more, drawn by its seeds: its validation
pictures, by which the rule was chosen, and more of them; or with ``--split test`` its tests.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import open_eyes
from eyes import kinds

from glyphsight.inference import Model
from glyphsight.inference.see import Answer, to_text
from glyphsight.sampling import wilson_interval

COUNTS = {"digits": 10000, "icons": 2000, "clothes": 2000, "vitc-s-picture": 8424}
"""Test pictures where these are not 1,000; of validation pictures there are 1,000 of each."""


def makers(given: argparse.Namespace) -> dict[str, Callable[[], open_eyes.Make]]:
    """Return what draws each kind, as scripts/open_eyes.py does."""
    plan, fonts = open_eyes.PLANS["more"], kinds.letters_of(list(given.fonts.glob("*.woff2")))
    made: dict[str, Callable[[], open_eyes.Make]] = {
        "digits": lambda: open_eyes.classified(f"idx:{given.mnist}", list("0123456789")),
        "letters": lambda: open_eyes.printed(fonts, open_eyes.sign),
        "art-picture": lambda: open_eyes.text_art(given.vitc, seen=True, codes=0),
        "icons": lambda: open_eyes.iconic(given.icons, plan),
        "sketches": lambda: open_eyes.sketched(given.quickdraw, plan),
        "clothes": lambda: open_eyes.classified(f"idx:{given.fashion}", kinds.CLOTHES),
        "strange": lambda: open_eyes.strange(given.vitc, fonts),
    }
    if given.split == "test":
        made["vitc-s-picture"] = lambda: open_eyes.vitc_of(given.vitc / "vitc-s.json")
    return made


def drawn(kind: str, make: open_eyes.Make, split: str) -> list[kinds.Drawn]:
    """Draw the pictures of a kind that scripts/open_eyes.py draws."""
    seed = [*open_eyes.PLANS["sight"].train, kind].index(kind)
    random = np.random.default_rng([seed, "train validation test".find(split)])
    count = COUNTS.get(kind, 1000) if split == "test" else 1000
    found: list[kinds.Drawn] = []
    while len(found) < count:
        if (one := make(split, random)) is not None:
            found.append(one)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in open_eyes.SOURCES[:-1]:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--model", default="nano-names")
    parser.add_argument("--angles", type=float, nargs="+", help="degrees; those of the run")
    parser.add_argument("--split", choices=("test", "validation"), default="validation")
    given = parser.parse_args()
    model = Model(given.model)
    profile, angles = model.trained.profile, tuple(given.angles or model.trained.angles)
    degrees = ", ".join(map(str, angles))
    print(f"| kind | N | read once | turned too, by {degrees} degrees, where it is unsure |")
    print("|---|---|---|---|")
    for kind, maker in makers(given).items():
        pictures = drawn(kind, maker(), given.split)
        shares = []
        for some in ((), angles):
            texts = [replace(to_text(one.pixels, profile, some), halves=()) for one in pictures]
            answers = model.answers(texts)
            right = sum(
                isinstance(answer, Answer) and answer.label == one.answer
                for answer, one in zip(answers, pictures, strict=True)
            )
            low, high = wilson_interval(right, len(pictures))
            shares.append(f"{100 * right / len(pictures):.1f} % ({100 * low:.1f}-{100 * high:.1f})")
        print(f"| {kind} | {len(pictures)} | {' | '.join(shares)} |", flush=True)


if __name__ == "__main__":
    main()
