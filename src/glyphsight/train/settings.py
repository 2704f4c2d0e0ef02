"""Settings of a training run: values, defaults of the models, and where each value came from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from glyphsight.errors import ModelError
from glyphsight.files import write_json
from glyphsight.models import nano, smollm2
from glyphsight.settings import check, setting, settings_of

Origin = Literal["default", "model", "given"]


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training run.

    Attributes:
        method: Weights that are trained. full: all; lora: a PEFT adapter on every linear layer;
            qlora: the same on a base in 4 bits, which needs CUDA and bitsandbytes (never run on a
            GPU so far); answers: the output rows of the answers alone, of a trained nano, fitted in
            seconds and without steps.
        embedding_rate: Learning rate of the input embeddings, as a share of the others'; 0 freezes
            them.
        epochs: Passes over the training records; left out: one, or as many as minutes allow.
        max_steps: Steps of the run, whatever epochs says; -1: as epochs says.
        batch_size: Records per step; those that ask about one picture count as one where they share
            its text.
        learning_rate: Peak learning rate.
        hidden_learning_rate: Peak learning rate of Muon on the hidden matrices; 0: AdamW on all.
        minutes: Minutes of training after which the run ends, validation not counted; where steps
            are slow the learning rate falls by the clock. 0: no limit.
        warmup: Share of the run over which the learning rate rises.
        schedule: Fall of the learning rate.
        weight_decay: Decoupled weight decay.
        clip: Largest gradient norm; 0: no clipping.
        label_smoothing: Share of the target that is spread over all tokens.
        chat: Template of the prompt. yes: a user's turn of the tokenizer's chat template, the
            answer the assistant's; no: plain text; auto: as a run was trained, else yes where there
            is a template, but no for smollm2-135m and nano.
        text_share: Share of plain text among all that is learned, so that the model keeps its
            language. An adapter on a base model learns what that base says of the text; all
            weights, or a new adapter on a trained run, learn the text itself. 0: none.
        text_file: File of UTF-8 text for text_share; left out, text that the base model writes.
        lora_rank: Rank of the adapter.
        lora_alpha: Scale of the adapter, over its rank.
        precision: Arithmetic of a step: bf16 (autocast) or fp32; auto: bf16 where it is fast.
        compile: Compiled layers, which change no more than rounding. on: needs a C++ compiler on a
            CPU, Triton on CUDA; auto: in runs of some ten minutes at least, if torch can compile.
            A resumed run may differ.
        seed: Random seed for initial weights, order of records and dropout.
        most_labels: Distinct answers to a question beyond which its answers are open: the model
            writes them instead of choosing among labels.
        evaluations: Validations during the run; under minutes at most one every five minutes. They
            take a tenth of the time of the run at most. The weights of the best one are kept.
        validation_records: Validation records per dataset at most.
        checkpoints: Checkpoints during the run; under minutes as evaluations. The last two are
            kept, or the last and that of the best validation.
    """

    method: str = setting("full", choices=("full", "lora", "qlora", "answers"))
    embedding_rate: float = setting(1.0, low=0, high=1e3)
    epochs: float | None = setting(None, above=0, high=1e6)
    max_steps: int = setting(-1, low=-1)
    batch_size: int = setting(8, low=1, high=1_000_000)
    learning_rate: float = setting(3e-4, above=0, high=1e3)
    hidden_learning_rate: float = setting(0.0, low=0, high=1e3)
    minutes: float = setting(0.0, low=0, high=1e6)
    warmup: float = setting(0.05, low=0, high=1)
    schedule: str = setting("cosine", choices=("cosine", "linear", "constant"))
    weight_decay: float = setting(0.01, low=0, high=1e3)
    clip: float = setting(1.0, low=0, high=1e6)
    label_smoothing: float = setting(0.0, low=0, high=1)
    chat: str = setting("auto", choices=("auto", "yes", "no"))
    text_share: float = setting(0.0, low=0, high=0.9)
    text_file: str = setting("")
    lora_rank: int = setting(16, low=1, high=100_000)
    lora_alpha: int = setting(32, low=1, high=1_000_000)
    precision: str = setting("auto", choices=("auto", "bf16", "fp32"))
    compile: str = setting("auto", choices=("auto", "on", "off"))
    seed: int = setting(0, low=0, high=2**32 - 1)
    most_labels: int = setting(200, low=1)
    evaluations: int = setting(5, low=1, high=1_000_000)
    validation_records: int = setting(500, low=1)
    checkpoints: int = setting(5, low=1, high=1_000_000)

    def __post_init__(self) -> None:
        check(self, ModelError)
        if self.text_file and not self.text_share:
            raise ModelError("text_file: give text_share too, the share that is to be text")
        if self.max_steps == 0:
            raise ModelError("max_steps is 0; give at least 1, or -1 to let epochs decide")


MODEL_DEFAULTS: dict[str, dict[str, Any]] = {
    nano.NAME: {
        "batch_size": 64,
        "learning_rate": 2e-3,
        "hidden_learning_rate": 0.02,
        "weight_decay": 0.05,
        "validation_records": 2000,
    },
    smollm2.NAME: {"learning_rate": 2e-4, "warmup": 0.1, "embedding_rate": 0.0},
}
"""Defaults of a model that differ from the common ones; LOG.md has the trials behind them."""

ADAPTER_DEFAULTS: dict[str, dict[str, Any]] = {smollm2.NAME: {"learning_rate": 5e-4}}
"""Defaults of an adapter that differ from those of its model."""

TRAINED_DEFAULTS: dict[str, dict[str, Any]] = {nano.NAME: {"embedding_rate": 0.0}}
"""Defaults of a run that is trained further that differ from those of its model."""


_OF_ANSWERS = {"method", "seed", "most_labels", "validation_records"}
"""Settings that mean something under method answers."""


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
        write_json(path, table)


def resolve_settings(
    model: str, given: dict[str, Any], *, trained: bool = False
) -> ResolvedSettings:
    """Combine the defaults, the model's own and the given settings (None counts as not given).

    Raises:
        ModelError: A setting does not exist or has no such value.
    """
    known = settings_of(TrainSettings)
    given = {name: value for name, value in given.items() if value is not None}
    if unknown := set(given) - set(known):
        raise ModelError(
            f"unknown settings: {', '.join(sorted(unknown))}; give some of {', '.join(known)}"
        )
    idle = sorted(set(given) - _OF_ANSWERS)
    if given.get("method") == "answers" and idle:
        raise ModelError(f"method answers takes no steps; leave {', '.join(idle)} out")
    own = MODEL_DEFAULTS.get(model, {})
    if trained:
        own = own | TRAINED_DEFAULTS.get(model, {})
    if given.get("method", TrainSettings.method) != "full":
        own = own | ADAPTER_DEFAULTS.get(model, {})
    origin: dict[str, Origin] = {
        name: "given" if name in given else "model" if name in own else "default" for name in known
    }
    return ResolvedSettings(TrainSettings(**(own | given)), origin)


def saved_settings(path: Path) -> dict[str, Any]:
    """Read saved values by name; raise ModelError where the file is missing or damaged."""
    try:
        return {name: entry["value"] for name, entry in json.loads(path.read_text("utf-8")).items()}
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; start the run without --resume") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: damaged ({error!r}); start a new run") from error


def model_defaults(name: str) -> list[str]:
    """Return the defaults of models for a setting, each with the model's name."""
    return [
        f"{model}{kind}: {values[name]}"
        for kind, table in (
            ("", MODEL_DEFAULTS),
            (" as adapter", ADAPTER_DEFAULTS),
            (" trained further", TRAINED_DEFAULTS),
        )
        for model, values in table.items()
        if name in values
    ]
