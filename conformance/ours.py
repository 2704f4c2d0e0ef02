"""Answer the conformance set with glyphsight's own codec: the example of an adapter.

python conformance/run.py python conformance/ours.py
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.sound import spectrogram


def gray_of(case: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Read the gray picture of a case, or compute the spectrogram of its sound: uint8[H, W]."""
    if "samples" in case:
        samples = np.frombuffer(base64.b64decode(case["samples"]), dtype="<i2")
        return spectrogram(samples / 32768)
    pixels = np.frombuffer(base64.b64decode(case["pixels"]), dtype=np.uint8)
    return pixels.reshape(case["height"], case["width"])


def main() -> None:
    """Read cases, print texts."""
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for line in sys.stdin:
        case = json.loads(line)
        [text] = encode_batch(gray_of(case)[None], Profile(**case["profile"]))
        print(json.dumps({"name": case["name"], "text": text}))


if __name__ == "__main__":
    main()
