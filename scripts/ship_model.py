"""Put a trained run into the package, weights in float16.

    python scripts/ship_model.py runs/nano-digits src/glyphsight/assets/nano-digits
    python scripts/ship_model.py runs/sight src/glyphsight/assets/sight --base ID

The result is an ordinary transformers directory, or a PEFT adapter, with ``glyphsight.json``. An
adapter names the hub id of its base, ``--base``, for runtimes other than this. The model card,
``README.md``, is written by hand; what the run knows of its head is renewed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from glyphsight.models import LoadedModel, load_model
from glyphsight.models.nano import splitting_for
from glyphsight.models.runs import RUN_FILE, root_of
from glyphsight.train.card import CARD, head_card

_DROPPED = ("generation_config.json", "chat_template.jinja", "README.md")


def level_glyphs(loaded: LoadedModel) -> None:
    """Give output rows of tokens that no answer has their mean, which a wheel compresses away.

    Scores of labels do not change: they are of other rows. An output layer that is the embeddings
    too stays as it is, and so does a model that draws: it writes glyphs.
    """
    head, embeddings = loaded.model.get_output_embeddings(), loaded.model.get_input_embeddings()
    if head.weight is embeddings.weight or loaded.run.draws:
        return
    glyph = splitting_for(loaded.run.base_profile).glyph
    answers = {f" {answer}" for answer in loaded.run.base_answers}
    rows = [
        row
        for token, row in loaded.tokenizer.get_vocab().items()
        if re.search(glyph, token.removeprefix(" ") or token) and token not in answers
    ]
    with torch.no_grad():
        head.weight[rows] = head.weight[rows].mean(dim=0)


def main() -> None:
    """Load, cast, save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--base", metavar="ID", help="of an adapter: hub id of its base")
    parser.add_argument("--paper", action="store_true", help="find all ink in photographs")
    given = parser.parse_args()
    loaded = load_model(given.run, dtype="float32")
    if loaded.run is None:
        parser.error(f"{given.run} holds no {RUN_FILE}")
    adapters = getattr(loaded.model, "peft_config", {})
    if bool(adapters) != bool(given.base):
        parser.error("--base goes with an adapter, and an adapter with --base")
    if not adapters:
        level_glyphs(loaded)
    with tempfile.TemporaryDirectory() as scratch:
        loaded.model.to(torch.float16).save_pretrained(scratch)
        if not adapters:  # an adapter is cut by its base's tokenizer
            loaded.tokenizer.save_pretrained(scratch)
        if adapters:
            config = Path(scratch) / "adapter_config.json"
            named = json.loads(config.read_text("utf-8")) | {"base_model_name_or_path": given.base}
            config.write_text(json.dumps(named, indent=2, sort_keys=True) + "\n", "utf-8")
        given.target.mkdir(parents=True, exist_ok=True)
        for file in Path(scratch).iterdir():
            if file.name not in _DROPPED:
                shutil.copyfile(file, given.target / file.name)
        root = root_of(loaded.run)  # of the runs between, directories here, nobody else has any
        record = replace(loaded.run, base=root.base, seed=root.seed)
        if given.paper:
            record = replace(record, profile=replace(record.profile, paper=True))
        record.save(given.target)
    if (given.target / CARD).is_file():
        head_card(given.target, record)
    size = sum(path.stat().st_size for path in given.target.iterdir())
    print(f"{given.target}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
