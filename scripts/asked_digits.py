"""Make the two datasets of `sight-vqa`: digits to name, and digits to be asked about.

    python scripts/asked_digits.py CLEAR OUT

CLEAR is built of the pictures of ``scripts/clear_eyes.py`` in `sight`'s text, as
``scripts/sight.sh`` does. OUT/questions names each of 7,000 of its digits and asks seven questions
in free words about it, half of them in SmolLM2's chat template; five about each of 4,500 pairs of
digits and two about each of 1,400 triples, such as how many, with ``--sums`` always one for the
sum; after a fifth of the digits one about something else; and of 1,200 pictures that are unknown
what they are. OUT/names holds 14,000 pictures to name: digits that no question is about alone, and
what is unknown. ``--counts`` gives other numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from glyphsight.dataset import Prompt, Record, load_dataset, write_records
from glyphsight.dataset.questions import ASIDE, CHAT, FAMILIES, PLAIN, ask
from glyphsight.dataset.storage import MANIFEST, profile_of
from glyphsight.files import new_directory, write_json
from glyphsight.models.runs import UNKNOWN

COUNTS = (7000, 4500, 1400, 1200, 14000)
"""Single digits, pairs, triples and unknown pictures that are asked about; pictures to name."""
EACH = {1: 7, 2: 5, 3: 2}
"""Questions about so many pictures: what fits into a row of the training."""
LONGEST = 90
"""Most characters of an answer about something else."""
Row = list[Record]
Random = np.random.Generator


def asked_about(
    names: Sequence[str],
    texts: Sequence[str],
    number: int,
    wanted: int,
    families: set[str],
    alone: bool,
) -> Row:
    """Ask ``wanted`` questions about pictures, in the wording of row ``number``.

    Where one may not stand ``alone``, all begin with the pictures: a row of the training reads
    those once.
    """
    kind = "digit" if names[0] != UNKNOWN else "thing"
    found: dict[str, Record] = {}
    for attempt in range(1000 * number, 1000 * number + 1000):
        asked = ask(names, kind, number=attempt, chat=number % 2 == 1, families=families)
        first = "{ASCII_image}" not in asked.question or asked.question.startswith("{ASCII_image}")
        short = asked.family != ASIDE or len(asked.answer) <= LONGEST
        if short and (first or alone):
            found.setdefault(asked.question, Record(tuple(texts), asked.answer, asked.question))
        if len(found) == wanted:
            return list(found.values())
    raise SystemExit(f"{names}: fewer than {wanted} questions of {', '.join(sorted(families))}")


def rows_of(digits: Row, strange: Row, given: argparse.Namespace, random: Random) -> list[Row]:
    """Make rows: the questions about one picture or some, even ones plain, odd ones a chat."""
    rows: list[Row] = []
    about = [set(FAMILIES) - {ASIDE, "sort", "count"}] * 3 + [set(FAMILIES) - {ASIDE}]
    singles, pairs, triples, unknown, _ = given.counts
    for one in digits[:singles]:
        number, alone = len(rows), len(rows) % 10 < 2
        rows.append(
            asked_about([one.answer], [one.picture], number, EACH[1], about[number // 2 % 4], alone)
        )
        rows[-1].append(replace(one, question=""))
        if number % 10 in (4, 5):  # both wordings
            rows[-1] += asked_about([one.answer], [one.picture], number, 1, {ASIDE}, alone=True)
    for size in [2] * pairs + [3] * triples:
        some = random.choice(len(digits), size=size, replace=False)
        names, texts = zip(
            *((digits[row].answer, digits[row].picture) for row in some), strict=True
        )
        number, families = len(rows), set(FAMILIES) - {ASIDE}
        rows.append([])
        if given.sums:
            families.remove("sum")
            rows[-1] += asked_about(names, texts, number, 1, {"sum"}, alone=False)
        wanted = EACH[size] - given.sums
        rows[-1] += asked_about(names, texts, number, wanted, families, alone=False)
    for one in strange[:unknown]:
        rows.append(asked_about([UNKNOWN], [one.picture], len(rows), 1, {"what"}, alone=True))
    return rows


def dealt(rows: list[Row]) -> Row:
    """Order records so that one in two is of an even row: record i takes wording i modulo two."""
    plain, chat = ([one for row in rows[part::2] for one in row] for part in (0, 1))
    both = zip(plain, chat, strict=False)
    return [record for pair in both for record in pair]


def save(directory: Path, splits: dict[str, Row], wordings: tuple[Prompt, ...], like: Path) -> None:
    """Write a dataset whose text is that of another."""
    directory.mkdir(parents=True)
    for split, records in splits.items():
        write_records(records, directory / f"{split}.json")
    given = [asdict(one) for one in wordings]
    write_json(directory / MANIFEST, {"profile": asdict(profile_of(like)), "wordings": given})


def main() -> None:
    """Make both datasets."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clear", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=36)
    parser.add_argument("--sums", action="store_true", help="ask for every sum")
    parser.add_argument(
        "--counts",
        nargs=5,
        type=int,
        default=COUNTS,
        metavar=("DIGITS", "PAIRS", "TRIPLES", "UNKNOWN", "NAMES"),
        help="pictures to ask about, and to name",
    )
    given = parser.parse_args()
    random = np.random.default_rng(given.seed)
    every = load_dataset(given.clear, "train")
    every = [replace(every[row], source="") for row in random.permutation(len(every))]
    digits = [one for one in every if one.answer != UNKNOWN]
    strange = [one for one in every if one.answer == UNKNOWN]
    asked = dealt(rows_of(digits, strange, given, random))
    singles, *_, named = given.counts
    names = digits[singles:] + strange
    names = [names[row] for row in random.permutation(len(names))[:named]]
    held = load_dataset(given.clear, "validation")
    with new_directory(given.out) as out:
        save(out / "questions", {"train": asked}, (PLAIN, CHAT), given.clear)
        save(out / "names", {"train": names, "validation": held}, (PLAIN,), given.clear)
    print(f"{len(asked):,} questions, {len(names):,} names")


if __name__ == "__main__":
    main()
