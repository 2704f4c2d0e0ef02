"""Words and codes read sign by sign, as by `see --signs`.

    python benchmarks/words.py --fonts FONTS --vitc ViTC --model nano-names

Two to eight letters and digits in families of fonts that scripts/open_eyes.py holds out, dark on
light, and ViTC-L (words in text art) through a picture of the text. A word counts where all its
signs are right, in order. Beside it: pictures parted into the right number of signs, and how many
signs are right where they were. No training of this repository read either, nor a font of ViTC.
``--split validation`` writes codes in the families for validation and, in place of ViTC-L, in text
art of fonts that are not ViTC's, from which `nano-names` learned single signs: by these the rules
of ``see --signs`` were chosen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from eyes import kinds

from glyphsight.errors import PictureError
from glyphsight.inference import Model
from glyphsight.inference.signs import read_signs
from glyphsight.sampling import wilson_interval


def codes(fonts: Path, split: str, count: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield codes and their pictures, the same each time."""
    files = kinds.letters_of(list(fonts.glob("*.woff2")))[split]
    random = np.random.default_rng(3)
    for _ in range(count):
        signs = random.choice(list(kinds.SIGNS), int(random.integers(2, 9)))
        file = files[random.integers(len(files))]
        pixels = kinds.write("".join(signs), file, random, light=True)
        if pixels is not None:
            yield "".join(signs), pixels


def text_art(vitc: Path, count: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield words of ViTC-L and their pictures, the same each time."""
    every = json.loads((vitc / "vitc-l.json").read_text(encoding="utf-8"))
    for row in np.random.default_rng(3).permutation(len(every))[:count]:
        yield every[row]["text"], kinds.picture_of(every[row]["art_text"])


def other_art(vitc: Path, count: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield codes of two to four signs in text art of other fonts, the same each time."""
    fonts, random = kinds.text_fonts(vitc)["train"], np.random.default_rng(3)
    while count:
        text = "".join(random.choice(list(kinds.SIGNS), int(random.integers(2, 5))))
        if drawn := kinds.typed(fonts[random.integers(len(fonts))], text, 1200):
            yield text, kinds.picture_of(drawn)
            count -= 1


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fonts", type=Path, required=True)
    parser.add_argument("--vitc", type=Path, required=True, help="folder of vitc-l.json")
    parser.add_argument("--model", required=True, help="a run that knows letters")
    parser.add_argument("--pictures", type=int, default=500, help="of each set")
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    given = parser.parse_args()
    model = Model(given.model)
    print("| set | N | read whole | as many signs | signs right where as many |")
    print("|---|---|---|---|---|")
    sets = {
        "codes of 2 to 8 signs in fonts held out": codes(given.fonts, given.split, given.pictures)
    }
    if given.split == "test":
        sets["ViTC-L through a picture"] = text_art(given.vitc, given.pictures)
    else:
        sets["text art of other fonts, through a picture"] = other_art(given.vitc, given.pictures)
    for name, pictures in sets.items():
        whole = parted = right = signs = n = 0
        for text, pixels in tqdm(pictures, total=given.pictures, desc=name, unit="pic"):
            try:
                read = list(read_signs(model, pixels).written)
            except PictureError:  # more than a line can have
                read = []
            n += 1
            whole += read == list(text)
            if len(read) == len(text):
                parted += 1
                signs += len(text)
                right += sum(one == two for one, two in zip(read, text, strict=True))
        low, high = wilson_interval(whole, n)
        share = f"{100 * whole / n:.1f} % ({100 * low:.1f}-{100 * high:.1f})"
        rightly = f"{100 * right / signs:.1f} %" if signs else "-"
        print(f"| {name} | {n} | {share} | {parted} | {rightly} |")


if __name__ == "__main__":
    main()
