"""Let espeak-ng say digits, and words that are none, in many voices: sounds to learn from.

    python scripts/synthetic_speech.py DIR                 # 4,000 files, DIR/0 to DIR/9
    python scripts/synthetic_speech.py DIR --words 2000    # DIR/unknown too

``audiofolder:DIR`` reads them. Each file draws its accent, voice, speed and pitch; the seed fixes
them. Accents of English are espeak-ng's own; a German and a French voice read the digits as
spelled for them. Needs the program ``espeak-ng`` (Debian package of that name).
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
from pathlib import Path

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = (
    "en-us", "en-us-nyc", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan",
    "en-gb-x-gbcwmd", "en-029",
)  # fmt: skip
SPELLED = {
    "de": ("siero", "uann", "tuh", "srie", "fohr", "faif", "sicks", "säwen", "eht", "nain"),
    "fr-fr": (
        "ziro", "ouane", "tou", "sri", "faure", "faïve", "sixe", "sévène", "éïte", "naïne",
    ),
}  # fmt: skip
VOICES = re.findall(
    r"\w+",
    """Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario
    Michael Mike Nguyen adam anika antonio aunty belinda benjamin boris caleb david ed edward
    edward2 f1 f2 f3 f4 f5 grandma grandpa gustave iven iven2 iven3 iven4 john kaukovalta klatt
    klatt2 klatt4 linda m1 m2 m3 m4 m5 m6 m7 m8 marcelo max michel miguel norbert pablo paul pedro
    quincy rob robert sandro shelby steph steph2 steph3 travis victor zac""",
)
WORDS = re.findall(
    r"\w+",
    """a b c d e f g h i j k l m n p q r s t u v w x y z alpha bravo charlie delta echo
    foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo sierra tango
    uniform victor whisky yankee zulu ten eleven twelve twenty thirty fifty hundred thousand million
    yes no stop go up down left right on off start cancel help please thanks hello goodbye sorry
    maybe open close more less first second last next back home call hold wait press enter star
    pound hash minus plus equals point half dozen nothing many few all none red green blue black
    white yellow brown orange monday tuesday wednesday thursday friday saturday sunday january march
    april may june july august october december morning evening night today tomorrow year month week
    day hour minute water bread milk tea coffee apple house door window table chair book paper
    dog cat bird fish horse river sea hill stone fire wind rain snow sun moon car bus train
    plane road street bridge city village king queen father mother brother sister friend child woman
    man hand foot head eye ear nose mouth heart work play run walk sit stand sleep eat drink read
    write sing laugh cry give take buy sell send bring find lose keep leave turn move big small long
    short old new good bad hot cold fast slow high low rich poor happy sad weather money music
    letter number question answer problem reason paint wine line fine shine tune heaven
    sever hate late weight fear door more floor sun fun run gun fix mix sick tick
    live dive hive nice mine sign hero arrow zone so""",
)


def say(word: str, accent: str, voice: str, rng: random.Random, path: Path) -> None:
    """Write a word as WAV, its speed and pitch drawn."""
    speed, pitch = rng.randint(110, 230), rng.randint(15, 85)
    asked = ["-v", f"{accent}+{voice}", "-s", str(speed), "-p", str(pitch), "-w", str(path), word]
    subprocess.run(["espeak-ng", *asked], check=True, stderr=subprocess.DEVNULL)


def main() -> None:
    """Draw and say."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--digits", type=int, default=4000, help="files of all ten")
    parser.add_argument("--words", type=int, default=0, help="files of words that are no digit")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    for number in range(given.digits + given.words):
        accent, voice = rng.choice([*ACCENTS, *SPELLED]), rng.choice(VOICES)
        answer = str(number % 10) if number < given.digits else "unknown"
        if answer == "unknown":
            accent, word = rng.choice(ACCENTS), rng.choice(WORDS)
        else:
            word = SPELLED.get(accent, DIGITS)[int(answer)]
        folder = given.directory / answer
        folder.mkdir(parents=True, exist_ok=True)
        say(word, accent, voice, rng, folder / f"{accent}_{voice}_{number}.wav")
    print(f"{given.directory}: {given.digits} digits, {given.words} other words")


if __name__ == "__main__":
    main()
