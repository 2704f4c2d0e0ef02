"""Make the tokenizer that ships with the package from SmolLM2's directory in the cache.

    python scripts/bundle_tokenizer.py ~/.cache/glyphsight/smollm2-135m

The directory is what ``glyphsight.models.smollm2.ensure_smollm2`` writes: its ``tokenizer.json``
has SmolLM2's own pre-tokenizer restored. Only spaces of the JSON are dropped before compression.
"""

from __future__ import annotations

import argparse
import json
import lzma
from pathlib import Path

from glyphsight.files import write

TARGET = Path(__file__).parents[1] / "src" / "glyphsight" / "assets" / "smollm2-tokenizer.json.xz"


def main(directory: str) -> None:
    """Write the package's tokenizer from the one in ``directory``."""
    value = json.loads((Path(directory) / "tokenizer.json").read_text(encoding="utf-8"))
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    write(TARGET, lzma.compress(text.encode("utf-8"), preset=9 | lzma.PRESET_EXTREME))
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", help="directory of the cached SmolLM2")
    main(parser.parse_args().directory)
