"""One model on one set: accuracy by log-likelihood and by writing, beside chance and majority."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glyphsight.console import progress_bar
from glyphsight.errors import GlyphsightError
from glyphsight.evaluate.result import (
    METRICS_FILE,
    REPORT_FILE,
    SAMPLES_FILE,
    STATE_FILE,
    Share,
)
from glyphsight.evaluate.tasks.base import Question, QuestionSet
from glyphsight.evaluate.tasks.replies import character_match, read_reply
from glyphsight.evaluate.tasks.spec import open_set
from glyphsight.files import replacing
from glyphsight.inference.score import (
    Completions,
    generate_replies,
    probabilities,
    score_choices,
)
from glyphsight.inference.tokenize import completion_ids, prompt_ids
from glyphsight.models import LoadedModel, load_model
from glyphsight.sampling import stratified_sample


@dataclass(frozen=True)
class SetSample:
    """One question's outcome.

    Attributes:
        art: The picture as text.
        answers: The right answers.
        answer: The choice with the highest log-likelihood; None without choices, and where the
            question was too long to read.
        probabilities: Of every choice, 0-1.
        generated: What the model wrote freely; None where it was not asked to.
        read: The answer found in that; None where there is none.
    """

    art: str
    answers: tuple[str, ...]
    answer: str | None
    probabilities: dict[str, float]
    generated: str | None
    read: str | None


@dataclass(frozen=True)
class SetEvaluation:
    """All figures of one model on one set.

    Attributes:
        model: What was evaluated.
        set: Kind of set.
        file: Its file.
        seed: Of the choice under a limit.
        score: Accuracy by log-likelihood; None where the set gives no choices.
        macro: The same as the mean over the set's groups; None where it has none.
        generation: Accuracy of free writing; None when not asked for.
        malformed: Freely written replies without an answer in them.
        character_match: Mean share of an answer's characters in what was written; None where there
            are choices or nothing was written.
        chance: Accuracy of guessing: the mean over questions of right answers by choices; None
            without choices.
        majority: Accuracy of always giving the commonest answer.
        majority_answer: That answer.
        too_long: Questions that exceed the model's window with their choices, or with their answers
            where there are none; counted as wrong.
        scoring_seconds: Of scoring by log-likelihood.
        samples: Every question's outcome.
    """

    model: str
    set: str
    file: str
    seed: int
    score: Share | None
    macro: float | None
    generation: Share | None
    malformed: int
    character_match: float | None
    chance: float | None
    majority: Share
    majority_answer: str
    too_long: int
    scoring_seconds: float
    samples: list[SetSample]

    def as_json(self) -> dict[str, Any]:
        """Everything but the samples, ``accuracy``, ``n`` and ``interval`` at the top.

        They are those by log-likelihood, or of writing where there are no choices; ``by`` says so.
        """
        whole = asdict(self)
        whole.pop("samples")
        score = whole.pop("score")
        by = "log-likelihood" if score else "writing"
        return (score or whole["generation"] or {}) | {"by": by} | whole

    def save(self, directory: Path) -> None:
        """Write ``samples.jsonl`` and ``metrics.json``.

        Raises:
            GlyphsightError: An evaluation of something else lies there.
        """
        require_place(directory)
        with replacing(directory / SAMPLES_FILE) as stream:
            for sample in self.samples:
                stream.write(json.dumps(asdict(sample), ensure_ascii=False) + "\n")
        with replacing(directory / METRICS_FILE) as stream:
            json.dump(self.as_json(), stream, ensure_ascii=False, indent=2)
            stream.write("\n")


def require_place(directory: Path) -> None:
    """Fail early where figures of a set would lie beside what another evaluation left.

    Raises:
        GlyphsightError: An evaluation of a dataset or source lies there.
    """
    for name in (STATE_FILE, REPORT_FILE):
        if (directory / name).exists():
            raise GlyphsightError(
                f"{directory / name}: an evaluation of a dataset or source lies there; give "
                "another --out"
            )


def _part(asked: QuestionSet, limit: int | None, seed: int) -> list[Question]:
    if limit is None:
        return asked.questions
    first = [question.answers[0] for question in asked.questions]
    return [asked.questions[row] for row in stratified_sample(first, limit, seed).tolist()]


def _readable(loaded: LoadedModel, questions: list[Question], asked: QuestionSet) -> list[int]:
    """Rows of the questions that fit the model's window with each of their choices or answers."""
    if loaded.window is None:
        return list(range(len(questions)))
    cutter, words, turns = loaded.tokenizer, asked.completion, loaded.chat
    rooms: dict[tuple[str, ...], int] = {}
    for question in questions:
        own = question.choices or question.answers
        if own not in rooms and question.choices:
            rooms[own] = Completions.of(cutter, [words.reply(one) for one in own], turns).longest
        elif own not in rooms:
            cut = completion_ids(cutter, [words.reply(a) for a in own], turns, end=False)
            rooms[own] = max(map(len, cut))
    prompts = prompt_ids(cutter, [question.prompt for question in questions], turns)
    return [
        row
        for row, (question, ids) in enumerate(zip(questions, prompts, strict=True))
        if len(ids) + rooms[question.choices or question.answers] <= loaded.window
    ]


def _macro(questions: Sequence[Question], right: Sequence[bool]) -> float | None:
    groups: dict[str, list[bool]] = defaultdict(list)
    for question, is_right in zip(questions, right, strict=True):
        groups[question.group].append(is_right)
    if not groups or not all(groups):
        return None
    return float(np.mean([np.mean(group) for group in groups.values()]))


def evaluate_set(
    model: str | Path | LoadedModel,
    spec: str,
    *,
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 32,
    generate: int = 200,
    quiet: bool = False,
) -> SetEvaluation:
    """Measure how well a model answers a text-art recognition set of others.

    The question is asked as plain text, without a chat template and without examples.

    Args:
        model: Name, run directory, path, hub id or a loaded model.
        spec: ``KIND:FILE``; see :func:`~glyphsight.evaluate.tasks.spec.open_set`.
        limit: Ask at most so many questions, stratified by answer.
        seed: Of that choice.
        batch_size: Sequences in a forward pass; changes speed alone.
        generate: Also let the model write freely on so many of them; on all of them where the set
            gives no choices.
        quiet: Show no progress bars.

    Raises:
        DatasetError: The set cannot be read.
        ModelError: The model cannot be loaded.
    """
    asked = open_set(spec)
    loaded = model if isinstance(model, LoadedModel) else load_model(model)
    loaded = replace(loaded, chat=None)
    questions = _part(asked, limit, seed)
    readable = _readable(loaded, questions, asked)
    to_score = [row for row in readable if questions[row].choices]

    started = time.monotonic()
    with progress_bar(total=len(to_score), desc="score", unit="question", disable=quiet) as bar:
        scores = score_choices(
            loaded,
            [questions[row].prompt for row in to_score],
            [questions[row].choices for row in to_score],
            asked.completion,
            batch_size=batch_size,
            progress=bar.update,
        )
    seconds = time.monotonic() - started
    said: dict[int, str] = {}
    chances: dict[int, dict[str, float]] = {}
    for row, found in zip(to_score, scores, strict=True):
        choices = questions[row].choices
        said[row] = choices[int(found.argmax())]
        chances[row] = dict(zip(choices, probabilities(found).tolist(), strict=True))

    open_ended = not any(question.choices for question in questions)
    written, tried = _write(
        loaded,
        asked,
        questions,
        readable,
        len(questions) if open_ended else generate,
        seed=seed,
        batch_size=batch_size,
        quiet=quiet,
    )
    read = {row: read_reply(text, questions[row].choices) for row, text in written.items()}
    scored = [row for row, question in enumerate(questions) if question.choices]
    right = [said.get(row) in questions[row].answers for row in scored]
    commonest, count = Counter(question.answers[0] for question in questions).most_common(1)[0]
    return SetEvaluation(
        model=loaded.name,
        set=asked.name,
        file=str(asked.file),
        seed=seed,
        score=Share.of(sum(right), len(scored)) if scored else None,
        macro=_macro([questions[row] for row in scored], right),
        generation=Share.of(sum(_is_right(read.get(r), questions[r]) for r in tried), len(tried))
        if tried
        else None,
        malformed=sum(answer is None for answer in read.values()),
        character_match=_mean(
            [character_match(read.get(r) or "", questions[r].answers[0]) for r in tried]
        )
        if open_ended
        else None,
        chance=_mean([len(questions[r].answers) / len(questions[r].choices) for r in scored]),
        majority=Share.of(count, len(questions)),
        majority_answer=commonest,
        too_long=len(questions) - len(readable),
        scoring_seconds=seconds,
        samples=[
            SetSample(
                question.art,
                question.answers,
                said.get(row),
                chances.get(row, {}),
                written.get(row),
                read.get(row),
            )
            for row, question in enumerate(questions)
        ],
    )


def _write(
    loaded: LoadedModel,
    asked: QuestionSet,
    questions: list[Question],
    readable: Sequence[int],
    count: int,
    *,
    seed: int,
    batch_size: int,
    quiet: bool,
) -> tuple[dict[int, str], list[int]]:
    """Let the model write on some of the questions.

    Returns:
        What it wrote by row, and the rows it was asked, those too long to read among them.
    """
    if count == 0:
        return {}, []
    first = [question.answers[0] for question in questions]
    tried = stratified_sample(first, count, seed).tolist()
    rows = sorted(set(tried) & set(readable))
    if not rows:
        return {}, tried
    answers = sorted(
        {a for row in rows for a in (*questions[row].choices, *questions[row].answers)}
    )
    with progress_bar(total=len(rows), desc="write", unit="question", disable=quiet) as bar:
        replies = generate_replies(
            loaded,
            [questions[row].prompt for row in rows],
            answers,
            asked.completion,
            batch_size=batch_size,
            progress=bar.update,
        )
    return dict(zip(rows, replies, strict=True)), tried


def _is_right(read: str | None, question: Question) -> bool:
    known = {answer.strip().casefold() for answer in question.answers}
    return read is not None and read.strip().casefold() in known


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
