"""What a model that writes freely has answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_MARKS = " \t.,:;!?'\"`*()[]"


def read_reply(text: str, choices: Sequence[str]) -> str | None:
    """The answer in a reply: its first line, or the first word of it, marks around it taken off.

    Args:
        text: What the model wrote.
        choices: What it may have answered; empty where anything may be.

    Returns:
        The choice that the line or word is, whatever its case; without choices the first word.
        None where it is none of them.
    """
    line = next((line for line in text.splitlines() if line.strip()), "")
    words = line.split()
    word = words[0].strip(_MARKS) if words else ""
    if not choices:
        return word or None
    known = {choice.strip().casefold(): choice for choice in choices}
    return known.get(line.strip(_MARKS).casefold()) or known.get(word.casefold())


def character_match(said: str, answer: str) -> float:
    """Share of the characters of ``answer`` that are in what was said, whatever their order.

    The average match ratio of ViTC (Jiang et al. 2024), as its program counts it: the case is
    passed over and what was said is cut to the length of the answer. 0-1.
    """
    given, wanted = said.casefold()[: len(answer)], answer.casefold()
    return (Counter(given) & Counter(wanted)).total() / len(wanted)
