"""A training run from dataset directories to a model directory."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from glyphsight.codec import Profile
from glyphsight.console import say
from glyphsight.dataset import Record
from glyphsight.errors import ModelError, reason_of
from glyphsight.models import LoadedModel, RunRecord
from glyphsight.models.load import fast_bfloat16
from glyphsight.models.runs import HISTORY_FILE, UNKNOWN, read_history, resolve
from glyphsight.train.answers import fit_answers
from glyphsight.train.card import write_card
from glyphsight.train.data import collate
from glyphsight.train.job import Job, make_job, with_its_adapter
from glyphsight.train.progress import Progress, best_of, validate
from glyphsight.train.settings import ResolvedSettings, TrainSettings
from glyphsight.train.speed import compile_layers, compiles, fits_plain_attention
from glyphsight.train.state import (
    CHECKPOINTS,
    checkpoint_of,
    is_first_process,
    kept,
    last_checkpoint,
    nothing_left,
    refuse_existing,
    settings_to_resume,
    start_run,
)
from glyphsight.train.tasks import Names
from glyphsight.train.trainer import (
    AnswerTrainer,
    bound_caches,
    keep_frozen_weights_in,
    length_multiple,
    release_free_memory,
)


@dataclass(frozen=True)
class TrainReport:
    """Figures of a run."""

    run: str  # directory of the model
    records: int  # training records
    text_pieces: int  # pieces of plain text learned beside them
    steps: int  # optimizer steps
    seconds: float  # seconds of training over all resumes, validation included
    validation_accuracy: float | None  # share answered right, 0-1; None without such records
    validation_records: int  # number of these records
    validation_written: int  # of them, those whose open answers the model wrote
    kept_step: int  # step of the weights that are kept: those of the best validation
    accuracies: dict[str, float]  # accuracy by question, where there are several


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
            several, with one profile and one first wording, that are learned together. A dataset in
            a wording of its own keeps it; others take those of the run that the training starts
            from.
        model: Base model name, run directory, path or hub id. Under method ``lora`` an adapter is
            trained further; under ``full`` it is merged into its base first.
        run: Directory of the result: an ordinary transformers or PEFT directory with
            ``glyphsight.json``, ``settings.json``, ``history.jsonl`` and ``checkpoints/``.
        resolved: Settings and their origin. A resumed run takes those it was started with.
        names: Meanings of labels, where these do not say it; of several data a list of such, None
            where they do. They are kept with the run.
        resume: True to continue from the newest checkpoint in ``run``; a finished run is left as
            it is.
        quiet: True for no progress bar.

    Raises:
        DatasetError: The data cannot be read, or a record does not fit the model.
        ModelError: The model cannot be loaded, the run exists, or the resumed run differs; the loss
            is no longer a finite number or the disk is full: the last checkpoint is kept.

    Several processes (torchrun, accelerate launch) train one model on ``batch_size`` records each,
    as one process does on all of these; the first of them writes the run and the messages.
    """
    first = is_first_process()
    if resume:
        settings = settings_to_resume(run, resolved)
        if RunRecord.load(run):
            if first:
                say(f"{run}: has finished already; nothing to resume")
            return _report(run)
    else:
        if first:  # another process may have started the run already
            refuse_existing(run)
        resolved = with_its_adapter(resolved, model)
        settings = resolved.values
    bound_caches()
    set_seed(settings.seed)
    datasets = [data] if isinstance(data, Path) else data
    job = make_job(datasets, model, settings, names, run if resume else None)
    reached: tuple[int, Path | None] = (0, None)
    if resume:
        reached = last_checkpoint(run, remove_halves=first)
    elif first:
        start_run(run, job.inputs, resolved, job.own_words)
    with nothing_left(run) if first and not resume else nullcontext():
        trainer, progress = _make_trainer(run, job, settings, reached[0], quiet=quiet)
        release_free_memory()
        new = len(job.loaded.tokenizer) - job.known
        fit = partial(fit_answers, job.loaded, job.examples, job.known)
        if new and first and not quiet:
            say(f"glyphsight: new answers that have a token each, fitted to their pictures: {new}")
        if settings.method == "answers":
            step = progress.without_steps(fit)
        else:
            if new and not reached[0]:
                fit()
            step = _learn(run, trainer, progress, *reached)
    job.loaded.model.eval()
    if trainer.is_world_process_zero():
        try:
            best = _keep_best(run, trainer, step)
            record = _finished(job, best, step, progress.seconds())
            _publish(job.loaded, record, run)
            record.save(run)  # with it the run is finished
        except (SafetensorError, OSError) as error:
            raise _out_of_room(run, step, error) from error
        _warn_of_chance(record, job.validation, settings)
        _warn_of_unknown(record)
    trainer.accelerator.wait_for_everyone()
    return _report(run)


def _make_trainer(
    run: Path, job: Job, settings: TrainSettings, step: int, *, quiet: bool
) -> tuple[AnswerTrainer, Progress]:
    """Make the trainer of a run and what shows and keeps its progress."""
    model, tokenizer = job.loaded.model, job.loaded.tokenizer
    device, steps = model.device.type, job.steps(settings)
    lengths = [len(example.ids) for example in job.examples]
    multiple = length_multiple(lengths)
    longest = max(lengths) + multiple - 1
    wants_bf16 = settings.precision == "auto" and fast_bfloat16(device)
    dtype = torch.bfloat16 if wants_bf16 or settings.precision == "bf16" else None
    plain = device == "cpu" and dtype is not None
    if plain and fits_plain_attention(model, settings.batch_size, longest):
        # The backward pass of torch's fused attention (2.13) takes as long on a CPU as all matrix
        # products of a nano in bfloat16 (benchmarks/attention.py).
        model.set_attn_implementation("eager")
    tokens = steps * settings.batch_size * max(lengths)
    if compiles(settings, device, tokens * sum(one.numel() for one in model.parameters())):
        if not quiet:
            say("glyphsight: compiles the layers: the first step takes a minute or more")
        uneven = len(set(lengths)) > 1 or len(lengths) % settings.batch_size > 0
        compile_layers(model, dynamic=uneven, required=settings.compile == "on")
    if dtype is not None:
        keep_frozen_weights_in(model, dtype)
    judge = partial(validate, job.loaded, job.record, job.validation, dtype, quiet)
    progress = Progress(
        run / HISTORY_FILE,
        settings,
        records_seen=partial(job.records_seen, batch_size=settings.batch_size),
        validate=judge if job.validation else None,
        step=step,
        quiet=quiet,
    )
    arguments = TrainingArguments(
        output_dir=str(run / CHECKPOINTS),
        per_device_train_batch_size=settings.batch_size,
        max_steps=steps,
        max_grad_norm=settings.clip,
        bf16=dtype is not None,
        seed=settings.seed,
        use_cpu=device == "cpu",
        logging_strategy="no",  # Progress says when
        logging_nan_inf_filter=False,
        save_strategy="no",
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
    )
    trainer = AnswerTrainer(
        settings,
        job.examples,
        pace=progress.pace,
        model=model,
        args=arguments,
        data_collator=partial(collate, pad=tokenizer.pad_token_id, multiple=multiple),
        processing_class=tokenizer,
        callbacks=[progress],
    )
    trainer.pop_callback(PrinterCallback)
    return trainer, progress


def _learn(
    run: Path, trainer: AnswerTrainer, progress: Progress, step: int, checkpoint: Path | None
) -> int:
    """Train from a checkpoint, if there is one, to the end; return the step that is reached."""
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
        raise _out_of_room(run, trainer.state.global_step, error) from error
    except torch._dynamo.exc.TorchDynamoException as error:
        raise ModelError(
            f"{run}: stopped at step {trainer.state.global_step}: torch cannot compile a layer "
            f"({reason_of(error)}); {kept(run)}. Give the same command with --resume "
            "--set compile=off"
        ) from error
    return int(trainer.state.global_step)


def _out_of_room(run: Path, step: int, error: Exception) -> ModelError:
    return ModelError(
        f"{run}: stopped at step {step}: cannot be written ({reason_of(error)}); {kept(run)}. "
        "Make room, then give the same command with --resume"
    )


def _keep_best(run: Path, trainer: AnswerTrainer, step: int) -> dict[str, Any]:
    """Load the weights of the best validation where they are not the last; return its figures."""
    judged = [line for line in read_history(run / HISTORY_FILE) if "validation_accuracy" in line]
    best = best_of(judged)
    if not best or best == judged[-1]:
        return best | {"step": step}
    shares = "at step {step} ({0:.2f} % of {validation_records} validation records right)"
    here, last = (shares.format(100 * x["validation_accuracy"], **x) for x in (best, judged[-1]))
    if not (checkpoint := checkpoint_of(run, best["step"])).is_dir():
        say(f"glyphsight: warning: {run}: was better {here} than {last}, whose weights are kept")
        return judged[-1]
    trainer.restore_weights(checkpoint)
    say(f"glyphsight: {run}: keeps its weights {here}, the best, not those {last}")
    return best


def _publish(loaded: LoadedModel, record: RunRecord, run: Path) -> None:
    """Write the model beside its place, then move file by file, each atomically."""
    with tempfile.TemporaryDirectory(dir=run, prefix=".model-") as scratch:
        loaded.save(scratch)
        write_card(Path(scratch), run.resolve().name, record)
        for path in sorted(Path(scratch).iterdir()):
            path.replace(run / path.name)


def _finished(job: Job, best: dict[str, Any], step: int, seconds: float) -> RunRecord:
    """Return the record of the run with all figures of its training."""
    none = {"validation_accuracy": None, "validation_records": 0, "validation_written": 0}
    judged = {name: best[name] for name in (*none, "accuracies") if name in best}
    own = {"steps": step, "kept_step": best["step"], "seconds": seconds}
    training = job.record.training | own | none | judged | {"torch": str(torch.__version__)}
    threshold = best.get("unknown_above", RunRecord.unknown_above)
    return replace(job.record, training=training, unknown_above=threshold)


def _warn_of_chance(record: RunRecord, validation: list[Record], settings: TrainSettings) -> None:
    """Warn of a question whose accuracy is within two standard errors of its commonest answer."""
    figures = record.training
    for task in record.tasks:
        answers = Counter(one.answer for one in validation if one.question == task.question)
        accuracy = figures.get("accuracies", {}).get(task.question, figures["validation_accuracy"])
        if accuracy is None or len(answers) < 2 or not task.labels:
            continue
        (commonest, count), total = answers.most_common(1)[0], answers.total()
        share = count / total
        if accuracy <= share + 2 * math.sqrt(share * (1 - share) / total):
            whose = f"{task.question!r}: " if len(record.tasks) > 1 else ""
            more = "--set minutes" if settings.minutes else "--epochs"
            more = " or leave --method out" if settings.method == "answers" else f" or more {more}"
            trained = resolve(record.base).run is not None
            start = "" if trained else ", or start --from a trained run, such as nano-digits"
            say(
                f"glyphsight: warning: {whose}{100 * accuracy:.1f} % of {total} right is not "
                f"clearly better than always answering {commonest!r} ({100 * share:.1f} %): little "
                f"is learned yet. Give more records{more}{start}{_likely(record.profile)}"
            )


def _warn_of_unknown(record: RunRecord) -> None:
    """Warn where the run that the training started from can say ``unknown``, and this cannot."""
    before = resolve(record.base).run
    labels = {label for task in record.tasks for label in task.labels}
    if before and labels and UNKNOWN not in labels and UNKNOWN in before.tasks[0].labels:
        say(
            f"glyphsight: warning: {record.base} says {UNKNOWN!r} to what it does not know, and "
            f"this run cannot: add a folder {UNKNOWN} of other pictures to the data"
        )


def _likely(profile: Profile) -> str:
    """Name what pictures of people's own lack in a profile that neither turns nor frames them."""
    if profile.invert != "no" or profile.centre or profile.seeks_ink or profile.trim is not None:
        return ""
    return (
        ". Where they are dark on white, such as scans, dataset build --invert auto --centre helps"
    )


def _report(run: Path) -> TrainReport:
    record = RunRecord.load(run)
    if record is None:
        raise ModelError(f"{run}: the main process did not save the run; give --resume")
    known = {field.name: record.training.get(field.name, 0) for field in fields(TrainReport)}
    return TrainReport(
        **known | {"run": str(run), "accuracies": record.training.get("accuracies", {})}
    )
