"""Load every model in one way: ``smollm2-135m``, ``nano``, a trained run, a path or a hub id."""

from __future__ import annotations

import importlib.util
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from glyphsight.console import say
from glyphsight.errors import ModelError
from glyphsight.extras import need
from glyphsight.files import let_others_read
from glyphsight.models import nano, smollm2
from glyphsight.models.chat import Turns, chat_turns, has_template
from glyphsight.models.runs import NAMES, ModelSource, RunRecord, resolve


@contextmanager
def without_peft_warning() -> Iterator[None]:
    """Hide one warning that users can do nothing about.

    huggingface/peft (0.21, ``peft_model.py``) asks for ``is_gradient_checkpointing``, which
    transformers 5 renamed; what it gets is right.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "`is_gradient_checkpointing` is deprecated", category=FutureWarning
        )
        yield


def new_adapter(model: Any, rank: int, alpha: int) -> Any:
    """Put a trainable LoRA adapter of this rank and scale on every linear layer of a model.

    Raises:
        ModelError: The model's layers do not take one.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    try:
        with without_peft_warning():
            return _save_adapter_alone(get_peft_model(model, config))
    except ValueError as error:
        raise ModelError(
            f"method lora: the layers of this model take no adapter ({_reason(error)}); train "
            "with --method full"
        ) from error


def _save_adapter_alone(model: Any) -> Any:
    """Let a PEFT model save its adapter without asking a hub whether its base has grown."""
    model.save_pretrained = partial(model.save_pretrained, save_embedding_layers=False)
    return model


def require_four_bits(device: str) -> None:
    """Raise ModelError, with what is missing, where a base in 4 bits cannot be loaded."""
    import torch

    cuda = torch.cuda.is_available() and device.startswith("cuda")
    missing = [] if cuda else ["a CUDA device"]
    if importlib.util.find_spec("bitsandbytes") is None:
        missing.append("bitsandbytes (pip install bitsandbytes)")
    if missing:
        raise ModelError(
            f"method qlora: it needs {' and '.join(missing)}; train with --method lora"
        )


def four_bit_options(device: str) -> dict[str, Any]:
    """Give the arguments of ``from_pretrained`` that quantize linear layers to NF4.

    NF4 is of Dettmers et al. 2023. Not verified on a GPU.
    """
    import torch
    from transformers import BitsAndBytesConfig

    exact = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=exact,
    )
    return {"quantization_config": config, "device_map": {"": device}}


_FAST_BFLOAT16_PARAMETERS = 50_000_000
_CLEAR_GAIN = 1.2
_HUB_ANSWERS = 10  # seconds


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model ready to be trained or asked."""

    model: Any  # the transformers (or PEFT) model
    tokenizer: Any  # its tokenizer; ``pad_token_id`` and ``eos_token_id`` are set
    name: str  # name that the user gave the model
    run: RunRecord | None  # record of the training with glyphsight, None for a plain base model
    chat: Turns | None = None  # turns around a prompt and its answer, None for plain prompts

    @property
    def window(self) -> int | None:
        """Longest sequence that the model takes, in tokens; None when its config does not say."""
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return int(limit) if limit else None

    def save(self, directory: str | Path) -> None:
        """Write the weights, or the adapter alone, and the tokenizer into a directory."""
        self.model.save_pretrained(directory)
        self.tokenizer.save_pretrained(directory)
        let_others_read(*filter(Path.is_file, Path(directory).iterdir()))


@contextmanager
def as_base(loaded: LoadedModel) -> Iterator[LoadedModel]:
    """Yield the base of a run as it was before training; a base model itself.

    Of an adapter it is the same model with the adapter off, as long as the block lasts.
    """
    if (run := loaded.run) is None:
        yield loaded
    elif hasattr(loaded.model, "disable_adapter"):
        with loaded.model.disable_adapter():
            yield loaded
    else:
        yield load_model(run.base, seed=run.seed, made_for=run.made_for)


def fast_bfloat16(device_type: str = "cpu") -> bool:
    """Say whether bfloat16 arithmetic is clearly faster than float32 on this machine.

    A CPU is measured: its instructions alone do not tell. Of two machines with
    AVX-512 bf16, one multiplied bf16 matrices three times as fast as float32, the other half as
    fast.
    """
    import torch

    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device_type == "cpu" and _bfloat16_gain() > _CLEAR_GAIN


@lru_cache(maxsize=1)
def _bfloat16_gain() -> float:
    """Divide the time of a float32 matrix product by that of a bfloat16 one, on the CPU: 0.1 s."""
    import torch

    def seconds(dtype: Any) -> float:
        a, b = torch.ones(512, 576, dtype=dtype), torch.ones(576, 1536, dtype=dtype)
        taken = []
        for _ in range(5):
            start = time.perf_counter()
            a @ b
            taken.append(time.perf_counter() - start)
        return min(taken)

    return seconds(torch.float32) / seconds(torch.bfloat16)


def default_device() -> str:
    """Return ``cuda`` where there is one, else ``cpu``; ``$GLYPHSIGHT_DEVICE`` overrides."""
    import torch

    return os.environ.get("GLYPHSIGHT_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")


def _quiet_transformers() -> None:
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _reason(error: Exception) -> str:
    """Return the first line of an error, with the next where the first only announces it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def _require_on_hub(name: str) -> None:
    """Ask the hub once for a model that is not in its cache; a download asks for a minute."""
    from huggingface_hub import model_info, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        if not isinstance(try_to_load_from_cache(name, "config.json"), str):
            model_info(name, timeout=_HUB_ANSWERS)
    except RepositoryNotFoundError:
        raise ValueError("the hub has none of this name that may be read") from None
    except HFValidationError:
        raise
    except Exception as error:  # of whatever library carries the request
        raise ValueError(f"the hub cannot be asked: {_reason(error)}") from error


def _from_pretrained(source: ModelSource, in_four_bits: bool) -> tuple[Any, Any]:
    """Load a model, in float32 or 4 bits, and its tokenizer from a directory or the hub."""
    import torch
    from transformers import AutoModelForCausalLM

    if source.fault:
        raise ModelError(f"{source.name}: {source.fault}")
    if source.from_hub:
        say(f"{source.name}: no such directory here; asking the Hugging Face hub for it")
    location = _location(source)
    try:
        if source.from_hub:
            _require_on_hub(source.name)
        tokenizer = _read_tokenizer(location)
        model, found = AutoModelForCausalLM.from_pretrained(
            location,
            dtype=torch.float32,
            output_loading_info=True,
            **(four_bit_options(default_device()) if in_four_bits else {}),
        )
        if missing := sorted(found["missing_keys"]):
            raise ValueError(f"{len(missing)} weights are not in the file, such as {missing[0]}")
    except Exception as error:  # damaged or foreign files make the libraries raise almost anything
        reason = _reason(error)
        if source.from_hub:
            reason = f"no such directory here; {reason}"
        raise ModelError(
            f"{source.name}: cannot be loaded as a causal language model ({reason}); give "
            f"{', '.join(NAMES)}, a run directory, a transformers directory or a hub id"
        ) from error
    return model, tokenizer


def _location(source: ModelSource) -> str:
    """Return the directory or hub id that transformers loads."""
    if source.directory is not None:
        return str(source.directory)
    return str(smollm2.ensure_smollm2()) if source.name == smollm2.NAME else source.name


def model_tokenizer(name: str | Path) -> Any:
    """Load the tokenizer alone of a model, as transformers has it, or raise ModelError."""
    need("train")
    _quiet_transformers()
    source = resolve(name)
    if source.name == nano.NAME and source.directory is None:
        return nano.make_tokenizer()
    try:
        return _read_tokenizer(_location(source))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{name}: its tokenizer cannot be loaded ({_reason(error)}); copy the model again"
        ) from error


def _read_tokenizer(location: str) -> Any:
    """Load a tokenizer of transformers that has a token for padding."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(location)
    if tokenizer.pad_token_id is None:  # any token will do: nothing sees it
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def _load(
    source: ModelSource, seed: int, made_for: nano.MadeFor, training: bool, four_bits: bool
) -> tuple[Any, Any]:
    """Make a fresh nano, or load a model with its adapter where it has one; and the tokenizer."""
    directory, run = source.directory, source.run
    if directory is None and source.name == nano.NAME:
        if four_bits:
            raise ModelError("nano: is made fresh, not read in 4 bits; train with --method full")
        return nano.make_nano(seed, made_for=made_for)
    if run is None or source.adapter is None:
        return _from_pretrained(source, four_bits)
    try:
        base = resolve(run.base)
        model, tokenizer = _load(base, run.seed, run.made_for, training, four_bits)
    except ModelError as error:
        raise ModelError(f"{directory}: its adapter needs its base model {error}") from error
    try:
        with without_peft_warning():
            from peft import PeftModel

            adapted = PeftModel.from_pretrained(model, str(directory), is_trainable=training)
            return _save_adapter_alone(adapted), tokenizer
    except Exception as error:  # as in _from_pretrained
        raise ModelError(
            f"{directory}: its adapter does not load on {run.base} ({_reason(error)}); "
            "copy the run again or train it again"
        ) from error


def keep_head_fast(model: Any) -> None:
    """Let the output layer get its hidden states in one piece.

    Of the slice of the last positions torch multiplies once per picture, not once per batch.
    """
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(_in_one_piece)


def _in_one_piece(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    return given[0].contiguous(), *given[1:]  # of a module, so that the model can be pickled


def load_model(
    name: str | Path,
    *,
    seed: int = 0,
    training: bool = False,
    dtype: str | None = None,
    chat: Turns | bool | None = None,
    four_bits: bool = False,
    made_for: nano.MadeFor = nano.FOR_PUBLISHED,
) -> LoadedModel:
    """Load a base model or a trained run.

    Args:
        name: ``sight``, ``nano-digits`` or another run of the package, ``smollm2-135m``, ``nano``
            (made fresh from ``seed``), a run directory (whole model or PEFT adapter), or any path
            or hub id that ``AutoModelForCausalLM`` takes. A ``Path``, or ``"./nano"``, is a
            directory whatever its name.
        seed: Random seed for the weights of a fresh ``nano``.
        training: True for float32 weights; otherwise large models are cast to bfloat16 where
            that is faster.
        dtype: ``float32`` or ``bfloat16`` whatever is faster, so that several processes compute
            alike.
        chat: Turns to ask the model in; True for those of its tokenizer's chat template, False for
            plain prompts. None: as a run was trained; a base model in a chat where it has a
            template, but ``smollm2-135m`` and ``nano`` plainly.
        four_bits: True to quantize the base to NF4 with bitsandbytes, on CUDA alone. Not
            verified on a GPU.
        made_for: Texts that the tokenizer of a fresh ``nano`` is made for.

    Raises:
        ModelError: Says what could not be loaded and why.
    """
    need("train")
    import torch

    device = default_device()
    if four_bits:
        require_four_bits(device)
    _quiet_transformers()
    source = resolve(name)
    run = source.run
    model, tokenizer = _load(source, seed, made_for, training, four_bits)
    parameters = sum(p.numel() for p in model.parameters())
    if dtype is None and not training and parameters >= _FAST_BFLOAT16_PARAMETERS:
        dtype = "bfloat16" if fast_bfloat16(torch.device(device).type) else None
    if dtype is not None:
        model = model.to(getattr(torch, dtype))
    if not four_bits:  # which lies where it was quantized
        model = model.to(device)
    model = model.train(training)
    keep_head_fast(model)
    if chat is None:
        of_ours = source.name in NAMES and source.directory is None
        chat = run.chat if run else not of_ours and has_template(tokenizer)
    if chat is True:
        chat = run.chat if run and run.chat else chat_turns(tokenizer, source.name)
    return LoadedModel(model, tokenizer, source.name, run, chat or None)
