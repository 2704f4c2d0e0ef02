r"""Measure how well a model tells what it knows from what it does not know.

    pip install '.[train]' scikit-image
    npm pack @fontsource/lato ...   # woff2 files of families, into FONTS, as scripts/clear_eyes.py
    npm pack dseg                   # fonts of seven segments, into SEGMENTS
    python benchmarks/unknown.py --mnist DIR --fashion DIR --fonts FONTS --segments SEGMENTS \
        --sketches quickdraw.npz --model nano-digits sight
    python benchmarks/unknown.py ... --known clothes --model nano-fashion

Nothing here was trained on: MNIST's test digits, 1,797 digits by 43 other people (scikit-learn),
photographs of kinds that are held out, digits and letters of the fonts that are held out, fonts of
seven segments by another designer, sketches of things that are held out, test clothes, and
photographs of scikit-image and scikit-learn, whole and in parts. A picture is known by the
probability of all digits, 1 - p("unknown") where the model has no other labels, or by the best
label's where it has no "unknown". Printed per set: AUROC of digits against it, the share accepted
by default, which is answered with a digit, and the share accepted by the threshold that lets 97 %
of the digits pass. With ``--known clothes`` test clothes take the place of digits,
and test digits that of clothes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from glyphsight.errors import PictureError
from glyphsight.evaluate.statistics import calibrate
from glyphsight.inference import Model
from glyphsight.inference.reading import to_text
from glyphsight.media import load_gray
from glyphsight.models.runs import UNKNOWN
from glyphsight.sources import load_split, open_source

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))
import clear_eyes
import photographs

Pixels = NDArray[np.uint8]
Set = list[tuple[Pixels, str]]


def handwritten(options: argparse.Namespace, random: np.random.Generator) -> dict[str, Set]:
    """Take test digits of MNIST, digits by others, and photographs of kinds held out."""
    from sklearn.datasets import load_digits

    test = load_split(open_source(f"idx:{options.mnist}"), "test")
    rows = random.choice(len(test), options.pictures, replace=False)
    small = load_digits()
    hand = [
        (np.pad((one * 255 / 16).astype(np.uint8), 2), str(label))
        for one, label in zip(small.images, small.target, strict=True)
    ]
    taken = []
    each = max(1, options.pictures // 5 // len(photographs.HELD_OUT))
    made = photographs.pictures(photographs.HELD_OUT, each, options.seed)
    for photos, labels in made.values():
        taken += list(zip(photos, labels, strict=True))
    return {
        "MNIST, test": [(test.pixels[row], test.labels[row]) for row in rows],
        "scikit-learn's digits": [
            hand[row] for row in random.permutation(len(hand))[: options.pictures]
        ],
        "photographs, kinds held out": taken,
    }


def printed(options: argparse.Namespace, random: np.random.Generator) -> dict[str, Set]:
    """Draw digits in fonts held out, and in fonts of seven segments."""
    fonts = clear_eyes.held_out(sorted(options.fonts.glob("*.woff2")))
    segments = sorted(options.segments.rglob("DSEG7*.ttf"))
    found: dict[str, Set] = {"printed, fonts held out": [], "seven segments, fonts held out": []}
    for some, name in ((fonts, "printed"), (segments, "seven segments")):
        for font in some:
            for digit in "0123456789":
                for _ in range(3):
                    drawn = clear_eyes.text(digit, [font], random)
                    if drawn is not None:
                        pixels = clear_eyes.smaller(drawn, random)
                        found[f"{name}, fonts held out"].append((pixels, digit))
    return found


def _parts(pictures: list[Pixels], random: np.random.Generator, count: int) -> list[Pixels]:
    """Cut squares of a fifth to all of the shorter side."""
    found = list(pictures)
    while len(found) < count:
        whole = pictures[random.integers(len(pictures))]
        side = int(min(whole.shape) * random.uniform(0.2, 1))
        top, left = (int(random.integers(0, length - side + 1)) for length in whole.shape)
        found.append(whole[top : top + side, left : left + side])
    return found[:count]


def strange(options: argparse.Namespace, random: np.random.Generator) -> dict[str, list[Pixels]]:
    """Make and take pictures of all but digits."""
    import skimage.data
    import sklearn.datasets

    fonts = clear_eyes.held_out(sorted(options.fonts.glob("*.woff2")))
    letters = [
        clear_eyes.text(sign, [font], random) for font in fonts for sign in clear_eyes.LETTERS
    ]
    material = clear_eyes.load(options)["val"]  # sketches and a digit that is not drawn
    clothes = load_split(open_source(f"idx:{options.fashion}"), "test").pixels
    folders = [Path(skimage.data.__file__).parent]
    folders.append(Path(sklearn.datasets.__file__).parent / "images")
    names = "astronaut camera chelsea coffee rocket coins motorcycle_left grass brick gravel"
    names += " china flower"
    photos = [
        load_gray(f) for d in folders for f in sorted(d.glob("*.*g")) if f.stem in names.split()
    ]
    pages = [load_gray(folders[0] / name) for name in ("page.png", "text.png")]
    count = options.pictures // 2
    blank = [
        kind(
            photographs.Scene(
                material.digits[0], np.random.default_rng([options.seed, number, page]), blank=True
            )
        )
        for number, kind in enumerate(photographs.HELD_OUT.values())
        for page in range(count // 20)
    ]
    noise = [
        random.integers(0, 256, (side, side)).astype(np.uint8)
        for side in random.integers(20, 200, count // 4)
    ]
    return {
        "letters, fonts held out": [
            clear_eyes.smaller(one, random) for one in letters if one is not None
        ],
        "sketches, things held out": [
            material.sketches[row]
            for row in random.choice(len(material.sketches), count, replace=False)
        ],
        "clothes, test": list(clothes[random.choice(len(clothes), count, replace=False)]),
        "photographs of things": _parts(photos, random, count),
        "pages of text": _parts(pages, random, count // 5),
        "blank pages, kinds held out": blank,
        "white noise": noise,
    }


Floats = NDArray[np.float64]


def ask(model: Model, pictures: list[Pixels], ours: set[str]) -> tuple[list[str], Floats, Floats]:
    """Return each picture's label, its probability and that of ``ours``, the known ones, 0-1."""
    labels, sure, known = [], [], []
    profile = model.trained.profile
    for start in range(0, len(pictures), 256):
        texts = [to_text(one, profile) for one in pictures[start : start + 256]]
        for answer in model.answers(texts, None):
            if isinstance(answer, PictureError):  # too tall as text: not answered
                labels.append(UNKNOWN)
                sure.append(1.0)
                known.append(0.0)
                continue
            labels.append(answer.label)
            sure.append(answer.probability or 0.0)
            chances = answer.probabilities
            other = sum(chance for label, chance in chances.items() if label not in ours)
            best = 1 - other if UNKNOWN in chances else max(chances.values())
            known.append(0.0 if answer.empty else best)
    return labels, np.array(sure), np.array(known)


def main() -> None:
    """Print a table per model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("mnist", "fashion", "fonts", "segments", "sketches"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--model", nargs="+", default=["nano-digits", "sight"])
    parser.add_argument("--known", choices=("digits", "clothes"), default="digits")
    parser.add_argument("--pictures", type=int, default=1000, help="of the larger sets")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.hold_out = None
    random = np.random.default_rng(options.seed)
    digits = handwritten(options, random) | printed(options, random)
    others = strange(options, random)
    if options.known == "clothes":
        garments = load_split(open_source(f"idx:{options.fashion}"), "test")
        rows = random.choice(len(garments), options.pictures, replace=False)
        others = {title: some for title, some in others.items() if not title.startswith("clothes")}
        others |= {title: [pixels for pixels, _ in some] for title, some in digits.items()}
        digits = {"clothes, test": [(garments.pixels[row], garments.labels[row]) for row in rows]}
    for name in options.model:
        model = Model(name)
        print(
            f"\n{name}\n\n| {options.known} | N | right | taken for unknown | calibration error |"
        )
        print("|---|---|---|---|---|")
        passed = []
        ours = {label for some in digits.values() for _, label in some}
        for title, some in digits.items():
            labels, sure, known = ask(model, [pixels for pixels, _ in some], ours)
            right = np.array([a == b for a, (_, b) in zip(labels, some, strict=True)])
            refused = np.mean([label == UNKNOWN for label in labels])
            error = calibrate(sure, right).error
            print(
                f"| {title} | {len(some)} | {right.mean():.2%} | {refused:.2%} | {error:.3f} |",
                flush=True,
            )
            passed.append(known)
        # The same weight for each set of digits, as many as the smallest has.
        few = min(map(len, passed))
        mixed = np.concatenate([one[:few] for one in passed])
        limit = float(np.quantile(mixed, 0.03))
        print(
            f"\n| no {options.known} | N | AUROC | accepted | accepted where 97 % of digits are |"
        )
        print("|---|---|---|---|---|")
        for title, pictures in others.items():
            labels, _, known = ask(model, pictures, ours)
            truth = np.r_[np.ones(len(mixed)), np.zeros(len(known))]
            auroc = roc_auc_score(truth, np.r_[mixed, known])
            accepted = np.mean([label in ours for label in labels])
            let = np.mean(known >= limit) if limit > 0 else 1.0
            print(
                f"| {title} | {len(pictures)} | {auroc:.4f} | {accepted:.1%} | {let:.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
