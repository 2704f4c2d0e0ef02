"""What verbs share in talking to the user: JSON on standard output, words on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

from glyphsight.console import say

__all__ = ["print_json", "say"]


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")
