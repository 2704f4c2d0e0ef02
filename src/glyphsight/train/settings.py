"""Settings of a training run: each documented once, here, and shown so by the command line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from glyphsight.errors import ModelError
from glyphsight.files import replacing
from glyphsight.models import nano, smollm2

Origin = Literal["default", "model", "given"]


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class TrainSettings:
    """How a model is taught. The help of each field is its documentation."""

    method: str = _setting(
        "full",
        "full: all weights; lora: a PEFT adapter on every linear layer; qlora: the same on a base "
        "in 4 bits, which needs CUDA and bitsandbytes (never run on a GPU so far)",
    )
    embedding_rate: float = _setting(
        1.0, "learning rate of the input embeddings, as a share of the others'; 0: they stay"
    )
    epochs: float = _setting(1.0, "passes over the training records")
    max_steps: int = _setting(-1, "stop after so many steps, whatever epochs says; -1: do not")
    batch_size: int = _setting(8, "records a step")
    learning_rate: float = _setting(3e-4, "peak learning rate")
    hidden_learning_rate: float = _setting(
        0.0, "peak learning rate of Muon on the hidden matrices; 0: AdamW on everything"
    )
    minutes: float = _setting(
        0.0, "end within so many minutes: where steps are slow the rate falls by the clock; 0: off"
    )
    warmup: float = _setting(0.05, "share of the run over which the learning rate rises")
    schedule: str = _setting("cosine", "fall of the learning rate: cosine, linear or constant")
    weight_decay: float = _setting(0.01, "decoupled weight decay")
    clip: float = _setting(1.0, "largest gradient norm; 0: no clipping")
    label_smoothing: float = _setting(0.0, "share of the target spread over all tokens")
    chat: str = _setting(
        "auto",
        "yes: the prompt is a user's turn of the tokenizer's chat template and the answer the "
        "assistant's; no: plain text; auto: as a run was taught, else yes where there is a "
        "template, but no for smollm2-135m and nano",
    )
    text_share: float = _setting(
        0.0,
        "share of what is learnt that is plain text, so that the model goes on talking; an adapter "
        "on a base model learns to say of it what that base says, all weights, or a new adapter on "
        "a trained run, the text itself; 0: none",
    )
    text_file: str = _setting(
        "", "UTF-8 text that text_share is taken from; left out, what the base model itself writes"
    )
    lora_rank: int = _setting(16, "rank of the adapter")
    lora_alpha: int = _setting(32, "scale of the adapter, over its rank")
    precision: str = _setting("auto", "auto, bf16 (autocast) or fp32; auto: bf16 where it is fast")
    seed: int = _setting(0, "seed of weights, order and dropout")
    evaluations: int = _setting(
        5,
        "times the validation accuracy is taken during the run; by the clock (minutes) not more "
        "often than every five minutes",
    )
    validation_records: int = _setting(500, "validation records used for it")
    checkpoints: int = _setting(
        5, "checkpoints written during the run, the last two kept; by the clock as evaluations"
    )

    def __post_init__(self) -> None:
        choices = {
            "method": ("full", "lora", "qlora"),
            "schedule": ("cosine", "linear", "constant"),
            "precision": ("auto", "bf16", "fp32"),
            "chat": ("auto", "yes", "no"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ModelError(f"{name} {getattr(self, name)!r}: choose {' or '.join(allowed)}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:  # false for NaN too
                raise ModelError(f"{name} must be from {low:g} to {high:g}, not {value}")
        if self.text_file and not self.text_share:
            raise ModelError("text_file: give text_share too, the share that is to be text")
        if self.max_steps == 0:
            raise ModelError("max_steps must be above 0, or -1 to let epochs decide")


_TINY = 1e-12
_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (_TINY, 1e6),
    "max_steps": (-1, 1e12),
    "batch_size": (1, 1e6),
    "learning_rate": (_TINY, 1e3),
    "hidden_learning_rate": (0, 1e3),
    "embedding_rate": (0, 1e3),
    "minutes": (0, 1e6),
    "warmup": (0, 1),
    "weight_decay": (0, 1e3),
    "clip": (0, 1e6),
    "label_smoothing": (0, 1),
    "text_share": (0, 0.9),
    "lora_rank": (1, 1e5),
    "lora_alpha": (1, 1e6),
    "seed": (0, 2**32 - 1),
    "evaluations": (1, 1e6),
    "validation_records": (1, 1e9),
    "checkpoints": (1, 1e6),
}

MODEL_DEFAULTS: dict[str, dict[str, Any]] = {
    nano.NAME: {
        "batch_size": 64,
        "learning_rate": 2e-3,
        "hidden_learning_rate": 0.02,
        "embedding_rate": 0.0,
        "weight_decay": 0.05,
        "validation_records": 2000,
    },
    smollm2.NAME: {"learning_rate": 2e-4, "warmup": 0.1, "embedding_rate": 0.0},
}
"""What differs from the defaults for a model; LOG.md has the trials behind it."""

ADAPTER_DEFAULTS: dict[str, dict[str, Any]] = {smollm2.NAME: {"learning_rate": 5e-4}}
"""What differs from a model's own defaults for an adapter of it."""


@dataclass(frozen=True)
class ResolvedSettings:
    """Settings and where each came from: the default, the model's own default, or given."""

    values: TrainSettings
    origin: dict[str, Origin]

    def save(self, path: Path) -> None:
        """Write ``{name: {"value": ..., "origin": ...}}``."""
        table = {
            name: {"value": value, "origin": self.origin[name]}
            for name, value in asdict(self.values).items()
        }
        with replacing(path) as stream:
            json.dump(table, stream, indent=2)
            stream.write("\n")


def resolve_settings(model: str, given: dict[str, Any]) -> ResolvedSettings:
    """Defaults, then the model's own, then what was given (None counts as not given).

    Raises:
        ModelError: A setting does not exist or has no such value.
    """
    names = {f.name for f in fields(TrainSettings)}
    given = {name: value for name, value in given.items() if value is not None}
    if unknown := set(given) - names:
        raise ModelError(f"unknown settings: {', '.join(sorted(unknown))}")
    for setting in fields(TrainSettings):
        _check_type(setting.name, type(setting.default), given.get(setting.name, setting.default))
    own = MODEL_DEFAULTS.get(model, {})
    if given.get("method", TrainSettings.method) != "full":
        own = own | ADAPTER_DEFAULTS.get(model, {})
    origin: dict[str, Origin] = {
        name: "given" if name in given else "model" if name in own else "default" for name in names
    }
    return ResolvedSettings(TrainSettings(**(own | given)), origin)


def _check_type(name: str, kind: type, value: Any) -> None:
    """Raise ModelError where a value is not of a setting's kind; 2 will do for 2.0."""
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise ModelError(f"{name} is a {kind.__name__}, not {value!r}")


def saved_settings(path: Path) -> dict[str, Any]:
    """The values of a saved settings file, by name.

    Raises:
        ModelError: The file is missing or damaged.
    """
    try:
        return {name: entry["value"] for name, entry in json.loads(path.read_text()).items()}
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; there is no run to resume") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: damaged ({error!r}); start the run anew") from error


def parse_assignments(texts: list[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts, each value as the type of the setting.

    Raises:
        ModelError: No ``=``, an unknown name or a value of another type.
    """
    kinds: dict[str, type] = {f.name: type(f.default) for f in fields(TrainSettings)}
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in kinds:
            known = ", ".join(kinds)
            raise ModelError(f"--set {text}: give NAME=VALUE with a NAME of {known}")
        try:
            values[name] = kinds[name](value)
        except ValueError:
            raise ModelError(f"--set {text}: {name} is a {kinds[name].__name__}") from None
    return values


def settings_help() -> str:
    """One line a setting: name, default, what it does, and a model's own default."""
    lines = []
    for setting in fields(TrainSettings):
        own = [
            f"{model}{what} {values[setting.name]}"
            for what, table in (("", MODEL_DEFAULTS), (" as adapter", ADAPTER_DEFAULTS))
            for model, values in table.items()
            if setting.name in values
        ]
        default = "; ".join([str(setting.default), *own])
        lines.append(f"  {setting.name} [{default}]: {setting.metadata['help']}")
    return "\n".join(lines)
