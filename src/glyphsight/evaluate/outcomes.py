"""What an evaluation's samples tell by themselves."""

from __future__ import annotations

import hashlib
import heapq
import json
from array import array
from collections.abc import Sequence

import numpy as np

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.evaluate.result import Evaluation, Sample
from glyphsight.evaluate.statistics import calibrate, sort_replies
from glyphsight.evaluate.study import SHOWN, Selection, Study
from glyphsight.models import LoadedModel
from glyphsight.models.tokens import EMBEDDED, count_tokens, load_tokenizer

_LABELS = 100_000  # of which the first sample is kept
_COUNTED = 256  # texts whose tokens are counted


def look_closer(
    evaluation: Evaluation, *, loaded: LoadedModel | None = None, limit: int | None = None
) -> Study:
    """What an evaluation's samples tell, in one pass over them and with a dozen of them kept.

    Args:
        evaluation: The answers.
        loaded: The model, for its profile and what a picture costs in its own tokens; None stands
            for the published profile and leaves the tokens out.
        limit: What the evaluation was limited to.
    """
    digest = hashlib.sha256()
    confidence, right, read = array("f"), array("b"), array("b")
    first: dict[str, Sample] = {}
    surest: list[tuple[float, int, Sample]] = []
    texts: list[str] = []
    written: list[tuple[str, str]] = []
    for number, sample in enumerate(evaluation.samples):
        digest.update(json.dumps(sample.truth).encode() + b"\n")
        right.append(sample.answer == sample.truth)
        if sample.generated is not None:
            written.append((sample.generated, sample.truth))
        if number < _COUNTED:
            texts.append(sample.ascii_image)
        if sample.too_long:
            continue
        confidence.append(sample.probability)
        read.append(right[-1])
        if sample.truth not in first and len(first) < _LABELS:
            first[sample.truth] = sample
        if sample.answer != sample.truth:
            push = heapq.heappush if len(surest) < SHOWN else heapq.heappushpop
            push(surest, (sample.probability, -number, sample))
    tokens = {EMBEDDED: _mean_length(count_tokens(texts, load_tokenizer()))}
    if loaded is not None:
        own = loaded.tokenizer(texts, add_special_tokens=False)["input_ids"]
        tokens["model"] = _mean_length([len(ids) for ids in own])
    return Study(
        evaluation,
        Selection(
            evaluation.data,
            evaluation.split,
            limit,
            evaluation.seed,
            len(right),
            digest.hexdigest(),
        ),
        calibrate(confidence, np.asarray(read, dtype=np.bool_)),
        sort_replies(*_columns(written), evaluation.labels) if written else None,
        tokens,
        _profile(loaded),
        [first[label] for label in sorted(first)][:SHOWN],
        [sample for _, _, sample in sorted(surest, reverse=True)],
    )


def _columns(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


def _mean_length(counts: Sequence[int]) -> float:
    return sum(counts) / max(1, len(counts))


def _profile(loaded: LoadedModel | None) -> Profile:
    return loaded.run.profile if loaded and loaded.run else PUBLISHED
