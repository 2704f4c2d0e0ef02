"""Check a codec of any language against the conformance set. Python's standard library alone.

    python conformance/run.py COMMAND ...

The command gets one JSON object a line on its standard input, those of ``cases.jsonl`` without
``text``, and prints one a line on its standard output, in any order:
``{"name": ..., "text": ...}``, or ``{"name": ..., "refused": "why"}`` where it does not support a
field of the profile. Exit status 0: no text differs, none is missing, and at least one is right.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CASES = Path(__file__).with_name("cases.jsonl")


def difference(expected: str, found: object) -> str:
    """Say where a text first differs: its line, both ways."""
    if not isinstance(found, str):
        return f"gives {found!r} in place of a text; print a string"
    ours, theirs = expected.split("\n"), found.split("\n")
    for number, (right, wrong) in enumerate(zip(ours, theirs, strict=False), start=1):
        if right != wrong:
            return f"line {number} is {wrong!r}, must be {right!r}"
    return f"has {len(theirs)} lines, must have {len(ours)}; the last ends in a newline too"


def compare(
    cases: Iterable[dict[str, Any]], printed: str
) -> tuple[int, dict[str, str], dict[str, str]]:
    """Compare what a command printed with the cases.

    Returns:
        The number of right texts, the reasons of refusals and those of failures by name.
    """
    replies, failed = {}, {}
    for number, line in enumerate(printed.splitlines(), start=1):
        try:
            reply = json.loads(line)
            replies[reply["name"]] = reply
        except (ValueError, TypeError, KeyError):
            failed[f"line {number} of the output"] = "is no JSON object with a name; print one"
    right, refused = 0, {}
    for case in cases:
        name = case["name"]
        reply = replies.pop(name, None)
        if reply is None:
            failed[name] = "has no answer; print its text, or why it is refused"
        elif "refused" in reply:
            refused[name] = str(reply["refused"])
        elif reply.get("text") == case["text"]:
            right += 1
        else:
            failed[name] = difference(case["text"], reply.get("text"))
    failed |= dict.fromkeys(replies, "is no case; print the names that came")
    return right, refused, failed


def main() -> int:
    """Run the command, print what differs and how many are right."""
    parser = argparse.ArgumentParser(
        usage="run.py [--cases FILE] COMMAND ...", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--cases", type=Path, default=CASES, help="file of cases")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the codec and its arguments")
    given = parser.parse_args()
    if not given.command:
        parser.error("name the command of a codec, such as: python conformance/ours.py")
    cases = [json.loads(line) for line in given.cases.read_text("utf-8").splitlines()]
    asked = "".join(
        json.dumps({key: value for key, value in case.items() if key != "text"}) + "\n"
        for case in cases
    )
    done = subprocess.run(
        given.command, input=asked, stdout=subprocess.PIPE, encoding="utf-8", check=False
    )
    right, refused, failed = compare(cases, done.stdout)
    for name, why in sorted(refused.items()):
        print(f"refused  {name}: {why}")
    for name, why in failed.items():
        print(f"WRONG    {name}: {why}")
    if done.returncode:
        print(f"WRONG    the command ended with status {done.returncode}")
    print(f"{right} of {len(cases)} right, {len(refused)} refused, {len(failed)} wrong")
    return 1 if failed or done.returncode or not right else 0


if __name__ == "__main__":
    sys.exit(main())
