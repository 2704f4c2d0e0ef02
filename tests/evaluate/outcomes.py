"""Evaluations made by hand, of which every figure is known."""

import random

import numpy as np

from glyphsight.codec import encode_batch
from glyphsight.evaluate.result import Evaluation, Sample, Share
from glyphsight.evaluate.statistics import per_class


def answers(truth, wrong, labels):
    """The truth, but at ``wrong`` places the next label."""
    return [
        labels[(labels.index(label) + 1) % len(labels)] if place in wrong else label
        for place, label in enumerate(truth)
    ]


def evaluation(texts, truth, said, *, model="made", data="pictures", generated=None, **other):
    """An evaluation with these answers; each is surer than the one before."""
    labels = sorted({*truth, *said})
    samples = []
    for place, (text, right, answer) in enumerate(zip(texts, truth, said, strict=True)):
        sure = 0.5 + 0.5 * (place + 1) / (len(texts) + 1)
        rest = (1 - sure) / max(1, len(labels) - 1)
        chances = {label: sure if label == answer else rest for label in labels}
        written = generated[place] if generated else None
        samples.append(Sample(text, right, answer, sure, chances, written))
    matrix = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for right, answer in zip(truth, said, strict=True):
        matrix[labels.index(right), labels.index(answer)] += 1
    right = sum(a == b for a, b in zip(truth, said, strict=True))
    known = {
        "model": model,
        "base": None,
        "data": data,
        "split": "test",
        "warnings": [],
        "seed": 0,
        "score": Share.of(right, len(truth)),
        "generation": None,
        "unreadable": 0,
        "majority": Share.of(max(map(truth.count, labels)), len(truth)),
        "majority_label": max(labels, key=truth.count),
        "zero_shot": None,
        "classes": per_class(matrix, labels),
        "labels": labels,
        "confusion": matrix.tolist(),
        "scoring_seconds": 2.0,
        "samples": samples,
    }
    return Evaluation(**known | other)


def some_digits(pictures, count, seed=0):
    """Texts and labels of some pictures, in a mixed order."""
    rows = random.Random(seed).sample(range(len(pictures)), count)
    return encode_batch(pictures.pixels[rows]), [pictures.labels[row] for row in rows]
