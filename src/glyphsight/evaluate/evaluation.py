"""The evaluator: figures of one model on one task, beside chance, majority and the base model."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from statistics import fmean

import numpy as np

from glyphsight import parallel
from glyphsight.console import progress_bar, say
from glyphsight.dataset import Prompt
from glyphsight.dataset.drawing import PREFIX
from glyphsight.errors import ModelError
from glyphsight.evaluate.result import (
    METRICS_FILE,
    SAMPLES_FILE,
    Evaluation,
    Sample,
    SampleFile,
    Samples,
    Share,
)
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.statistics import per_class
from glyphsight.evaluate.tasks import Item, Task, open_task
from glyphsight.evaluate.tasks.base import likeliest
from glyphsight.evaluate.tasks.records import doubts
from glyphsight.files import JsonLog, checksum
from glyphsight.inference import Model, Request
from glyphsight.inference.score import probabilities
from glyphsight.models import LoadedModel, RunRecord, load_model
from glyphsight.models.tokens import merged_pictures
from glyphsight.parallel import HERE, Workers
from glyphsight.sampling import stratified_sample
from glyphsight.version import __version__

DEFAULTS = EvaluateSettings()


def evaluate(
    model: str | Path | LoadedModel | Model,
    task: str | Task,
    settings: EvaluateSettings = DEFAULTS,
    *,
    directory: Path | None = None,
    workers: Workers = HERE,
    quiet: bool = False,
) -> Evaluation:
    """Measure how well a model answers a task.

    Args:
        model: Name, run directory, path or hub id, which workers load for themselves; or a loaded
            model, which is sent to them.
        task: A task, or the name of its data, as
            :func:`~glyphsight.evaluate.tasks.open_task` takes it.
        settings: Split, limit, seed and how much is asked.
        directory: Directory where ``samples.jsonl`` is written as the answers come, so that memory
            does not grow with them and the same call resumes an evaluation that was stopped. None
            keeps the answers in memory.
        workers: Processes that score; by default this one.
        quiet: True for no progress bars.

    Raises:
        DatasetError: The data cannot be read.
        ModelError: The model cannot be loaded, or takes none of the items.
        GlyphsightError: Another evaluation is writing to the directory.
    """
    asks = model if isinstance(model, Model) else Model(model)
    loaded = asks.get()  # torch computes all figures, whatever engine answers single pictures
    run = loaded.run
    if isinstance(task, str):
        task = open_task(task, run, settings)
    task = task.limited(settings.limit, settings.seed)
    if task.plain and loaded.chat is not None:
        asks = Model(replace(loaded, chat=None))
    warnings = _reservations(asks, task)
    samples, seconds = _answer_all(
        asks, task, settings, directory=directory, workers=workers, quiet=quiet
    )
    tally = _Tally(task, samples)
    warnings = _too_long(task, tally, asks) + warnings
    before = None
    if run is not None and settings.zero_shot:
        try:
            before = _zero_shot(run, task, settings, tally.too_long, quiet=quiet)
        except ModelError as error:  # a run outlives its base; its own figures stand
            warnings.append(f"no figure from before its training: {error}")
    majority, count = Counter(task.truth).most_common(1)[0]
    groups = {name: Share.of(*own) for name, own in sorted(tally.groups.items())}
    groups = groups if len(groups) > 1 else {}
    ways = {"log-likelihood" if item.choices else "writing" for item in task.items}
    return Evaluation(
        model=asks.name,
        base=run.base if run else None,
        data=task.data,
        split=task.split,
        warnings=warnings,
        seed=settings.seed,
        score=Share.of(tally.right, len(task.items)),
        generation=Share.of(tally.written_right, tally.written) if tally.written else None,
        unreadable=tally.unreadable,
        majority=Share.of(count, len(task.items)),
        majority_label=majority,
        zero_shot=before,
        classes=per_class(tally.confusion, task.labels, tally.unread),
        labels=list(task.labels),
        confusion=tally.confusion.tolist(),
        scoring_seconds=seconds,
        samples=samples,
        too_long=len(tally.too_long),
        chance=_mean([len(one.answers) / len(one.choices) for one in task.items if one.choices]),
        groups=groups,
        macro=_mean([share.accuracy for share in groups.values()]),
        character_match=_mean(tally.partial),
        by="both" if len(ways) > 1 else ways.pop(),
        further=task.further(asks, samples) if task.further else {},
    )


def _reservations(model: Model, task: Task) -> list[str]:
    """Say why figures of a task may tell less than they seem to."""
    found, run = doubts(task, task.profile) if task.profile else [], model.run
    if task.profile and (why := merged_pictures(model.get().tokenizer, task.profile)):
        found.append(f"{model.name}: {why}")
    sums = {one.removeprefix(PREFIX) for one in run.training.get("data_sha256", [])} if run else ()
    if task.files and checksum(task.files) in sums:
        found.append(
            f"{task.files[0]}: the model was trained on these records; "
            "accuracy on them says little about other pictures"
        )
    return found


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


_Chunk = tuple[list[Item], set[int]]
"""Items that are scored together, and the rows of those the model also writes on."""


@dataclass(frozen=True)
class _Answering:
    """Answers chunks: outcomes, seconds of scoring and of writing; a worker keeps it."""

    model: Model
    prompt: Prompt
    read: Callable[[str, Item], str]
    longest: str  # answer to an item without choices: how long a reply may be
    batch_size: int
    progress: Callable[[int], object] | None = None

    def __call__(self, chunk: _Chunk) -> tuple[list[Sample], float, float]:
        (items, free), progress = chunk, self.progress or (lambda n: None)
        self.model.get()  # loaded before the clock starts
        start = time.monotonic()
        replies = {
            choices: tuple(map(self.prompt.reply, choices or (self.longest,)))
            for choices in {item.choices for item in items}
        }
        asked = [
            Request.among(item.choices, replies[item.choices], item.ask(self.prompt))
            for item in items
        ]
        too_long = self.model.too_long(asked)
        closed = [row for row, one in enumerate(items) if one.choices and row not in too_long]
        scores = self.model.score(
            [asked[row] for row in closed], batch_size=self.batch_size, progress=progress
        )
        chances = {
            row: dict(zip(items[row].choices, probabilities(own).tolist(), strict=True))
            for row, own in zip(closed, scores, strict=True)
        }
        scored = time.monotonic()
        wanted = {row for row, item in enumerate(items) if row in free or not item.choices}
        rows = sorted(wanted.difference(too_long))
        said = self.model.generate([asked[row] for row in rows], batch_size=self.batch_size)
        texts = dict.fromkeys(wanted, "") | dict(
            zip(rows, map(self.prompt.read_reply, said), strict=True)
        )
        progress(len(items) - len(closed))
        samples = [
            self._sample(item, chances.get(row, {}), texts.get(row), row in too_long)
            for row, item in enumerate(items)
        ]
        return samples, scored - start, time.monotonic() - scored

    def _sample(
        self, item: Item, chances: dict[str, float], text: str | None, too_long: bool
    ) -> Sample:
        found = None if text is None else self.read(text, item)
        answer = max(chances, key=chances.__getitem__, default="")
        if not item.choices and not too_long:
            answer = found or ""
        truth = answer if answer in item.answers else item.answers[0]
        chance, read = chances.get(answer, 0.0), None if found == text else found
        return Sample(
            item.ascii_image, truth, answer, chance, chances, text, item.group, read, too_long
        )


class _Tally:
    """Counts of the outcomes of a task; fields are as in :class:`Evaluation`."""

    def __init__(self, task: Task, samples: Samples) -> None:
        number = {label: row for row, label in enumerate(task.labels)}
        self.confusion = np.zeros((len(task.labels), len(task.labels)), dtype=np.int64)
        self.unread = np.zeros(len(task.labels), dtype=np.int64)
        self.too_long: dict[int, None] = {}
        self.right = self.written = self.written_right = self.unreadable = 0
        self.groups: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.partial: list[float] = []
        for row, (item, sample) in enumerate(zip(task.items, samples, strict=True)):
            if sample.too_long:
                self.too_long[row] = None
            self.right += sample.right
            group = self.groups[sample.group]
            group[0] += sample.right
            group[1] += 1
            if item.choices and sample.too_long:
                self.unread[number[sample.truth]] += 1
            elif item.choices:
                self.confusion[number[sample.truth], number[sample.answer]] += 1
            elif task.partial is not None:
                self.partial.append(task.partial(sample.answer, sample.truth))
            if (said := sample.written) is not None:
                self.written += 1
                self.written_right += said in item.answers
                self.unreadable += said not in item.choices if item.choices else not said


def _answer_all(
    model: Model,
    task: Task,
    settings: EvaluateSettings,
    *,
    directory: Path | None,
    workers: Workers,
    quiet: bool,
) -> tuple[Samples, float]:
    """Answer every item not answered yet; return the outcomes and the seconds of scoring."""
    kept: list[Sample] = []
    done, log = 0, None
    if directory is not None:
        log = JsonLog(directory / SAMPLES_FILE, _identity(model, task, settings), restart=True)
        (directory / METRICS_FILE).unlink(missing_ok=True)  # figures of other answers
        if log.count < len(task.items):
            log.truncate(log.count - log.count % settings.chunk)
        done = log.count
        if done and not quiet:
            say(f"glyphsight: {done} of {len(task.items)} answers are there; resuming after them")
    seconds, first = 0.0, done
    with (
        log or nullcontext(),
        progress_bar(
            total=len(task.items), initial=done, desc="score", unit="pic", disable=quiet
        ) as bar,
    ):
        open_answers = (a for item in task.items if not item.choices for a in item.answers)
        longest = max(open_answers, key=len, default="")
        progress = bar.update if workers.here else None
        answering = _Answering(
            model, task.prompt, task.read, longest, settings.batch_size, progress
        )
        before = None
        for samples, scoring, writing in parallel.map(
            answering, _chunks(task, settings, done), workers
        ):
            now, busy = time.monotonic(), scoring + writing
            passed = busy if before is None else now - before  # workers start before the first
            seconds += passed * scoring / busy
            before = now
            done += len(samples)
            if log is None:
                kept += samples
            else:
                log.append(sample.as_json() for sample in samples)
            if not workers.here:
                bar.update(len(samples))
    if done > first:
        seconds *= done / (done - first)
    return (kept if log is None else SampleFile(log.path, log.count)), seconds


def _chunks(task: Task, settings: EvaluateSettings, done: int) -> Iterator[_Chunk]:
    free = set(stratified_sample(task.truth, settings.generate, settings.seed).tolist())
    for start in range(done, len(task.items), settings.chunk):
        items = list(task.items[start : start + settings.chunk])
        yield items, {row for row in range(len(items)) if start + row in free}


def _identity(model: Model, task: Task, settings: EvaluateSettings) -> dict[str, object]:
    """Return all that the outcomes depend on."""
    return {
        "glyphsight": __version__,
        "model": _weights_digest(model.get()),
        "unknown_above": model.run.unknown_above if model.run else None,
        "data": task.data,
        "split": task.split,
        "task": task.digest(),
        "prompt": [task.prompt.question, task.prompt.answer, task.prompt.instruction],
        "seed": settings.seed,
        "generate": settings.generate,
        "batch_size": settings.batch_size,
        "chunk": settings.chunk,
    }


def _weights_digest(loaded: LoadedModel) -> str:
    """Return the SHA-256 of a model's weights, in hexadecimal."""
    import torch

    digest = sha256()
    for name, tensor in sorted(loaded.model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().view(-1)
        digest.update(memoryview(flat.view(torch.uint8).numpy()))
    return digest.hexdigest()


def _too_long(task: Task, tally: _Tally, model: Model) -> list[str]:
    """Return a warning where items exceed the model's window; refuse where all do."""
    if not tally.too_long:
        return []
    first, count, total = next(iter(tally.too_long)), len(tally.too_long), len(task.items)
    said = f"{task.name(first)}: exceeds the {model.window} tokens {model.name}"
    fix = "encode with fewer columns, or take a model with a longer window"
    if count == total:
        raise ModelError(f"{said} takes, as all records judged do; {fix}")
    return [f"{said} takes; {count} of {total} records do and count as wrong; {fix}"]


def _zero_shot(
    run: RunRecord, task: Task, settings: EvaluateSettings, too_long: Collection[int], quiet: bool
) -> Share | None:
    """Ask the base model as it was before training; an item too long to read counts as wrong."""
    rows = stratified_sample(task.truth, settings.zero_shot, settings.seed).tolist()
    rows = [row for row in rows if task.items[row].choices]
    items = [task.items[row] for row in rows if row not in too_long]
    if not items:
        return None
    chat = False if task.plain else run.chat or False
    base = Model(load_model(run.base, seed=run.seed, chat=chat, made_for=run.made_for))
    with progress_bar(total=len(items), desc="before training", unit="pic", disable=quiet) as bar:
        how = {"batch_size": settings.batch_size, "progress": bar.update}
        said = likeliest(base, items, task.prompt, **how)
    right = sum(one in item.answers for one, item in zip(said, items, strict=True))
    return Share.of(right, len(rows))
