"""One way to load every model: ``smollm2-135m``, ``nano``, a trained run, a path or a hub id."""

from __future__ import annotations

import importlib.util
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.console import say
from glyphsight.errors import ModelError
from glyphsight.extras import need
from glyphsight.models import nano, smollm2
from glyphsight.models.chat import Turns, chat_turns, has_template
from glyphsight.models.record import SETTINGS_FILE, RunRecord
from glyphsight.models.runs import RESERVED, SIGHT, spelled, trained_run, weights_of

_FAST_BFLOAT16_PARAMETERS = 50_000_000
_CLEAR_GAIN = 1.2
_HUB_ANSWERS = 10  # seconds


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model ready to be trained or asked.

    Attributes:
        model: The transformers (or PEFT) model.
        tokenizer: Its tokenizer; ``pad_token_id`` and ``eos_token_id`` are set.
        name: What the user called it.
        run: The record of its training with glyphsight, None for a plain base model.
        chat: The turns around a prompt and its answer, None where it is asked plainly.
    """

    model: Any
    tokenizer: Any
    name: str
    run: RunRecord | None
    chat: Turns | None = None

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def window(self) -> int | None:
        """Longest sequence the model takes, in tokens; None when its config does not say."""
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return int(limit) if limit else None

    @property
    def end_tokens(self) -> list[int]:
        """Ids of the tokens that end what it writes."""
        ends = {self.tokenizer.eos_token_id, self.chat.end if self.chat else None}
        return sorted(end for end in ends if end is not None)


@contextmanager
def without_peft_warning() -> Iterator[None]:
    """Keep one warning from users who can do nothing about it.

    huggingface/peft (0.21, ``peft_model.py``) asks for ``is_gradient_checkpointing``, which
    transformers 5 renamed; what it gets is right.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "`is_gradient_checkpointing` is deprecated", category=FutureWarning
        )
        yield


def new_adapter(model: Any, rank: int, alpha: int) -> Any:
    """A trainable LoRA adapter of this rank and scale on every linear layer of a model."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    with without_peft_warning():
        return _adapter_alone(get_peft_model(model, config))


def _adapter_alone(model: Any) -> Any:
    """Let a PEFT model save its adapter without asking a hub for its base.

    PEFT asks, at each checkpoint, whether the base's vocabulary has grown, which ours never does;
    where there is no network that takes its time and prints warnings that look like failures.
    """
    model.save_pretrained = partial(model.save_pretrained, save_embedding_layers=False)
    return model


def fast_bfloat16(device_type: str = "cpu") -> bool:
    """Whether bfloat16 arithmetic is clearly faster than float32 on this machine.

    A CPU is asked by multiplying: the instructions alone do not tell. Of two machines with
    AVX-512 bf16, one multiplied bf16 matrices three times as fast as float32, the other half as
    fast.
    """
    import torch

    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device_type == "cpu" and _bfloat16_gain() > _CLEAR_GAIN


@lru_cache(maxsize=1)
def _bfloat16_gain() -> float:
    """Time of a float32 matrix product over that of a bfloat16 one, on the CPU; takes 0.1 s."""
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
    """``cuda`` where there is one, else ``cpu``; ``$GLYPHSIGHT_DEVICE`` overrides."""
    import torch

    return os.environ.get("GLYPHSIGHT_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")


def _quiet_transformers() -> None:
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _reason(error: Exception) -> str:
    """The first line of an error, with the next where the first only announces it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return repr(error)
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def require_four_bits() -> None:
    """Fail early where a base in 4 bits cannot be had.

    Raises:
        ModelError: Names what is missing and the mend.
    """
    import torch

    missing = []
    if not torch.cuda.is_available() or not default_device().startswith("cuda"):
        missing.append("a CUDA device")
    if importlib.util.find_spec("bitsandbytes") is None:
        missing.append("bitsandbytes (pip install bitsandbytes)")
    if missing:
        raise ModelError(
            f"method qlora: it needs {' and '.join(missing)}; train with --method lora"
        )


def _four_bits() -> dict[str, Any]:
    """What ``from_pretrained`` takes to quantize linear layers to NF4 (Dettmers et al. 2023).

    Not verified on a GPU.
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
    return {"quantization_config": config, "device_map": {"": default_device()}}


def _require_on_hub(name: str) -> None:
    """Ask the hub once for a model that is not in its cache; a download asks again for a minute.

    Raises:
        ValueError: There is no such model, or the hub cannot be asked.
    """
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


def _from_pretrained(location: str, name: str, four_bits: bool = False) -> tuple[Any, Any]:
    """Model in float32 or 4 bits, and tokenizer, of a transformers directory or hub id."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    of_hub = name not in RESERVED and not Path(name).exists()
    if of_hub:
        if close := get_close_matches(name, RESERVED, n=1, cutoff=0.7):
            raise ModelError(f"{name}: no such directory here; is {close[0]} meant?")
        say(f"{name}: no such directory here; asking the Hugging Face hub for it")
    try:
        if of_hub:
            _require_on_hub(name)
        tokenizer = AutoTokenizer.from_pretrained(location)
        model, found = AutoModelForCausalLM.from_pretrained(
            location,
            dtype=torch.float32,
            output_loading_info=True,
            **(_four_bits() if four_bits else {}),
        )
        if missing := sorted(found["missing_keys"]):
            raise ValueError(f"{len(missing)} weights are not in the file, such as {missing[0]}")
    except Exception as error:  # damaged or foreign files make the libraries raise almost anything
        reason = _reason(error)
        if of_hub:
            reason = f"no such directory here; {reason}"
        raise ModelError(
            f"{name}: cannot be loaded as a causal language model ({reason}); give "
            f"{SIGHT}, {nano.NAME}, {smollm2.NAME}, a run directory, a transformers directory or a "
            "hub id"
        ) from error
    return model, tokenizer


def load_cut(name: str) -> Any:
    """The tokenizer of a model, as transformers has it, without the model.

    Args:
        name: ``smollm2-135m``, ``nano``, a path or hub id.

    Raises:
        ModelError: It cannot be loaded.
    """
    need("train")
    from transformers import AutoTokenizer

    _quiet_transformers()
    if name == nano.NAME:
        return nano.make_tokenizer()
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(smollm2.ensure_smollm2()) if name == smollm2.NAME else name
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"{name}: its tokenizer cannot be loaded ({_reason(error)})") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _base(name: str, seed: int, profile: Profile, four_bits: bool = False) -> tuple[Any, Any]:
    if name == nano.NAME:
        if four_bits:
            raise ModelError(f"{name}: is made anew, not read in 4 bits; train with --method full")
        return nano.make_nano(seed, profile=profile)
    location = str(smollm2.ensure_smollm2()) if name == smollm2.NAME else name
    return _from_pretrained(location, name, four_bits)


def _with_adapter(
    directory: Path, run: RunRecord, training: bool, four_bits: bool
) -> tuple[Any, Any]:
    """The base model of a run with the run's adapter on it, and the tokenizer."""
    from peft import PeftModel

    try:
        model, tokenizer = _base(run.base, run.seed, run.base_profile, four_bits)
    except ModelError as error:
        raise ModelError(f"{directory}: its adapter needs its base model {error}") from error
    try:
        with without_peft_warning():
            model = PeftModel.from_pretrained(model, str(directory), is_trainable=training)
            model = _adapter_alone(model)
    except Exception as error:  # as above
        raise ModelError(
            f"{directory}: its adapter does not load on {run.base} ({_reason(error)}); "
            "copy the run or train it anew"
        ) from error
    return model, tokenizer


def _keep_head_fast(model: Any) -> None:
    """Let the output layer get its hidden states in one piece.

    Logits are taken at the last positions alone, a slice that does not lie in one piece; torch then
    multiplies the whole vocabulary once a picture in place of once a batch.
    """
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(_in_one_piece)


def _in_one_piece(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    return given[0].contiguous(), *given[1:]  # of a module, so that the model can be pickled


def _begun_run(name: str) -> Path | None:
    """The directory that ``name`` means where training was begun in it, else None."""
    begun = name not in RESERVED and (Path(name) / SETTINGS_FILE).is_file()
    return Path(name) if begun else None


def load_model(
    name: str | Path,
    *,
    seed: int = 0,
    training: bool = False,
    untaught: bool = False,
    dtype: str | None = None,
    chat: Turns | bool | None = None,
    four_bits: bool = False,
    profile: Profile = PUBLISHED,
) -> LoadedModel:
    """Load a base model or a trained run.

    Args:
        name: ``sight``, ``smollm2-135m``, ``nano``, ``nano-fashion``, a run directory (whole model
            or PEFT adapter), or any path or hub id that ``AutoModelForCausalLM`` takes. ``nano`` is
            made from scratch to be trained; otherwise it is the one that comes with the package,
            taught digits.
            ``sight`` is the adapter of SmolLM2 that comes with it. A ``Path``, or ``"./nano"``, is
            a directory whatever it is called.
        seed: Of the weights of a fresh ``nano``.
        training: Keep float32 weights; otherwise large models are cast to bfloat16 where that is
            faster.
        untaught: Take ``nano`` as made from scratch all the same, to measure what it was before.
        dtype: ``float32`` or ``bfloat16`` whatever is faster, so that several processes compute
            alike.
        chat: Ask it in these turns, or in those of its tokenizer's chat template, or plainly. None:
            as a run was taught; a base model in a chat where it has a template, but
            ``smollm2-135m`` and ``nano`` plainly.
        four_bits: Quantize the base to NF4 with bitsandbytes, on CUDA alone. Not verified on a GPU.
        profile: How pictures become text, which the tokenizer of a fresh ``nano`` suits.

    Raises:
        ModelError: Says what could not be loaded and why.
    """
    need("train")
    import torch

    if four_bits:
        require_four_bits()
    _quiet_transformers()
    name = spelled(name)
    directory = trained_run(name, fresh_nano=training or untaught)
    run = RunRecord.load(directory) if directory else None
    if directory and run:
        directory = weights_of(directory, run)
        whole = RunRecord.load(directory) if run.weights else run
        if whole is None:
            raise ModelError(
                f"{name}: its weights are those of a run in {directory}, where there is none; "
                "copy the whole run"
            )
        run = replace(run, base=whole.base, seed=whole.seed, base_profile=whole.base_profile)
    if directory and run and (directory / "adapter_config.json").is_file():
        model, tokenizer = _with_adapter(directory, run, training, four_bits)
    elif (begun := directory or _begun_run(name)) and not (begun / "config.json").is_file():
        raise ModelError(
            f"{name}: its training has not finished; go on with the command that began it and "
            "--resume"
        )
    else:
        location = spelled(directory) if directory else name  # ./nano is no nano to be made
        model, tokenizer = _base(location, seed, profile, four_bits)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    device = default_device()
    parameters = sum(p.numel() for p in model.parameters())
    small = parameters < _FAST_BFLOAT16_PARAMETERS
    if dtype is None and not training and not small:
        dtype = "bfloat16" if fast_bfloat16(torch.device(device).type) else None
    if dtype is not None:
        model = model.to(getattr(torch, dtype))
    if not four_bits:  # which lies where it was quantized
        model = model.to(device)
    model = model.train(training)
    _keep_head_fast(model)
    if chat is None:
        chat = run.chat if run else name not in RESERVED and has_template(tokenizer)
    if chat is True:
        chat = run.chat if run and run.chat else chat_turns(tokenizer, name)
    return LoadedModel(model, tokenizer, name, run, chat or None)
