"""Make a folder of labelled icons, drawn by many hands, out of icon sets that npm installs.

    npm install --prefix DIR $(python scripts/icons.py --list)
    python scripts/icons.py --packages DIR --out icons
    glyphsight dataset build --source folder:icons --out data

The first command installs @iconify-json/lucide, @iconify-json/tabler and the other sets of
``TRAIN`` and ``TEST``, at the versions written there. ``icons`` holds train/ANSWER/SET--NAME.png
and test/ likewise, white on black, and a LICENSE that names every set. No designer is in both
splits. A picture nearly the same as another of its answer is left out, so that no test icon that a
train set copied can be learnt by heart. Needs rsvg-convert (Debian: librsvg2-bin).
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import subprocess
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from glyphsight.files import replacing
from glyphsight.media.picture import save_picture

TRAIN = """
akar-icons@1.2.7 ant-design@1.2.9 basil@1.2.4 bx@1.2.3 bytesize@1.2.2 carbon@1.2.29 charm@1.2.3
ci@1.2.2 cil@1.2.3 cuida@1.2.5 ep@1.2.4 fa6-regular@1.2.4 fa6-solid@1.2.4 fe@1.2.4 feather@1.2.1
flowbite@1.2.7 fluent@1.2.60 fluent-mdl2@1.2.1 fontisto@1.2.1 gg@1.2.2 grommet-icons@1.2.4
heroicons@1.2.3 heroicons-outline@1.2.1 heroicons-solid@1.2.1 hugeicons@1.2.35
humbleicons@1.2.20 ic@1.2.4 icon-park-outline@1.2.4 icon-park-solid@1.2.4 iconamoon@1.2.2
ion@1.2.7 ix@1.2.12 jam@1.2.3 la@1.2.1 lets-icons@1.2.2 lineicons@1.2.6 lucide@1.2.137
material-symbols@1.2.98 mdi@1.2.3 mdi-light@1.2.2 meteor-icons@1.2.8 mi@1.2.2 mingcute@1.2.8
mynaui@1.2.19 nimbus@1.2.1 oi@1.2.0 ooui@1.2.24 pepicons-pencil@1.2.4 pepicons-pop@1.2.4
pepicons-print@1.2.2 ph@1.2.2 prime@1.2.5 proicons@1.2.20 qlementine-icons@1.2.16
radix-icons@1.2.6 raphael@1.2.1 ri@1.2.10 si@1.2.17 simple-line-icons@1.2.1 solar@1.2.13
stash@1.2.4 tabler@1.2.41 tdesign@1.2.19 uiw@1.2.4 weui@1.2.4 wpf@1.2.0 zondicons@1.2.2
"""
TEST = """
bi@1.2.7 clarity@1.2.4 eva@1.2.3 f7@1.2.2 gravity-ui@1.2.15 iconoir@1.2.11 mage@1.2.4
majesticons@1.2.5 octicon@1.2.36 pixelarticons@1.2.9 teenyicons@1.2.2 uil@1.2.3 vaadin@1.2.1
"""
"""Sets with their versions. Those of one designer, and copies of each other, are in one split."""

LICENCES = {"MIT", "Apache-2.0", "ISC", "CC-BY-4.0", "CC0-1.0", "OFL-1.1"}

NAMES = {
    "arrow": ["arrow up", "arrow upward", "arrow long up", "arrow up long"],
    "bell": ["bell", "notification", "notifications"],
    "bin": [
        "trash",
        "trash can",
        "trash bin",
        "trash empty",
        "trashcan",
        "bin",
        "delete bin",
        "delete",
    ],
    "book": ["book", "book closed", "book open", "open book"],
    "calendar": ["calendar", "calendar today", "calendar blank", "calendar days", "calendar month"],
    "camera": ["camera", "photo camera", "camera photo"],
    "cart": ["cart", "shopping cart", "cart shopping"],
    "clock": ["clock", "time", "access time", "clock circle"],
    "cloud": ["cloud"],
    "envelope": ["mail", "email", "envelope", "envelope closed"],
    "flag": ["flag"],
    "heart": ["heart", "favorite"],
    "house": ["home", "house", "homepage"],
    "key": ["key", "vpn key"],
    "lock": ["lock", "lock closed", "locked", "padlock"],
    "moon": ["moon", "dark mode"],
    "note": ["music", "music note", "musical note", "music notes", "musical notes", "audiotrack"],
    "person": ["user", "person", "account"],
    "phone": ["phone", "telephone", "call", "phone handset", "handset"],
    "star": ["star", "grade"],
}
"""Answer to the names that mean it, words of ``STYLES`` left out."""

NOT = """
eva:arrow-up-[fo]* ep:arrow-up* fe:arrow-up flowbite:arrow-up* ph:arrow-line-up*
simple-line-icons:arrow-up solar:round-arrow* zondicons:arrow-outline-up
ant-design:notification* bx:*notification ep:notification gg:notification* ix:notification*
mynaui:notification* ph:notification* ri:bell* tabler:notification* uiw:notification*
carbon:delete cil:delete feather:delete gravity-ui:delete jam:delete lucide:delete
mynaui:delete* oi:delete pixelarticons:delete* iconoir:bin jam:book bi:calendar-month*
fluent:calendar-month* fluent:calendar-today* gg:camera ic:camera ic:*[!o]-camera
material-symbols:camera* pepicons-*:camera* qlementine-icons:camera* icon-park-*:shopping-cart
solar:cart* uil:cart fluent:access-time* grommet-icons:time lets-icons:clock* mingcute:clock*
pepicons-*:clock-circle* tabler:clock-12 tabler:clock-24 grommet-icons:cloud
fluent-mdl2:mail-fill icon-park-outline:envelope mdi:mail clarity:favorite* fontisto:favorite
uil:favorite icon-park-outline:heart hugeicons:home-12 icon-park-*:light-house mage:home*
mingcute:house* carbon:key hugeicons:lock* raphael:locked *:dark-mode hugeicons:moon
carbon:account carbon:person fa6-solid:person ph:person* qlementine-icons:user* bi:phone*
bytesize:telephone ep:phone fluent:phone* gg:phone hugeicons:telephone icon-park-*:phone
jam:phone lineicons:phone oi:phone proicons:phone lets-icons:*duotone* fluent:*-12-*
fluent:*-16-* fluent:*-28-* fluent:*-32-* fluent:*-48-*
"""
"""Patterns of SET:NAME to leave out: another drawing of that name, a faint one, a size too many."""

SIDE, MARGIN = 64, 4
ALIKE = 0.02
"""Mean difference of two pictures, as a share of white, below which they are the same drawing."""

STYLES = re.compile(
    r"(fill|filled|outline|outlined|line|linear|bold|light|thin|regular|solid|sharp|rounded|round"
    r"|duotone|twotone|baseline|bxs?|12|16|20|24|28|32|48)"
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'width="{side}" height="{side}"><rect width="{side}" height="{side}"/><svg x="{margin}" '
    'y="{margin}" width="{inner}" height="{inner}" viewBox="{box}" color="#fff">{body}</svg></svg>'
)


def read(packages: Path, package: str, file: str) -> dict[str, Any]:
    """A JSON file of an icon set, whose version and licence must be those wanted."""
    name, _, version = package.partition("@")
    path = packages / "node_modules" / "@iconify-json" / name / file
    fix = f"npm install --prefix {packages} @iconify-json/{package}"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: cannot be read ({error}); run: {fix}") from None
    if file == "package.json" and content["version"] != version:
        raise SystemExit(f"{path}: is version {content['version']}; run: {fix}")
    return content


def plain_name(name: str) -> str:
    """The words of an icon's name without those of its style."""
    return " ".join(word for word in name.split("-") if not STYLES.fullmatch(word))


def svg_of(icons: dict[str, Any], icon: dict[str, Any], side: int, margin: int) -> str:
    """SVG text of an icon of a set."""
    whole = {"left": 0, "top": 0, "width": 16, "height": 16}
    whole |= {key: icons[key] for key in whole if key in icons} | icon
    box = " ".join(str(whole[key]) for key in ("left", "top", "width", "height"))
    return SVG.format(side=side, margin=margin, inner=side - 2 * margin, box=box, body=icon["body"])


def answer_of(name: str) -> str | None:
    """What an icon of this name shows, None where it is none of ours."""
    return next((answer for answer, names in NAMES.items() if plain_name(name) in names), None)


def drawings(icons: dict[str, Any]) -> dict[str, str]:
    """Name to SVG text of every icon that shows one of our things and is drawn upright."""
    aliases = icons.get("aliases", {})
    unwanted = NOT.split()
    found = {}
    for name in sorted([*icons["icons"], *aliases]):
        if answer_of(name) is None or any(
            fnmatch(f"{icons['prefix']}:{name}", no) for no in unwanted
        ):
            continue
        changes: dict[str, Any] = {}
        origin = name
        while origin in aliases:
            changes = aliases[origin] | changes
            origin = aliases[origin]["parent"]
        if changes.keys() & {"rotate", "hFlip", "vFlip"}:
            continue
        found[name] = svg_of(icons, icons["icons"][origin] | changes, SIDE, MARGIN)
    return found


def render(svg: str, where: str) -> NDArray[np.uint8]:
    """Gray pixels uint8[SIDE, SIDE] of an SVG text."""
    done = subprocess.run(["rsvg-convert"], input=svg.encode(), capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(
            f"{where}: cannot be drawn ({done.stderr.decode().strip()}); add it to NOT"
        )
    return np.asarray(Image.open(io.BytesIO(done.stdout)).convert("L"))


def make(packages: Path, out: Path) -> None:
    """Draw every icon of the sets, test first, and leave out what is there already."""
    kept: dict[str, list[NDArray[np.int16]]] = {answer: [] for answer in NAMES}
    counts: Counter[tuple[str, str]] = Counter()
    notices = []
    for split, sets in (("test", TEST), ("train", TRAIN)):
        for package in tqdm(sets.split(), desc=split, unit="set"):
            read(packages, package, "package.json")
            about = read(packages, package, "info.json")
            licence = about["license"]["spdx"]
            if licence not in LICENCES:
                raise SystemExit(f"{package}: its licence is {licence}; take it out of the sets")
            notices.append(f"{package}: {about['name']} by {about['author']['name']}, {licence}\n")
            name_of_set = package.partition("@")[0]
            for name, svg in drawings(read(packages, package, "icons.json")).items():
                answer = answer_of(name)
                assert answer is not None
                pixels = render(svg, f"{package}: {name}")
                wide = pixels.astype(np.int16)
                if any(np.abs(wide - old).mean() < 255 * ALIKE for old in kept[answer]):
                    counts["alike", answer] += 1
                    continue
                kept[answer].append(wide)
                counts[split, answer] += 1
                file = out / split / answer / f"{name_of_set}--{name}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                save_picture(pixels, file)
    with replacing(out / "LICENSE") as stream:
        stream.write("Icons of many sets, each under its own licence\n\n")
        stream.writelines(sorted(notices))
    print("| answer | train | test | left out, as another looks the same |\n|---|---|---|---|")
    for answer in [*NAMES, "all"]:
        every = NAMES if answer == "all" else [answer]
        sums = (sum(counts[what, one] for one in every) for what in ("train", "test", "alike"))
        print(f"| {answer} | " + " | ".join(f"{number:,}" for number in sums) + " |")


def main() -> None:
    """Say what is to be installed, or make the folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packages", type=Path, help="where npm installed the sets")
    parser.add_argument("--out", type=Path, help="folder to make")
    parser.add_argument("--list", action="store_true", help="print the packages and stop")
    given = parser.parse_args()
    if given.list:
        print(*(f"@iconify-json/{package}" for package in (TRAIN + TEST).split()))
        return
    if given.packages is None or given.out is None:
        parser.error("give --packages and --out, or --list")
    if shutil.which("rsvg-convert") is None:
        raise SystemExit("rsvg-convert: not found; install it (Debian: librsvg2-bin)")
    if given.out.exists():
        raise SystemExit(f"{given.out}: is there already; remove it or give another --out")
    make(given.packages, given.out)


if __name__ == "__main__":
    main()
