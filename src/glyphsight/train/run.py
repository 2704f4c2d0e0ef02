"""A training run from a dataset directory to a model directory."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from glyphsight.codec import Profile
from glyphsight.dataset import Prompt, Record, load_dataset
from glyphsight.dataset.storage import dataset_file
from glyphsight.errors import DatasetError, ModelError
from glyphsight.models.load import LoadedModel, RunRecord, fast_bfloat16, load_model
from glyphsight.models.score import score_labels
from glyphsight.train.data import collate, tokenize_records, torch_dtype
from glyphsight.train.history import HISTORY_FILE, SETTINGS_FILE, read_history
from glyphsight.train.progress import Progress
from glyphsight.train.settings import ResolvedSettings, TrainSettings, saved_settings
from glyphsight.train.trainer import AnswerTrainer

_INPUT_FILE = "input.json"
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class TrainReport:
    """What a run gave.

    Attributes:
        run: The model's directory.
        records: Training records.
        steps: Optimizer steps.
        seconds: Of training, over all resumes, validation included.
        validation_accuracy: On validation records at the end, 0-1; None without such records.
    """

    run: str
    records: int
    steps: int
    seconds: float
    validation_accuracy: float | None


def _validation(data: Path, limit: int) -> list[Record]:
    """The first validation records (their order is the source's), none when there is no split."""
    if not data.is_dir() or not (data / "validation.json").is_file():
        return []
    return load_dataset(data, "validation")[:limit]


def _accuracy(
    loaded: LoadedModel, records: list[Record], labels: list[str], prompt: Prompt, dtype: Any
) -> float:
    was_training = loaded.model.training
    loaded.model.eval()
    with torch.autocast(
        loaded.model.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None
    ):
        prompts = [prompt.ask(record.ascii_image) for record in records]
        best = score_labels(loaded, prompts, labels, prompt).argmax(axis=1)
    loaded.model.train(was_training)
    answers = [labels[index] for index in best.tolist()]
    right = sum(a == r.response for a, r in zip(answers, records, strict=True))
    return float(right / len(records))


def _with_adapter(loaded: LoadedModel, settings: TrainSettings) -> LoadedModel:
    if settings.method != "lora" or hasattr(loaded.model, "peft_config"):
        return loaded
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return LoadedModel(get_peft_model(loaded.model, config), loaded.tokenizer, loaded.name, None)


def _last_checkpoint(run: Path) -> Path | None:
    """The newest checkpoint that was written to its end (its state file comes last)."""
    found = []
    for path in (run / _CHECKPOINTS).glob("checkpoint-*"):
        try:
            state = json.loads((path / "trainer_state.json").read_text())
        except (OSError, ValueError):
            continue
        found.append((int(state["global_step"]), path))
    return max(found)[1] if found else None


def _check_same_run(run: Path, settings: TrainSettings, inputs: dict[str, str]) -> None:
    """A resumed run goes on with the same settings, data and model, or not at all."""
    saved = saved_settings(run / SETTINGS_FILE)
    for name, value in saved.items():
        if getattr(settings, name, None) != value:
            raise ModelError(
                f"{run}: was started with {name} {value}, not {getattr(settings, name, None)}; "
                "resume with the same settings or start a new run"
            )
    before = json.loads((run / _INPUT_FILE).read_text())
    for name, value in inputs.items():
        if before.get(name) != value:
            raise ModelError(
                f"{run}: was started with another {name} ({before.get(name)}, now {value}); "
                "resume with the same or start a new run"
            )


def _publish(loaded: LoadedModel, run: Path) -> None:
    """Write the model beside its place, then move file by file, each atomically."""
    with tempfile.TemporaryDirectory(dir=run, prefix=".model-") as scratch:
        loaded.model.save_pretrained(scratch)
        loaded.tokenizer.save_pretrained(scratch)
        for path in sorted(Path(scratch).iterdir()):
            path.replace(run / path.name)


def train(
    data: Path,
    model: str,
    run: Path,
    resolved: ResolvedSettings,
    *,
    prompt: Prompt | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> TrainReport:
    """Fine-tune ``model`` on the training split of ``data`` and save it in ``run``.

    Args:
        data: A dataset directory, or one dataset file (then no validation accuracy is taken).
        model: Base model name, run directory, path or hub id.
        run: Directory of the result: an ordinary transformers or PEFT directory with
            ``glyphsight.json``, ``settings.json``, ``history.jsonl`` and ``checkpoints/``.
        resolved: The settings and their origin.
        prompt: Words around the picture; None: those the model was taught with, else the default.
        resume: Go on from the newest checkpoint in ``run``.
        quiet: Show no progress bar.

    Raises:
        DatasetError: The data cannot be read, or a record does not fit the model.
        ModelError: The model cannot be loaded, the run exists, or the resumed run differs.
    """
    settings = resolved.values
    file = dataset_file(data, "train")
    records = load_dataset(file)
    if not records:
        raise DatasetError(f"{file}: holds no record to learn from")
    labels = sorted({record.response for record in records})
    inputs = {"model": model, "data": hashlib.sha256(file.read_bytes()).hexdigest()}
    if resume:
        _check_same_run(run, settings, inputs)
    elif (run / SETTINGS_FILE).exists():
        raise ModelError(f"{run}: holds a run already; add --resume or choose another --out")
    else:
        run.mkdir(parents=True, exist_ok=True)
        with (run / _INPUT_FILE).open("w", encoding="utf-8") as stream:
            json.dump(inputs | {"path": str(data)}, stream, indent=2)
        resolved.save(run / SETTINGS_FILE)

    set_seed(settings.seed)
    loaded = _with_adapter(load_model(model, seed=settings.seed, training=True), settings)
    words = prompt or (loaded.run.prompt if loaded.run else Prompt())
    examples = tokenize_records(loaded, records, words, str(file))
    validation = _validation(data, settings.validation_records)
    dtype = torch_dtype(settings.precision, fast_bfloat16(loaded.model.device.type))
    accuracy = partial(_accuracy, loaded, validation, labels, words, dtype) if validation else None

    steps = math.ceil(len(examples) / settings.batch_size * settings.epochs)
    steps = settings.max_steps if settings.max_steps > 0 else steps
    arguments = TrainingArguments(
        output_dir=str(run / _CHECKPOINTS),
        per_device_train_batch_size=settings.batch_size,
        max_steps=steps,
        learning_rate=settings.learning_rate,
        max_grad_norm=settings.clip,
        bf16=dtype is not None,
        seed=settings.seed,
        use_cpu=loaded.model.device.type == "cpu",
        logging_steps=max(1, steps // 40),
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=max(1, steps // settings.checkpoints),
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=False,
    )
    progress = Progress(
        run / HISTORY_FILE,
        settings.batch_size,
        accuracy,
        max(1, steps // settings.evaluations),
        quiet,
    )
    trainer = AnswerTrainer(
        settings,
        examples,
        model=loaded.model,
        args=arguments,
        data_collator=partial(collate, pad=loaded.tokenizer.pad_token_id),
        processing_class=loaded.tokenizer,
        callbacks=[progress],
    )
    trainer.pop_callback(PrinterCallback)
    checkpoint = _last_checkpoint(run) if resume else None
    started = time.monotonic()
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except FloatingPointError as error:
        raise ModelError(
            f"{run}: stopped at step {trainer.state.global_step}: {error}; the last checkpoint is "
            "kept. Lower --learning-rate in a new run"
        ) from error
    loaded.model.eval()
    _publish(loaded, run)
    history = read_history(run / HISTORY_FILE)
    accuracies = [line for line in history if "validation_accuracy" in line]
    seconds = float(history[-1]["seconds"]) if history else time.monotonic() - started
    report = TrainReport(
        str(run),
        len(records),
        trainer.state.global_step,
        seconds,
        float(accuracies[-1]["validation_accuracy"]) if accuracies else None,
    )
    RunRecord(
        base=loaded.run.base if loaded.run and settings.method == "lora" else model,
        seed=settings.seed,
        labels=labels,
        prompt=words,
        profile=_profile_of(data, records),
        training={
            "records": report.records,
            "steps": report.steps,
            "seconds": report.seconds,
            "validation_accuracy": report.validation_accuracy,
            "validation_records": len(validation),
            "data_sha256": inputs["data"],
            "torch": torch.__version__,
        },
    ).save(run)
    return report


def _profile_of(data: Path, records: list[Record]) -> Profile:
    """The profile the dataset was built with, as far as a dataset file alone tells it."""
    manifest = data / "manifest.json"
    if data.is_dir() and manifest.is_file():
        try:
            return Profile(**json.loads(manifest.read_text(encoding="utf-8"))["profile"])
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{manifest}: damaged ({error!r}); build the dataset anew"
            ) from error
    return Profile(width=int(records[0].size))
