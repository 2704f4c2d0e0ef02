"""A training run from a dataset directory to a model directory."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from glyphsight.console import say
from glyphsight.dataset import Prompt
from glyphsight.errors import ModelError
from glyphsight.files import checksum
from glyphsight.inference.score import best_labels
from glyphsight.models import LoadedModel, RunRecord
from glyphsight.models.load import fast_bfloat16
from glyphsight.models.runs import kind_places, records_of
from glyphsight.train.data import collate
from glyphsight.train.history import HISTORY_FILE, read_history
from glyphsight.train.job import (
    Job,
    chat_to_resume,
    check_same_inputs,
    is_first_process,
    make_job,
    refuse_existing,
    settings_to_resume,
    start_run,
    with_its_adapter,
    words_to_resume,
)
from glyphsight.train.kinds import Kind
from glyphsight.train.progress import Progress
from glyphsight.train.settings import ResolvedSettings, TrainSettings
from glyphsight.train.trainer import AnswerTrainer, UnwritableError, reason_of

Names = dict[str, str] | Sequence[dict[str, str] | None] | None
"""What answers stand for: of the one dataset, or of each of several."""

_CHECKPOINTS = "checkpoints"
_UNCERTAIN = 50
"""Steps between two losses at most where the clock may end a run long before its last step."""
_PAIRS = 2**19
"""Pairs of tokens in a batch up to which a CPU takes attention as plain matrix products."""


@dataclass(frozen=True)
class TrainReport:
    """What a run gave.

    Attributes:
        run: The model's directory.
        records: Training records.
        text_pieces: Pieces of plain text learnt beside them.
        steps: Optimizer steps.
        seconds: Of training, over all resumes, validation included.
        validation_accuracy: On validation records of all kinds at the end, 0-1; None without such
            records.
        accuracies: The same of each kind of pictures that has such records, by its name.
    """

    run: str
    records: int
    text_pieces: int
    steps: int
    seconds: float
    validation_accuracy: float | None
    accuracies: dict[str, float]


def _judged(job: Job, dtype: Any) -> dict[str, Any]:
    """Share of the validation records whose answer is the likeliest of their kind's labels.

    Returns:
        ``validation_accuracy`` of all; of several kinds also ``of_kind``, each by its name.
    """
    model = job.loaded.model
    was_training = model.training
    model.eval()
    shares = {}
    with torch.autocast(model.device.type, dtype=dtype, enabled=dtype is not None):
        for kind in job.kinds:
            if kind.validation:
                texts = [record.picture for record in kind.validation]
                said = best_labels(job.loaded, texts, kind.labels, kind.prompt)
                right = sum(a == r.answer for a, r in zip(said, kind.validation, strict=True))
                shares[kind.name] = right / len(kind.validation)
    model.train(was_training)
    sizes = {kind.name: len(kind.validation) for kind in job.kinds}
    judged: dict[str, Any] = {"validation_accuracy": _together(shares, sizes)}
    return judged if len(job.kinds) == 1 else judged | {"of_kind": shares}


def _together(shares: dict[str, float], sizes: dict[str, int]) -> float | None:
    """One share of all kinds' records; None where there are none."""
    count = sum(sizes[name] for name in shares)
    return sum(share * sizes[name] for name, share in shares.items()) / count if count else None


def _last_checkpoint(run: Path) -> tuple[int, Path | None]:
    """Step and path of the newest checkpoint written to its end (its state file comes last)."""
    found: list[tuple[int, Path | None]] = [(0, None)]
    for path in (run / _CHECKPOINTS).glob("checkpoint-*"):
        if (step := _whole_step(path)) is not None:
            found.append((step, path))
    return max(found, key=lambda pair: pair[0])


def _whole_step(checkpoint: Path) -> int | None:
    """Step of a checkpoint, None where it was not written to its end."""
    try:
        return int(json.loads((checkpoint / "trainer_state.json").read_text())["global_step"])
    except (OSError, ValueError, KeyError):
        return None


def _clear_halves(run: Path) -> None:
    """Take away checkpoints that a killed run did not write to their end."""
    for path in (run / _CHECKPOINTS).glob("checkpoint-*"):
        if _whole_step(path) is None:
            shutil.rmtree(path, ignore_errors=True)


def _kept(run: Path) -> str:
    """What a run that stops can be resumed from, in words."""
    step, checkpoint = _last_checkpoint(run)
    return f"the checkpoint of step {step} is kept" if checkpoint else "no checkpoint was due yet"


def _out_of_room(run: Path, step: int, reason: str) -> ModelError:
    return ModelError(
        f"{run}: stopped at step {step}: cannot be written ({reason}); {_kept(run)}. "
        "Make room, then give the same command with --resume"
    )


def _publish(loaded: LoadedModel, run: Path) -> None:
    """Write the model beside its place, then move file by file, each atomically."""
    with tempfile.TemporaryDirectory(dir=run, prefix=".model-") as scratch:
        loaded.model.save_pretrained(scratch)
        loaded.tokenizer.save_pretrained(scratch)
        for path in sorted(Path(scratch).iterdir()):
            path.replace(run / path.name)


def _known_names(names: Names, job: Job) -> list[dict[str, str]]:
    """What each kind's answers stand for: as given, else as the run gone on from has it.

    Raises:
        ModelError: An answer that is named is none of the data's.
    """
    given = [names] if isinstance(names, dict) else names or [None] * len(job.kinds)
    if len(given) != len(job.kinds):
        raise ModelError(f"names: give those of each of {len(job.kinds)} datasets, or None for one")
    for own, kind in zip(given, job.kinds, strict=True):
        if unknown := sorted(set(own or {}) - set(kind.labels)):
            known = ", ".join(kind.labels)
            what = "the data" if len(job.kinds) == 1 else kind.name
            raise ModelError(f"names: {unknown[0]!r} is no answer of {what}; these are: {known}")
    return [before if own is None else own for own, before in zip(given, job.names, strict=True)]


def _attend_fast(job: Job, batch_size: int) -> None:
    """Let attention be plain matrix products where a CPU learns short texts.

    The backward pass of torch's fused attention (2.13) takes as long on a CPU as all matrix
    products of a nano in bfloat16, and a fifth of a step of SmolLM2 (``benchmarks/attention.py``).
    Plain attention keeps every pair of tokens, so long texts stay with the fused one.
    """
    longest = max(len(example.ids) for example in job.examples.examples)
    if job.loaded.model.device.type == "cpu" and batch_size * longest**2 <= _PAIRS:
        job.loaded.model.set_attn_implementation("eager")


def _arguments(run: Path, job: Job, settings: TrainSettings, dtype: Any) -> TrainingArguments:
    steps = job.steps(settings)
    return TrainingArguments(
        output_dir=str(run / _CHECKPOINTS),
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


def train(
    data: Path | Sequence[Path],
    model: str,
    run: Path,
    resolved: ResolvedSettings,
    *,
    prompt: Prompt | None = None,
    names: Names = None,
    resume: bool = False,
    quiet: bool = False,
) -> TrainReport:
    """Fine-tune ``model`` on the training split of ``data`` and save it in ``run``.

    Args:
        data: A dataset directory, or one dataset file (then no validation accuracy is taken); or
            several, in texts of their own, that are learnt together: kinds of pictures, by the
            names of the directories. The run is asked the first, ``run/kinds/NAME`` another.
        model: Base model name, run directory, path or hub id. An adapter goes on being trained
            under method ``lora``; under ``full`` it is merged into its base first.
        run: Directory of the result: an ordinary transformers or PEFT directory with
            ``glyphsight.json``, ``settings.json``, ``history.jsonl`` and ``checkpoints/``.
        resolved: The settings and their origin. A resumed run takes those it was started with.
        prompt: Words around the picture; None: those the model was taught with, else the default.
        names: What answers stand for, where they do not say it; of several data a list of such,
            None where they do. Kept with the run.
        resume: Go on from the newest checkpoint in ``run``; a finished run is left as it is.
        quiet: Show no progress bar.

    Raises:
        DatasetError: The data cannot be read, or a record does not fit the model.
        ModelError: The model cannot be loaded, the run exists, or the resumed run differs; the loss
            is no longer a finite number or the disk is full: the last checkpoint is kept.

    Several processes (torchrun, accelerate launch) train one model on ``batch_size`` records each,
    as one process would on all of these; the first of them writes the run and says how it goes.
    """
    if resume:
        settings = settings_to_resume(run, resolved)
        if RunRecord.load(run):
            if is_first_process():
                say(f"{run}: has finished already; nothing to resume")
            return _report(run)
    else:
        if is_first_process():  # no other may look: it may have been made already
            refuse_existing(run)
        resolved = with_its_adapter(resolved, model)
        settings = resolved.values
    set_seed(settings.seed)
    turns = chat_to_resume(run) if resume else None
    words = words_to_resume(run) if resume else None
    several = [data] if isinstance(data, Path) else list(data)
    job = make_job(several, model, settings, prompt, chat=turns, kept_words=words)
    named = _known_names(names, job)
    if resume:
        check_same_inputs(run, job.inputs)
    elif is_first_process():
        start_run(run, job, resolved)

    _attend_fast(job, settings.batch_size)
    fast = fast_bfloat16(job.loaded.model.device.type)
    wants_bf16 = settings.precision == "bf16" or (settings.precision == "auto" and fast)
    dtype = torch.bfloat16 if wants_bf16 else None
    steps = job.steps(settings)
    step, checkpoint = _last_checkpoint(run) if resume else (0, None)
    if resume and is_first_process():
        _clear_halves(run)
    progress = Progress(
        run / HISTORY_FILE,
        records_seen=partial(job.records_seen, batch_size=settings.batch_size),
        accuracy=partial(_judged, job, dtype) if any(k.validation for k in job.kinds) else None,
        evaluations=settings.evaluations,
        checkpoints=settings.checkpoints,
        minutes=settings.minutes,
        step=step,
        quiet=quiet,
    )
    trainer = AnswerTrainer(
        settings,
        job.examples,
        pace=progress.pace,
        model=job.loaded.model,
        args=_arguments(run, job, settings, dtype),
        data_collator=partial(collate, pad=job.loaded.tokenizer.pad_token_id),
        processing_class=job.loaded.tokenizer,
        callbacks=[progress],
    )
    trainer.pop_callback(PrinterCallback)
    if checkpoint is not None and (step >= steps or progress.clock() >= 1):
        trainer.restore_weights(checkpoint)  # stopped after its last step, before it was saved
    else:
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except FloatingPointError as error:
            raise ModelError(
                f"{run}: stopped at step {trainer.state.global_step}: {error}; {_kept(run)} for "
                "--resume. Where it comes again, lower --learning-rate in a new run"
            ) from error
        except (UnwritableError, OSError) as error:
            raise _out_of_room(run, trainer.state.global_step, reason_of(error)) from error
        step = trainer.state.global_step
    job.loaded.model.eval()
    if trainer.is_world_process_zero():
        try:
            _publish(job.loaded, run)
            records = _records(run, job, named, step, progress.seconds())
            places = kind_places(run, [kind.name for kind in job.kinds])
            for place, record in reversed(list(zip(places, records, strict=True))):
                place.mkdir(parents=True, exist_ok=True)
                record.save(place)  # the run's own last: with it the run is finished
        except (SafetensorError, OSError) as error:
            raise _out_of_room(run, step, reason_of(error)) from error
        for kind, record in zip(job.kinds, records, strict=True):
            whose = "" if len(job.kinds) == 1 else f"{kind.name}: "
            _say_if_nothing_was_learnt(kind, whose, record.training["validation_accuracy"])
    trainer.accelerator.wait_for_everyone()
    return _report(run)


def _say_if_nothing_was_learnt(kind: Kind, whose: str, accuracy: float | None) -> None:
    """Tell a run that is no better than the commonest answer, within two standard errors of it."""
    if accuracy is None:
        return
    answers = Counter(one.answer for one in kind.validation)
    commonest, count = answers.most_common(1)[0]
    share = count / len(kind.validation)
    if len(answers) > 1 and accuracy <= share + 2 * math.sqrt(
        share * (1 - share) / len(kind.validation)
    ):
        say(
            f"glyphsight: warning: {whose}{100 * accuracy:.1f} % right is no better than always "
            f"answering {commonest!r} ({100 * share:.1f} %): nothing is learnt yet. Give more "
            "records or --epochs, or start --from a trained run, such as nano-digits"
        )


def _records(
    run: Path, job: Job, names: list[dict[str, str]], step: int, seconds: float
) -> list[RunRecord]:
    """The record of each kind, the run's own first."""
    judged = [line for line in read_history(run / HISTORY_FILE) if "validation_accuracy" in line]
    last = judged[-1] if judged else {}
    several = len(job.kinds) > 1
    own = job.kinds[0].name
    shares = last.get("of_kind", {}) if several else {own: last.get("validation_accuracy")}
    return [
        RunRecord(
            base=job.base,
            seed=job.base_seed,
            labels=kind.labels,
            prompt=kind.prompt,
            profile=kind.profile,
            chat=job.loaded.chat,
            base_profile=job.base_profile,
            names=named,
            weights="../.." if place else "",
            training={
                "kind": kind.name,
                **({"kinds": [kind.name for kind in job.kinds]} if several else {}),
                "records": kind.count,
                "text_pieces": job.text_pieces,
                "steps": step,
                "seconds": seconds,
                "validation_accuracy": shares.get(kind.name),
                "validation_records": len(kind.validation),
                "data_sha256": checksum(kind.files),
                "torch": str(torch.__version__),
            },
        )
        for place, (kind, named) in enumerate(zip(job.kinds, names, strict=True))
    ]


def _report(run: Path) -> TrainReport:
    taught = [record.training for record in records_of(run).values()]
    if not taught:
        raise ModelError(f"{run}: the main process did not save the run")
    shares, sizes = {}, {}
    for training in taught:
        name = training.get("kind", "")  # runs of before have one, without a name
        sizes[name] = training["validation_records"]
        if sizes[name] and training["validation_accuracy"] is not None:
            shares[name] = training["validation_accuracy"]
    return TrainReport(
        run=str(run),
        records=sum(training["records"] for training in taught),
        text_pieces=taught[0].get("text_pieces", 0),  # none in runs of before
        steps=taught[0]["steps"],
        seconds=taught[0]["seconds"],
        validation_accuracy=_together(shares, sizes),
        accuracies=shares,
    )
