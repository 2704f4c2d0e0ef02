"""Build the page without a server: draw a digit, read its text, let nano-digits answer.

    python scripts/draw_page.py --out site/draw
    python -m http.server --directory site/draw

The page is ``browser/`` with the style and the font of serve's page. The model is exported as ONNX
and its weights are rounded to int8; onnxruntime-web and @huggingface/tokenizers come from npm, of
one version each, whose checksums are here.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from glyphsight.errors import GlyphsightError
from glyphsight.files import cache_dir, cached

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "src" / "glyphsight" / "assets" / "nano-digits"
PAGE = ROOT / "src" / "glyphsight" / "serve" / "page"
PACKAGES = {
    "onnxruntime-web@1.30.0": (
        "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"],
    ),
    "@huggingface/tokenizers@0.2.0": (
        "sha512-LidMHe1FpcSYH4vcSjXooda34pC0M8m1gmDOv7SQi6Iv+ib1zX7J3sHBCC9/3FPCkn2k1b55FneVqMRxrr99pg==",
        ["tokenizers.min.mjs"],
    ),
}
"""Packages of npm: what their archives must hash to, and the files taken from ``dist/``."""


def fetch(package: str, checksum: str, file: Path) -> None:
    """Fetch a package's archive with npm and check it."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, package]
        try:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        except FileNotFoundError:
            raise GlyphsightError(f"npm is not here to fetch {package}; install nodejs") from None
        [archive] = Path(folder).glob("*.tgz")
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if f"sha512-{found}" != checksum:
            raise GlyphsightError(f"{package} hashes to sha512-{found}; do not use it")
        shutil.copy(archive, file)


def vendor(out: Path) -> None:
    """Put the files of both packages into a folder, with their licences."""
    for package, (checksum, names) in PACKAGES.items():
        key = hashlib.sha256(checksum.encode()).hexdigest()[:16]
        archive = cached(
            cache_dir() / "npm" / f"{key}.tgz",
            lambda file, package=package, checksum=checksum: fetch(package, checksum, file),
        )
        with tarfile.open(archive) as tar:
            for name in names:
                copied = tar.extractfile(f"package/dist/{name}")
                assert copied is not None, name
                (out / name).write_bytes(copied.read())


def export(out: Path) -> None:
    """Export nano-digits: token ids int64[1, N] to the scores of the next token, float32[1, V].

    The graph is made once and kept in the cache directory.
    """
    made_of = (MODEL / "model.safetensors").read_bytes() + Path(__file__).read_bytes()
    key = hashlib.sha256(made_of).hexdigest()[:16]
    shutil.copy(cached(cache_dir() / "browser" / f"{key}.onnx", make_graph), out / "model.onnx")


def make_graph(file: Path) -> None:
    """Write the graph, its weights rounded to int8."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()

    class Last(torch.nn.Module):
        """The scores after the last token alone."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any) -> Any:
            return self.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, 0]

    ids = torch.tensor([[2, 3, 4, 5, 6, 7]])
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / "exact.onnx"
        torch.onnx.export(
            Last().eval(),
            (ids,),
            str(exact),
            input_names=["ids"],
            output_names=["scores"],
            dynamic_shapes={"ids": {1: torch.export.Dim("tokens", min=2, max=2048)}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        quantize_dynamic(exact, file, weight_type=QuantType.QInt8, per_channel=True)


def main() -> None:
    """Copy, fetch, export, say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="directory of the page")
    out = parser.parse_args().out
    build(out)
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{out}: {len(list(out.iterdir()))} files, {size / 1e6:.1f} MB")


def build(out: Path) -> None:
    """Build the page into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    for name in ("index.html", "page.js", "pad.js", "codec.js", "app.css"):
        shutil.copy(ROOT / "browser" / name, out)
    shutil.copy(PAGE / "cells.woff", out)
    style = (PAGE / "page.css").read_text("utf-8").replace("/page/cells.woff", "cells.woff")
    (out / "page.css").write_text(style, "utf-8")
    run = json.loads((MODEL / "glyphsight.json").read_text("utf-8"))
    model = {key: run[key] for key in ("prompts", "profile", "tasks")} | {
        key: json.loads((MODEL / f"{key}.json").read_text("utf-8"))
        for key in ("tokenizer", "tokenizer_config")
    }
    (out / "model.json").write_text(json.dumps(model, ensure_ascii=False), "utf-8")
    vendor(out)
    export(out)


if __name__ == "__main__":
    main()
