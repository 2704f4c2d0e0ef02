"""Put a trained run into the package, weights in float16.

    python scripts/ship_model.py runs/nano-digits src/glyphsight/assets/nano-digits

The result is an ordinary transformers directory with ``glyphsight.json``. The model card,
``README.md``, is written by hand and left alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from glyphsight.models import load_model
from glyphsight.models.load import RUN_FILE

_DROPPED = ("generation_config.json", "chat_template.jinja")


def main() -> None:
    """Load, cast, save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("target", type=Path)
    given = parser.parse_args()
    loaded = load_model(given.run)
    if loaded.run is None:
        parser.error(f"{given.run} holds no {RUN_FILE}")
    given.target.mkdir(parents=True, exist_ok=True)
    loaded.model.to(torch.float16).save_pretrained(given.target)
    loaded.tokenizer.save_pretrained(given.target)
    loaded.run.save(given.target)
    for name in _DROPPED:
        (given.target / name).unlink(missing_ok=True)
    size = sum(path.stat().st_size for path in given.target.iterdir())
    print(f"{given.target}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
