"""Build the page without a server: draw a digit, read its text, let nano-digits answer.

    python scripts/draw_page.py --out site/draw
    python -m http.server --directory site/draw

The page is ``browser/`` with the pad, the style and the font of serve's page. The model is what
``glyphsight export nano-digits --to onnx --quantize int8`` writes; onnxruntime-web and
@huggingface/tokenizers come from npm, of one version each, whose checksums are here.
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

from glyphsight.errors import GlyphsightError
from glyphsight.files import cache_dir, cached
from glyphsight.models.export import export

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


def model(out: Path) -> None:
    """Put the graph of nano-digits into a folder; it is exported once and kept in the cache."""
    made_of = (MODEL / "model.safetensors", Path(export.__code__.co_filename))
    key = hashlib.sha256(b"".join(file.read_bytes() for file in made_of)).hexdigest()[:16]
    kept = cached(
        cache_dir() / "browser" / key,
        lambda folder: export("nano-digits", "onnx", folder, "int8"),
    )
    shutil.copy(kept / "model.onnx", out)


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
    for name in ("index.html", "page.js", "codec.js", "app.css"):
        shutil.copy(ROOT / "browser" / name, out)
    for name in ("pad.js", "cells.woff"):
        shutil.copy(PAGE / name, out)
    style = (PAGE / "page.css").read_text("utf-8").replace("/page/cells.woff", "cells.woff")
    (out / "page.css").write_text(style, "utf-8")
    run = json.loads((MODEL / "glyphsight.json").read_text("utf-8"))
    about = {key: run[key] for key in ("prompts", "profile", "tasks")} | {
        key: json.loads((MODEL / f"{key}.json").read_text("utf-8"))
        for key in ("tokenizer", "tokenizer_config")
    }
    (out / "model.json").write_text(json.dumps(about, ensure_ascii=False), "utf-8")
    vendor(out)
    model(out)


if __name__ == "__main__":
    main()
