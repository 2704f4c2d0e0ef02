"""Questions and answers of a run, worked out of the records that it learns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from glyphsight.errors import ModelError
from glyphsight.files import normal
from glyphsight.models.runs import RunRecord, Task
from glyphsight.train.learned import LearnedDataset

Names = dict[str, str] | Sequence[dict[str, str] | None] | None
"""Meanings of labels: of one dataset, or of each of several, None where labels say it."""
MOST_QUESTIONS = 100
"""Largest number of questions that a run lists all; one that is trained on more is free."""
_FREQUENT = 20  # records of an answer
_MOST_ANSWERS = 2000
_LONG_ANSWER = 40


def make_tasks(
    datasets: Sequence[LearnedDataset], names: Names, before: RunRecord | None, most_labels: int
) -> tuple[Task, ...]:
    """Group the records of datasets by question; ``before`` names labels that ``names`` does not.

    Of more than :data:`MOST_QUESTIONS` questions, of which the run is free, those are listed of
    which each label has 20 records, on average, and at most 40 characters: fewer may leave a label
    out, and whole sentences are no labels. The commonest is listed in any case.

    Raises:
        ModelError: A named answer is none of the data's, or names are not those of each dataset.
    """
    listed = [names] if isinstance(names, dict) else list(names or [None] * len(datasets))
    given = [{normal(label): name for label, name in (own or {}).items()} for own in listed]
    if len(given) != len(datasets):
        raise ModelError(f"names: give those of each of {len(datasets)} datasets, or None for one")
    answers: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    meanings: dict[str, dict[str, str]] = {}
    if before is not None:
        meanings = {task.question: task.names for task in before.tasks}
    for one, own in zip(datasets, given, strict=True):
        if one.draws:
            continue
        records = one.records + one.validation
        known = {record.answer for record in records}
        if unknown := sorted(set(own) - known):
            raise ModelError(
                f"names: {unknown[0]!r} is no answer of {one.where}; give some of "
                f"{', '.join(sorted(known)[:most_labels])}"
            )
        for record in records:
            answers.setdefault(record.question, set()).add(record.answer)
            counts[record.question] += 1
        for question in {record.question for record in records}:
            meanings[question] = meanings.get(question, {}) | own
    if not answers:
        return before.tasks if before else (Task(),)
    free = len(answers) > MOST_QUESTIONS
    fewest = 2 if free else 1  # one answer is no choice
    found = [
        Task(
            question,
            tuple(sorted(labels)) if fewest <= len(labels) <= most_labels else (),
            {k: v for k, v in meanings[question].items() if k in labels},
        )
        for question, labels in answers.items()
    ]
    if not free:
        return tuple(found)
    common = dict(counts.most_common(MOST_QUESTIONS))
    first = next(iter(common))
    return tuple(
        task
        for task in found
        if task.question == first
        or (
            0 < _FREQUENT * len(task.labels) <= common.get(task.question, 0)
            and max(map(len, task.labels)) <= _LONG_ANSWER
        )
    )


def frequent_answers(datasets: Sequence[LearnedDataset]) -> tuple[str, ...]:
    """List answers of one line that at least 20 records give or draw, the commonest 2,000.

    Words of the records' own questions count too. A letter or digit of ASCII is left out: any nano
    has a token for it.
    """
    counts: Counter[str] = Counter()
    for one in datasets:
        counts.update(dict.fromkeys(one.draws, _FREQUENT))
        counts.update(record.answer for record in one.records if not one.draws)
        for record in one.records:
            counts.update(dict.fromkeys(re.findall(r"(?<= )[^\W\d_]+", record.question), 1))
    found = [
        answer
        for answer, count in counts.most_common(_MOST_ANSWERS)
        if count >= _FREQUENT and len(answer.splitlines()) == 1 and len(answer) <= _LONG_ANSWER
    ]
    return tuple(sorted(one for one in found if not re.fullmatch("[0-9A-Za-z]", one)))


def replies_of(datasets: Sequence[LearnedDataset], tasks: Sequence[Task]) -> list[str]:
    """List the whole replies of the training records that choose among labels."""
    closed = {task.question for task in tasks if task.labels}
    answers = {
        (prompt, record.answer)
        for one in datasets
        for record in ([] if one.draws else one.records)
        if record.question in closed
        for prompt in one.prompts
    }
    return sorted({prompt.reply(answer) for prompt, answer in answers})


def takes_any(questions: Collection[str], before: RunRecord | None) -> bool:
    """Tell whether a run takes any question; one trained further to name alone takes none more."""
    asks = len(questions) > 1 or "" not in questions
    return len(questions) > MOST_QUESTIONS or bool(before and before.free and asks)


def questions_of(datasets: Sequence[LearnedDataset]) -> set[str]:
    """Return the questions of the records that are seen."""
    seen = (own for own in datasets if not own.draws)
    return {one.question for own in seen for one in own.records + own.validation}
