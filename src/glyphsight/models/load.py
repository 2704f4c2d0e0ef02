"""One way to load every model: ``smollm2-135m``, ``nano``, a trained run, a path or a hub id."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.dataset import Prompt
from glyphsight.errors import ModelError
from glyphsight.files import replacing
from glyphsight.models import nano, smollm2

RUN_FILE = "glyphsight.json"
_FAST_BFLOAT16_PARAMETERS = 50_000_000


@dataclass(frozen=True)
class RunRecord:
    """What a trained model needs to be asked as it was taught; saved as ``glyphsight.json``.

    Attributes:
        base: Name of the model it was trained from.
        seed: Seed of the run, which also made the weights of a fresh ``nano``.
        labels: The answers it was taught, sorted.
        prompt: The words around the picture.
        profile: How pictures were turned into text.
        training: What the training run measured: records, steps, seconds, accuracy.
    """

    base: str
    seed: int
    labels: list[str]
    prompt: Prompt = field(default_factory=Prompt)
    profile: Profile = PUBLISHED
    training: dict[str, Any] = field(default_factory=dict)

    def save(self, run: Path) -> None:
        """Write the record into the run directory."""
        with replacing(run / RUN_FILE) as stream:
            json.dump(asdict(self), stream, ensure_ascii=False, indent=2)
            stream.write("\n")

    @staticmethod
    def load(run: Path) -> RunRecord | None:
        """The record of a run directory, None where there is none.

        Raises:
            ModelError: The file is damaged.
        """
        file = run / RUN_FILE
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            return RunRecord(
                base=value["base"],
                seed=value["seed"],
                labels=value["labels"],
                prompt=Prompt(**value["prompt"]),
                profile=Profile(**value["profile"]),
                training=value["training"],
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{file}: damaged ({error!r}); train the run anew") from error


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model ready to be trained or asked.

    Attributes:
        model: The transformers (or PEFT) model.
        tokenizer: Its tokenizer; ``pad_token_id`` and ``eos_token_id`` are set.
        name: What the user called it.
        run: The record of its training with glyphsight, None for a plain base model.
    """

    model: Any
    tokenizer: Any
    name: str
    run: RunRecord | None

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def window(self) -> int | None:
        """Longest sequence the model takes, in tokens; None when its config does not say."""
        limit = getattr(self.model.config, "max_position_embeddings", None)
        return int(limit) if limit else None


def fast_bfloat16(device_type: str = "cpu") -> bool:
    """Whether bfloat16 arithmetic is faster than float32 on this machine."""
    import torch

    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device_type != "cpu":
        return False
    capable = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capable.get("avx512_bf16") or capable.get("amx_bf16") or capable.get("bf16"))


def default_device() -> str:
    """``cuda`` where there is one, else ``cpu``; ``$GLYPHSIGHT_DEVICE`` overrides."""
    import torch

    return os.environ.get("GLYPHSIGHT_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")


def _quiet_transformers() -> None:
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _from_pretrained(location: str, name: str) -> tuple[Any, Any]:
    """Model in float32 and tokenizer of a transformers directory or hub id."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(location)
        model = AutoModelForCausalLM.from_pretrained(location, dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        if not Path(name).exists():
            reason = "no such directory, and no model of that name to be had from the hub"
        raise ModelError(
            f"{name}: cannot be loaded as a causal language model ({reason}); give "
            f"{smollm2.NAME}, {nano.NAME}, a run directory, a transformers directory or a hub id"
        ) from error
    return model, tokenizer


def _base(name: str, seed: int) -> tuple[Any, Any]:
    if name == nano.NAME:
        return nano.make_nano(seed)
    location = str(smollm2.ensure_smollm2()) if name == smollm2.NAME else name
    return _from_pretrained(location, name)


def load_model(name: str, *, seed: int = 0, training: bool = False) -> LoadedModel:
    """Load a base model or a trained run.

    Args:
        name: ``smollm2-135m``, ``nano`` (made from scratch), a run directory (whole model or PEFT
            adapter), or any path or hub id that ``AutoModelForCausalLM`` takes.
        seed: Of the weights of a fresh ``nano``.
        training: Keep float32 weights; otherwise large models are cast to bfloat16 where that is
            faster.

    Raises:
        ModelError: Says what could not be loaded and why.
    """
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"{error.name} is not installed; language models need: pip install 'glyphsight[train]'"
        ) from error
    _quiet_transformers()
    directory = Path(name)
    run = RunRecord.load(directory) if directory.is_dir() else None
    if run is not None and (directory / "adapter_config.json").is_file():
        from peft import PeftModel

        model, tokenizer = _base(run.base, run.seed)
        model = PeftModel.from_pretrained(model, name, is_trainable=training)
    elif run is not None and not (directory / "config.json").is_file():
        raise ModelError(f"{name}: its training has not finished; go on with train --resume")
    else:
        model, tokenizer = _base(name, seed)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    device = default_device()
    parameters = sum(p.numel() for p in model.parameters())
    small = parameters < _FAST_BFLOAT16_PARAMETERS
    if not training and not small and fast_bfloat16(torch.device(device).type):
        model = model.to(torch.bfloat16)
    model = model.to(device).train(training)
    return LoadedModel(model, tokenizer, name, run)
