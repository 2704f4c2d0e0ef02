"""A training run from dataset directories to a model directory."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from glyphsight.console import say
from glyphsight.errors import ModelError
from glyphsight.models import LoadedModel, RunRecord
from glyphsight.models.load import fast_bfloat16
from glyphsight.models.runs import HISTORY_FILE, read_history
from glyphsight.train.data import collate
from glyphsight.train.job import Job, Names, make_job, with_its_adapter
from glyphsight.train.progress import Progress, validate
from glyphsight.train.settings import ResolvedSettings, TrainSettings
from glyphsight.train.state import (
    CHECKPOINTS,
    is_first_process,
    kept,
    last_checkpoint,
    read_begun,
    refuse_existing,
    remove_halves,
    settings_to_resume,
    start_run,
)
from glyphsight.train.trainer import (
    AnswerTrainer,
    bound_caches,
    keep_frozen_weights_in,
    length_multiple,
    reason_of,
    release_free_memory,
)

_UNCERTAIN = 50
"""Steps between two losses at most where the clock may end a run long before its last step."""
_PAIRS = 2**19
"""Pairs of tokens in a batch up to which a CPU takes attention as plain matrix products."""


@dataclass(frozen=True)
class TrainReport:
    """Figures of a run.

    Attributes:
        run: Directory of the model.
        records: Training records.
        text_pieces: Pieces of plain text learned beside them.
        steps: Optimizer steps.
        seconds: Seconds of training over all resumes, validation included.
        validation_accuracy: Share of the validation records answered right at the end, 0-1; None
            without such records.
        accuracies: The same by question, where there are several.
    """

    run: str
    records: int
    text_pieces: int
    steps: int
    seconds: float
    validation_accuracy: float | None
    accuracies: dict[str, float]


def train(
    data: Path | Sequence[Path],
    model: str | Path,
    run: Path,
    resolved: ResolvedSettings,
    *,
    names: Names = None,
    resume: bool = False,
    quiet: bool = False,
) -> TrainReport:
    """Fine-tune a model on the training split of datasets and save it in ``run``.

    Args:
        data: A dataset directory, or a dataset file (then no validation accuracy is taken); or
            several, with one profile, that are learned together. A dataset in a wording of its own
            keeps it; others take those of the run that the training starts from.
        model: Base model name, run directory, path or hub id. Under method ``lora`` an adapter is
            trained further; under ``full`` it is merged into its base first.
        run: Directory of the result: an ordinary transformers or PEFT directory with
            ``glyphsight.json``, ``settings.json``, ``history.jsonl`` and ``checkpoints/``.
        resolved: Settings and their origin. A resumed run takes those it was started with.
        names: Meanings of labels, where these do not say it; of several data a list of such, None
            where they do. They are kept with the run.
        resume: Whether to continue from the newest checkpoint in ``run``; a finished run is left as
            it is.
        quiet: Whether to show no progress bar.

    Raises:
        DatasetError: The data cannot be read, or a record does not fit the model.
        ModelError: The model cannot be loaded, the run exists, or the resumed run differs; the loss
            is no longer a finite number or the disk is full: the last checkpoint is kept.

    Several processes (torchrun, accelerate launch) train one model on ``batch_size`` records each,
    as one process does on all of these; the first of them writes the run and the messages.
    """
    begun = None
    if resume:
        settings = settings_to_resume(run, resolved)
        if RunRecord.load(run):
            if is_first_process():
                say(f"{run}: has finished already; nothing to resume")
            return _report(run)
        begun = read_begun(run)
    else:
        if is_first_process():  # another process may have started the run already
            refuse_existing(run)
        resolved = with_its_adapter(resolved, model)
        settings = resolved.values
    bound_caches()
    set_seed(settings.seed)
    job = make_job([data] if isinstance(data, Path) else data, model, settings, names, begun)
    reached: tuple[int, Path | None] = (0, None)
    if begun is not None:
        begun.check(run, job.inputs)
        reached = last_checkpoint(run)
        if is_first_process():
            remove_halves(run)
    elif is_first_process():
        start_run(run, job.inputs, resolved, job.own_words)
    trainer, progress = _make_trainer(run, job, settings, reached[0], quiet=quiet)
    release_free_memory()
    step = _learn(run, trainer, progress, *reached)
    job.loaded.model.eval()
    if trainer.is_world_process_zero():
        try:
            _publish(job.loaded, run)
            _finished(run, job, step, progress.seconds()).save(run)  # with it the run is finished
        except (SafetensorError, OSError) as error:
            raise _out_of_room(run, step, reason_of(error)) from error
        _warn_of_chance(run, job)
    trainer.accelerator.wait_for_everyone()
    return _report(run)


def _make_trainer(
    run: Path, job: Job, settings: TrainSettings, step: int, *, quiet: bool
) -> tuple[AnswerTrainer, Progress]:
    """Make the trainer of a run and what shows and keeps its progress."""
    _attend_fast(job, settings.batch_size)
    fast = fast_bfloat16(job.loaded.model.device.type)
    wants_bf16 = settings.precision == "bf16" or (settings.precision == "auto" and fast)
    dtype = torch.bfloat16 if wants_bf16 else None
    if dtype is not None:
        keep_frozen_weights_in(job.loaded.model, dtype)
    judge = partial(validate, job.loaded, job.record, job.validation, dtype, quiet)
    progress = Progress(
        run / HISTORY_FILE,
        settings,
        records_seen=partial(job.records_seen, batch_size=settings.batch_size),
        validate=judge if job.validation else None,
        step=step,
        quiet=quiet,
    )
    trainer = AnswerTrainer(
        settings,
        job.examples,
        pace=progress.pace,
        model=job.loaded.model,
        args=_arguments(run, job, settings, dtype),
        data_collator=partial(
            collate,
            pad=job.loaded.tokenizer.pad_token_id,
            multiple=length_multiple(len(one.ids) for one in job.examples),
        ),
        processing_class=job.loaded.tokenizer,
        callbacks=[progress],
    )
    trainer.pop_callback(PrinterCallback)
    return trainer, progress


def _attend_fast(job: Job, batch_size: int) -> None:
    """Let attention be plain matrix products where a CPU learns short texts.

    The backward pass of torch's fused attention (2.13) takes as long on a CPU as all matrix
    products of a nano in bfloat16, and a fifth of a step of SmolLM2 (``benchmarks/attention.py``).
    Plain attention keeps every pair of tokens, so long texts stay with the fused one.
    """
    longest = max(len(example.ids) for example in job.examples)
    if job.loaded.model.device.type == "cpu" and batch_size * longest**2 <= _PAIRS:
        job.loaded.model.set_attn_implementation("eager")


def _arguments(run: Path, job: Job, settings: TrainSettings, dtype: Any) -> TrainingArguments:
    steps = job.steps(settings)
    return TrainingArguments(
        output_dir=str(run / CHECKPOINTS),
        per_device_train_batch_size=settings.batch_size,
        max_steps=steps,
        max_grad_norm=settings.clip,
        bf16=dtype is not None,
        seed=settings.seed,
        use_cpu=job.loaded.model.device.type == "cpu",
        logging_steps=max(1, min(steps // 40, _UNCERTAIN) if settings.minutes else steps // 40),
        logging_nan_inf_filter=False,
        save_strategy="no",  # Progress says when
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
    )


def _learn(
    run: Path, trainer: AnswerTrainer, progress: Progress, step: int, checkpoint: Path | None
) -> int:
    """Train from a checkpoint, if there is one, to the end; return the step that is reached.

    Raises:
        ModelError: The loss is no longer a finite number or the disk is full.
    """
    if checkpoint is not None and (step >= trainer.args.max_steps or progress.clock() >= 1):
        trainer.restore_weights(checkpoint)  # stopped after its last step, before it was saved
        return step
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except FloatingPointError as error:
        raise ModelError(
            f"{run}: stopped at step {trainer.state.global_step}: {error}; {kept(run)} for "
            "--resume. Where it comes again, lower --learning-rate in a new run"
        ) from error
    except OSError as error:
        raise _out_of_room(run, trainer.state.global_step, reason_of(error)) from error
    return int(trainer.state.global_step)


def _out_of_room(run: Path, step: int, reason: str) -> ModelError:
    return ModelError(
        f"{run}: stopped at step {step}: cannot be written ({reason}); {kept(run)}. "
        "Make room, then give the same command with --resume"
    )


def _publish(loaded: LoadedModel, run: Path) -> None:
    """Write the model beside its place, then move file by file, each atomically."""
    with tempfile.TemporaryDirectory(dir=run, prefix=".model-") as scratch:
        loaded.save(scratch)
        for path in sorted(Path(scratch).iterdir()):
            path.replace(run / path.name)


def _last_validation(run: Path) -> dict[str, Any]:
    lines = [line for line in read_history(run / HISTORY_FILE) if "validation_accuracy" in line]
    return lines[-1] if lines else {}


def _finished(run: Path, job: Job, step: int, seconds: float) -> RunRecord:
    """Return the record of the run with all figures of its training."""
    judged = _last_validation(run)
    training = job.record.training | {
        "steps": step,
        "seconds": seconds,
        "validation_accuracy": judged.get("validation_accuracy"),
        "validation_records": judged.get("validation_records", 0),
        "torch": str(torch.__version__),
    }
    if "accuracies" in judged:
        training["accuracies"] = judged["accuracies"]
    return replace(job.record, training=training)


def _warn_of_chance(run: Path, job: Job) -> None:
    """Warn of a question whose accuracy is within two standard errors of its commonest answer."""
    judged = _last_validation(run)
    for task in job.record.tasks:
        answers = Counter(one.answer for one in job.validation if one.question == task.question)
        accuracy = judged.get("validation_accuracy")
        accuracy = judged.get("accuracies", {}).get(task.question, accuracy)
        if accuracy is None or len(answers) < 2 or not task.labels:
            continue
        (commonest, count), total = answers.most_common(1)[0], answers.total()
        share = count / total
        if accuracy <= share + 2 * math.sqrt(share * (1 - share) / total):
            whose = f"{task.question!r}: " if len(job.record.tasks) > 1 else ""
            say(
                f"glyphsight: warning: {whose}{100 * accuracy:.1f} % right is no better than "
                f"always answering {commonest!r} ({100 * share:.1f} %): nothing is learned yet. "
                "Give more records or --epochs, or start --from a trained run, such as nano-digits"
            )


def _report(run: Path) -> TrainReport:
    record = RunRecord.load(run)
    if record is None:
        raise ModelError(f"{run}: the main process did not save the run; give --resume")
    keys = ("records", "text_pieces", "steps", "seconds", "validation_accuracy")
    found = {key: record.training[key] for key in keys}
    return TrainReport(str(run), **found, accuracies=record.training.get("accuracies", {}))
