r"""Make the dataset of many kinds of pictures that a model with open eyes learns, and its tests.

    pip install '.[train]' pyfiglet==1.0.4 art==6.5 resvg-py==0.5.0 scikit-image
    npm install --prefix NPM @iconify/json   # and woff2 files of @fontsource families into FONTS
    python scripts/open_eyes.py --mnist DIR --fashion DIR --quickdraw FILE --fonts FONTS \
        --icons NPM/node_modules/@iconify/json --vitc ViTC --out EYES \
        [--plan nano, names, further, or more]
    python scripts/open_eyes.py --plan scenes --out EYES
    python scripts/open_eyes.py --plan talk --clear CLEAR --fonts FONTS --out EYES

EYES/data holds train.json and validation.json, all kinds mixed; EYES/KIND each kind alone, whose
validation.json and test.json ask as nobody names the kind. ``ViTC`` holds vitc-s.json and
vitc-l.json as their project publishes them: a font that draws any of their pictures is left out,
and both become tests, through a picture of the text. Fonts, designers and sketches are split
before anything is drawn. A seed decides everything. A kind that is there already stays.

``--plan talk`` mixes letters in fonts with the digits and the unknown pictures of CLEAR, all but
its letters: what scripts/clear_eyes.py made, built in the text of `sight`::

    glyphsight dataset build --source folder:PICTURES --out CLEAR --format plain --width 16 \
        --height 9 --palette ' ·█' --invert auto --ink --centre --crop 0 --seed 1
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import clear_eyes
import numpy as np
import unseen
from eyes import kinds
from eyes.kinds import Drawn, Pixels, Random
from tqdm import tqdm

from glyphsight.codec import Profile, encode_batch
from glyphsight.dataset import Record, load_dataset, write_records
from glyphsight.dataset.questions import ASIDE, CHAT, FAMILIES, PLAIN, ask
from glyphsight.dataset.storage import MANIFEST, profile_of, sources_file, write_sources
from glyphsight.files import replacing, write_json
from glyphsight.models.load import model_tokenizer
from glyphsight.models.runs import UNKNOWN
from glyphsight.sources import load_split, open_source


@dataclass(frozen=True)
class Plan:
    """The text and the training records of a model.

    Attributes:
        profile: Text of a picture. Ink is not sought: of a word it would leave one letter.
        train: Training records of each kind.
        varied: Share of training icons and sketches whose shape and pen are changed.
        reach: Degrees that a changed picture is turned by at most.
        asks: True where records ask in words; otherwise every answer is the name.
        judged: Validation records of the kinds that scripts/clear_eyes.py made; they are not drawn.
        others: Training records of things that the model need not name: a dataset of their own.
        more: True where pictures change more in training: sides are scaled, clothes are mirrored,
            and text art is typed after fonts too.
        draw: Which training pictures: another number draws others, and the same tests.
        each: Questions in free words about each training picture, besides its name, in plain text.
    """

    profile: Profile
    train: dict[str, int]
    varied: float = 0.3
    reach: float = 6
    asks: bool = True
    judged: dict[str, int] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    more: bool = False
    draw: int = 1
    each: int = 0

    @property
    def drawn(self) -> dict[str, int]:
        """Training records of the kinds that are drawn here."""
        own = {kind: count for kind, count in self.train.items() if kind not in self.judged}
        return own | self.others


PLANS = {
    "sight": Plan(
        Profile(
            width=16, height=9, widest=48, palette=" ·█", format="plain", invert="auto", crop=0.0
        ),
        {
            "digits": 8800,
            "letters": 10400,
            "words": 9600,
            "art": 4000,
            "art-picture": 5000,
            "icons": 8000,
            "sketches": 5000,
            "clothes": 5000,
            "scenes": 5500,
        },
    ),
    "nano": Plan(
        Profile(width=20, height=11, palette=" ·█", format="plain", invert="auto", crop=0.0),
        {
            "digits": 40000,
            "letters": 50000,
            "art-picture": 20000,
            "icons": 100000,
            "sketches": 50000,
            "clothes": 40000,
        },
        varied=0.8,
        reach=12,
        asks=False,
    ),
    "scenes": Plan(
        Profile(
            width=20, height=11, widest=60, palette=" ·█", format="plain", invert="auto", crop=0.0
        ),
        {"scenes": 40000},
        asks=False,
        each=5,
    ),
    "talk": Plan(
        Profile(
            width=16,
            height=9,
            palette=" ·█",
            format="plain",
            invert="auto",
            ink=True,
            centre=True,
            crop=0.0,
        ),
        {"digits": 14000, "letters": 9000, UNKNOWN: 4200},
        judged={"digits": 250, UNKNOWN: 100},
    ),
}
_NAMES = {
    "digits": 80000,
    "letters": 120000,
    "art-picture": 100000,
    "icons": 150000,
    "sketches": 100000,
    "clothes": 100000,
}
PLANS["names"] = replace(
    PLANS["nano"],
    profile=replace(PLANS["nano"].profile, width=27, height=15),
    train=_NAMES,
    others={"other-icons": 150000, "other-sketches": 150000},
    more=True,
)
PLANS["further"] = replace(
    PLANS["names"],
    train={
        "digits": 90000,
        "letters": 100000,
        "art-picture": 130000,
        "icons": 90000,
        "sketches": 65000,
        "clothes": 35000,
        "strange": 60000,
    },
    others={},
    draw=2,
)
PLANS["more"] = replace(
    PLANS["further"],
    train={
        "digits": 110000,
        "letters": 90000,
        "art-picture": 160000,
        "icons": 150000,
        "sketches": 70000,
        "clothes": 80000,
        "strange": 50000,
    },
    draw=3,
)
PLANS["signs"] = replace(
    PLANS["talk"], train={"digits": 21000, "letters": 14000, UNKNOWN: 5600}, asks=False
)
"""`sight`'s text, and more columns for what is wide; for a `nano` a finer one, of one length, so
that compiled layers serve every step, and names alone; another that is asked about rows of shapes,
with more columns for these; one finer still, and other pictures for it, twice; `sight`'s own text,
its ink found; the same, to name signs alone."""
JUDGED = 200
TESTED = {
    "digits": 10000,
    "icons": 2000,
    "clothes": 2000,
    "vitc-s-picture": 8424,
    "vitc-l-picture": 8000,
}
"""Validation records of a kind, and test records where these are not 1,000."""
WORDINGS = (PLAIN, PLAIN, CHAT)
"""Wordings of the mixed records, in turn."""
NAMED = 0.55
"""Share of the mixed records that ask nothing: the answer is the name."""
FAMILIES_OF = {UNKNOWN: ("what", ASIDE)}
"""Families of questions about a kind; all where it is not listed."""
SOURCES = ("mnist", "fashion", "quickdraw", "fonts", "icons", "vitc", "clear")
NEEDED = dict.fromkeys(("talk", "signs"), ("clear", "fonts"))
NEEDED |= dict.fromkeys(("more", "further", "names", "nano", "sight"), SOURCES[:-1])
NEEDED["scenes"] = ()
"""Options that a plan needs."""

Make = Callable[[str, Random], Drawn | None]
NAMELESS: tuple[Callable[..., Pixels], ...] = (
    lambda fonts, random: clear_eyes.smaller(clear_eyes.scribble(random), random),
    lambda fonts, random: clear_eyes.texture(random),
    clear_eyes.page,
    clear_eyes.page_cut,
)
"""Ways to draw what nobody has a name for."""


def pictures(spec: str, split: str) -> tuple[Pixels, list[str]]:
    """Read a split of IDX files: uint8[N, 28, 28] and N labels."""
    loaded = load_split(open_source(spec), split)
    return loaded.pixels, list(loaded.labels)


def classified(spec: str, names: list[str], *, turn: bool = False, mirror: bool = False) -> Make:
    """Take pictures of IDX files; the last 2,000 training pictures are for validation."""
    train, labels = pictures(spec, "train")
    tests = pictures(spec, "test")
    own = {
        "train": (train[:-2000], labels[:-2000]),
        "validation": (train[-2000:], labels[-2000:]),
        "test": tests,
    }
    taken = Counter[str]()

    def make(part: str, random: Random) -> Drawn:
        pixels, answers = own[part]
        row = int(random.integers(len(pixels)))
        if part == "test":  # each once
            row, taken[part] = taken[part], taken[part] + 1
        picture = pixels[row]
        if turn and part == "train" and random.random() < 0.5:
            picture = kinds.turned(picture, random)
        if mirror and part == "train" and random.random() < 0.5:
            picture = picture[:, ::-1]
        return Drawn(picture, names[int(answers[row])], str(row))

    return make


def sketched(file: Path, plan: Plan, package: Path | None = None) -> Make:
    """Take QuickDraw's sketches, in training some changed.

    Given the ``package`` of icons, of all things but the known ones and those that
    benchmarks/few_shot.py asks.
    """
    loaded = np.load(file)
    names = [str(name) for name in loaded["names"]]
    things = kinds.THINGS
    if package is not None:
        asked = {*unseen.SKETCHES.split(","), *unseen.icon_names(kinds.icon_sets(package))}
        things = [name for name in names if name not in {*things, *asked}]
    rows = {thing: np.flatnonzero(loaded["labels"] == names.index(thing)) for thing in things}
    pixels, taken = loaded["pixels"], Counter[str]()

    def make(part: str, random: Random) -> Drawn:
        first, last = kinds.SKETCHES[part]
        thing = things[taken[part] % len(things)]
        number = int(random.integers(first, last))
        if part == "test":  # each once
            number = first + taken[part] // len(things)
        taken[part] += 1
        picture = kinds.bold(pixels[rows[thing][number]])
        if part == "train" and random.random() < max(plan.varied, 0.7):
            picture = picture[:, ::-1] if random.random() < 0.5 else picture
            picture = changed(picture, plan, random)
        return Drawn(picture, thing, f"{thing} {number}")

    return make


def changed(picture: Pixels, plan: Plan, random: Random) -> Pixels:
    """Turn and shear a training picture; a plan of more changes has other pens and sides too."""
    if plan.reach > kinds.REACH and random.random() < 0.5:
        picture = kinds.penned(picture, wider=random.random() < 0.5)
    return kinds.turned(picture, random, plan.reach, sides=0.15 * plan.more)


def printed(fonts: dict[str, list[Path]], written: Callable[[str, Random], str]) -> Make:
    """Write something in a font; tests are dark on light, as pages are."""

    def make(part: str, random: Random) -> Drawn | None:
        file = fonts[part][random.integers(len(fonts[part]))]
        light = part != "train" or random.random() < 0.5
        text = written(part, random)
        pixels = kinds.write(text, file, random, light=light)
        if pixels is not None and not light and random.random() < 0.3:
            pixels = kinds.turned(pixels, random)
        return None if pixels is None else Drawn(pixels, text, file.name.partition("-latin")[0])

    return make


def sign(part: str, random: Random) -> str:
    """Choose a capital letter or a digit."""
    return kinds.SIGNS[random.integers(len(kinds.SIGNS))]


def code(part: str, random: Random) -> str:
    """Choose two to four letters and digits."""
    return "".join(sign(part, random) for _ in range(random.integers(2, 5)))


def word_or_number(words: dict[str, list[str]]) -> Callable[[str, Random], str]:
    """Choose words, numbers of up to eight digits, and codes."""

    def choose(part: str, random: Random) -> str:
        chance = random.random()
        if chance < 0.2:
            return "".join(str(random.integers(10)) for _ in range(random.integers(2, 9)))
        if chance < 0.5:
            return code(part, random)
        word = words[part][random.integers(len(words[part]))]
        return (word, word.capitalize(), word.upper())[random.integers(3)]

    return choose


def words_of() -> dict[str, list[str]]:
    """Deal the words of two to eight letters in SmolLM2's vocabulary to the parts."""
    found: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for token in sorted(model_tokenizer("smollm2-135m").get_vocab()):
        word = token.removeprefix("Ġ")
        letters = word.isascii() and word.isalpha() and word.islower()
        if word != token and letters and 2 <= len(word) <= 8:
            found[kinds.part_of(word, 5, 2)].append(word)
    return found


def text_art(vitc: Path, *, seen: bool, codes: float, fonts: list[Path] | None = None) -> Make:
    """Write letters, digits and a share of codes as text art, as typed or as a picture of it.

    With ``fonts`` two thirds of the training art are typed after their signs, the rest turned.
    """

    def make(part: str, random: Random) -> Drawn | None:
        own = kinds.text_fonts(vitc)[part]
        if fonts and part == "train" and random.random() < 0.67:
            text, file = sign(part, random), fonts[random.integers(len(fonts))]
            drawn = kinds.as_art(text, file, random)
            return Drawn(kinds.picture_of(drawn), text, file.name) if drawn else None
        number = int(random.integers(len(own)))
        several = random.random() < codes
        text = code(part, random) if several else sign(part, random)
        drawn = kinds.typed(own[number], text, 1200 if seen else 450 if several else 250)
        if not drawn:
            return None
        pixels = kinds.picture_of(drawn) if seen else drawn
        if fonts and part == "train" and not isinstance(pixels, str):
            pixels = kinds.turned(pixels, random)
        return Drawn(pixels, text, f"font {number}")

    return make


def strange(vitc: Path, fonts: dict[str, list[Path]]) -> Make:
    """Draw what has no name: signs that were parted wrongly, scribbles, textures, pages of text."""

    def make(part: str, random: Random) -> Drawn | None:
        chance = random.random()
        own = kinds.text_fonts(vitc)[part]
        if chance < 0.35:
            maker = own[random.integers(len(own))]
            drawn = kinds.joined(lambda signs: art_picture(maker, signs), random)
        elif chance < 0.7:
            file = fonts[part][random.integers(len(fonts[part]))]
            light = random.random() < 0.5
            write = partial(kinds.write, file=file, random=random, light=light)
            drawn = kinds.joined(write, random)
        else:
            draw = NAMELESS[random.integers(len(NAMELESS))]
            return Drawn(draw(fonts[part], random), UNKNOWN, getattr(draw, "__name__", ""))
        if drawn is not None and part == "train" and drawn.pixels[0, 0] < 128:
            return replace(drawn, pixels=kinds.turned(drawn.pixels, random))
        return drawn

    return make


def art_picture(maker: Callable[[str], str], signs: str) -> Pixels | None:
    """Draw signs as text art, through a picture; None where a sign is missing."""
    drawn = kinds.typed(maker, signs, 1200)
    return kinds.picture_of(drawn) if drawn else None


def iconic(package: Path, plan: Plan, *, others: bool = False) -> Make:
    """Draw icons of known names, or of the others that benchmarks/few_shot.py does not ask."""
    sets = kinds.icon_sets(package)
    parts = kinds.icon_names(sets)
    if others:
        asked = {*unseen.icon_names(sets), *unseen.SKETCHES.split(",")}
        parts = {
            part: {name: own for name, own in found.items() if not asked & {name, *name.split()}}
            for part, found in kinds.icon_names(sets, unseen.RANKS).items()
        }
    order = {
        part: [(name, by, svg) for name, own in found.items() for by, svg in own]
        for part, found in parts.items()
    }
    for part, own in order.items():
        print(part, len(own), "icons,", len({by for _, by, _ in own}), "designers")
    shuffle = np.random.default_rng(5)
    test = [order["test"][row] for row in shuffle.permutation(len(order["test"]))]
    taken = Counter[str]()

    def make(part: str, random: Random) -> Drawn:
        if part == "test":  # each once
            name, by, svg = test[taken[part] % len(test)]
            taken[part] += 1
        else:
            names = list(parts[part])
            name = names[random.integers(len(names))]
            while not parts[part][name]:
                name = names[random.integers(len(names))]
            by, svg = parts[part][name][random.integers(len(parts[part][name]))]
        picture = kinds.render(svg)
        if part == "train" and random.random() < plan.varied:
            picture = changed(picture, plan, random)
        return Drawn(picture, name, by)

    return make


def encoded(drawn: list[Drawn], profile: Profile) -> list[str]:
    """Encode pictures, those of one size together; text art is read as it is typed."""
    groups: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    texts = [""] * len(drawn)
    for row, one in enumerate(drawn):
        if isinstance(one.pixels, str):
            texts[row] = one.pixels
        else:
            groups[one.pixels.shape].append(row)
    for rows in groups.values():
        batch = np.stack([drawn[row].pixels for row in rows])
        for row, text in zip(rows, encode_batch(batch, profile), strict=True):
            texts[row] = text
    return texts


def records(kind: str, part: str, count: int, make: Make, plan: Plan) -> list[Record]:
    """Make the records of a kind; those of a test ask as nobody names the kind."""
    number = [*PLANS["sight"].train, kind].index(kind)
    seed = [number, "train validation test".find(part)]
    if part == "train" and plan.draw > 1:
        seed.append(plan.draw)
    random = np.random.default_rng(seed)
    drawn: list[Drawn] = []
    while len(drawn) < count:
        if (one := make(part, random)) is not None:
            drawn.append(one)
    found = []
    for one, text in zip(drawn, encoded(drawn, plan.profile), strict=True):
        size = str(max(map(len, text.splitlines())))
        found.append(Record((text,), one.answer, "", size, f"{kind}: {one.by}"))
    return found


def save(directory: Path, splits: dict[str, list[Record]], plan: Plan) -> None:
    """Write splits with their sources, then the manifest: the profile and the wordings."""
    directory.mkdir(parents=True, exist_ok=True)
    for split, found in splits.items():
        file = directory / f"{split}.json"
        write_records(found, file)
        with replacing(sources_file(file), "wb") as stream:
            write_sources(found, stream)
    wordings = WORDINGS if directory.name == "data" and plan.asks else (PLAIN,)
    manifest = {"profile": asdict(plan.profile), "wordings": [asdict(one) for one in wordings]}
    write_json(directory / MANIFEST, manifest)


def vitc_of(file: Path) -> Make:
    """Draw the pictures of a file of ViTC, in its order."""
    questions = iter(json.loads(file.read_text("utf-8")))

    def make(part: str, random: Random) -> Drawn:
        one = next(questions)
        return Drawn(kinds.picture_of(one["art_text"]), one["text"], one["font"])

    return make


def make_all(given: argparse.Namespace) -> None:
    """Make every kind, the mixed dataset last."""
    plan: Plan = PLANS[given.plan]
    fonts = kinds.letters_of(list(given.fonts.glob("*.woff2")) if given.fonts else [])
    print({part: len(own) for part, own in fonts.items()}, "families of fonts")
    makers: dict[str, Callable[[], Make]] = {
        "digits": lambda: classified(f"idx:{given.mnist}", list("0123456789"), turn=True),
        "letters": lambda: printed(fonts, sign),
        "words": lambda: printed(fonts, word_or_number(words_of())),
        "art": lambda: text_art(given.vitc, seen=False, codes=0.3),
        "art-picture": lambda: text_art(
            given.vitc,
            seen=True,
            codes=0.3 * plan.asks,
            fonts=fonts["train"] if plan.more else None,
        ),
        "icons": lambda: iconic(given.icons, plan),
        "other-icons": lambda: iconic(given.icons, plan, others=True),
        "sketches": lambda: sketched(given.quickdraw, plan),
        "other-sketches": lambda: sketched(given.quickdraw, plan, given.icons),
        "clothes": lambda: classified(f"idx:{given.fashion}", kinds.CLOTHES, mirror=plan.more),
        "strange": lambda: strange(given.vitc, fonts),
        "scenes": lambda: lambda part, random: kinds.scene(random),
        "vitc-s-picture": lambda: vitc_of(given.vitc / "vitc-s.json"),
        "vitc-l-picture": lambda: vitc_of(given.vitc / "vitc-l.json"),
    }
    for kind, maker in tqdm(makers.items(), unit="kind"):
        wanted = given.kind is None or kind in given.kind
        wanted &= kind in plan.drawn or (kind.startswith("vitc") and given.vitc is not None)
        if wanted and not (given.out / kind / MANIFEST).exists():  # what is there stays
            make_kind(given.out / kind, maker(), plan)
    for name, own in (("data", plan.train), ("others", plan.others)):
        drawn = [kind for kind in own if kind in plan.drawn]
        whole = all((given.out / kind / MANIFEST).exists() for kind in drawn)
        if drawn and whole and not (given.out / name / MANIFEST).exists():
            mixes = {}
            for split in ("validation", "train"):
                found = {kind: load_dataset(given.out / kind, split) for kind in drawn}
                if name == "data":
                    found |= clear(given.clear, split, plan)
                mixes[split] = mixed(found, split, plan)
            save(given.out / name, mixes, plan)


def clear(directory: Path, split: str, plan: Plan) -> dict[str, list[Record]]:
    """Choose from what scripts/clear_eyes.py made; the letters are left out: they have names."""
    found: dict[str, list[Record]] = {kind: [] for kind in plan.judged}
    for one in load_dataset(directory, split) if found else ():
        kind = UNKNOWN if one.answer == UNKNOWN else "digits"
        way = Path(one.source).name.partition("-")[0]
        if (kind, way) != (UNKNOWN, "letter"):
            found[kind].append(replace(one, source=f"{kind}: {way}"))
    random = np.random.default_rng(5)
    counts = plan.train if split == "train" else plan.judged
    return {
        kind: [some[row] for row in sorted(random.permutation(len(some))[: counts[kind]])]
        for kind, some in found.items()
    }


def mixed(own: dict[str, list[Record]], split: str, plan: Plan) -> list[Record]:
    """Mix all kinds; training records ask in free words too, in plain text and in a chat."""
    order = [kind for kind in plan.train | plan.others if kind in own]
    found = [(kind, one) for kind in order for one in own[kind]]
    random = np.random.default_rng(1)
    records = []
    for number, row in enumerate(random.permutation(len(found))):
        kind, one = found[row]
        if plan.each and split == "train":
            records += questioned(one, sort_of(kind, one.answer), number, plan.each)
        asks = plan.asks and split == "train" and not one.question
        if asks and random.random() > NAMED:
            chat = WORDINGS[number % len(WORDINGS)] is CHAT
            sort = sort_of(kind, one.answer)
            families = FAMILIES_OF.get(kind, FAMILIES)
            asked = ask([one.answer], sort, number=number, chat=chat, families=families)
            if repeats(asked.answer):  # the base's own words at times
                families = tuple(family for family in families if family != ASIDE)
                asked = ask([one.answer], sort, number=number, chat=chat, families=families)
            one = replace(one, question=asked.question, answer=asked.answer)
        records.append(one)
    return records


def questioned(one: Record, sort: str, number: int, count: int) -> list[Record]:
    """Ask ``count`` different questions about a picture, a third of them before it."""
    families, asked = set(FAMILIES) - {ASIDE, "what"}, {}
    for attempt in range(100 * number, 100 * number + 100):
        made = ask([one.answer], sort, number=attempt, families=families)
        before = f"{made.words}\n{{ASCII_image}}"
        asked.setdefault(before if attempt % 3 == 0 else made.words, made.answer)
        if len(asked) == count:
            break
    return [replace(one, question=words, answer=answer) for words, answer in asked.items()]


def repeats(answer: str) -> bool:
    """Tell an answer that says the same line again and again."""
    lines = answer.splitlines()
    return len(lines) > 2 and len(lines) >= 2 * len(set(lines))


def sort_of(kind: str, answer: str) -> str:
    """Say what is asked about a picture: a digit, letter, number, word, scene or thing."""
    if kind == "scenes":
        return "scene"
    if kind in ("icons", "sketches", "clothes", UNKNOWN):
        return "thing"
    if len(answer) == 1:
        return "digit" if answer.isdigit() else "letter"
    return "number" if answer.isdigit() else "word" if answer.isalpha() else "code"


def make_kind(directory: Path, make: Make, plan: Plan) -> None:
    """Make the splits of a kind; no training icon has the text of one that is held out."""
    kind = directory.name
    found = {"test": records(kind, "test", TESTED.get(kind, 1000), make, plan)}
    if kind not in plan.drawn:  # ViTC
        save(directory, found, plan)
        return
    found["validation"] = records(kind, "validation", JUDGED, make, plan)
    held = {one.picture for own in found.values() for one in own} if "icons" in kind else set()
    train = records(kind, "train", plan.drawn[kind], make, plan)
    found["train"] = [one for one in train if one.picture not in held]
    save(directory, found, plan)


def main() -> None:
    """Read the options and make the datasets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in SOURCES:
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plan", choices=PLANS, default="sight", help="model that learns it")
    parser.add_argument("--kind", action="append", help="make this kind alone; repeat for several")
    given = parser.parse_args()
    for name in NEEDED[given.plan]:
        if getattr(given, name) is None:
            parser.error(f"--plan {given.plan} needs --{name}")
    plan = PLANS[given.plan]
    if plan.judged and (known := profile_of(given.clear)) != plan.profile:
        parser.error(f"--clear {given.clear}: its text is {known}; build it as the docstring says")
    make_all(given)


if __name__ == "__main__":
    main()
