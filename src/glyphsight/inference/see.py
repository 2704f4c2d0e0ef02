"""Ask a model what is in a picture, or in any number of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from glyphsight import parallel
from glyphsight.codec import encode_batch, prepare
from glyphsight.codec.formats import get_format
from glyphsight.errors import ModelError, PictureError
from glyphsight.inference.score import probabilities, score_readable
from glyphsight.inference.workers import Model, dtype_of
from glyphsight.media.bulk import Task
from glyphsight.media.picture import PictureLike, load_picture
from glyphsight.models import LoadedModel, RunRecord
from glyphsight.parallel import Workers

_CHUNK = 64  # pictures read and answered together


@dataclass(frozen=True)
class Answer:
    """What a model sees in a picture.

    Attributes:
        label: The likeliest label.
        name: What the label stands for; itself where the run names none.
        probability: Its probability among the labels, 0-1.
        probabilities: Of every label, likeliest first.
        ascii_image: What the model read.
        inverted: The picture was dark on light and was inverted.
        cropped: The picture was scaled and centred as MNIST's digits are.
        empty: All cells of the text are alike, so there was nothing to see; the label is a guess.
    """

    label: str
    name: str
    probability: float
    probabilities: dict[str, float]
    ascii_image: str
    inverted: bool
    cropped: bool
    empty: bool


def see(picture: PictureLike, loaded: LoadedModel) -> Answer:
    """The model's answer to one picture, with the probability of every label it was taught.

    Args:
        picture: Path, open binary file, PIL image or uint8 array.
        loaded: A trained run.

    Raises:
        PictureError: The picture cannot be read, or is too tall for the model once it is text.
        ModelError: The model was not trained with glyphsight, so its labels are not known.
    """
    run = taught(loaded)
    [answer] = answers([_as_text(load_picture(picture), run)], loaded)
    if isinstance(answer, PictureError):
        raise answer
    return answer


def taught(loaded: LoadedModel) -> RunRecord:
    """The record of a model's training.

    Raises:
        ModelError: It was not trained with glyphsight, so its labels are not known.
    """
    if loaded.run is None:
        raise ModelError(
            f"{loaded.name}: was not trained with glyphsight, so its labels are not known; give "
            "--model sight, nano-digits or a directory that glyphsight train wrote, or teach it: "
            f"glyphsight train --data DATA --model {loaded.name} --out RUN"
        )
    return loaded.run


@dataclass(frozen=True)
class _Text:
    """A picture as a model reads it, and what was done to it on the way."""

    ascii_image: str
    height: int
    width: int
    inverted: bool
    cropped: bool


def _as_text(pixels: NDArray[np.uint8], run: RunRecord) -> _Text:
    text = encode_batch(pixels[None], run.profile)[0]
    done = prepare(pixels, run.profile)
    height, width = pixels.shape
    return _Text(text, height, width, done.inverted, done.centred)


def answers(
    texts: Sequence[_Text], loaded: LoadedModel, batch_size: int = 64
) -> list[Answer | PictureError]:
    """The answer to each text, or why the model does not take it."""
    run = taught(loaded)
    found: list[Answer | PictureError | None] = [None] * len(texts)
    prompts = [run.prompt.ask(text.ascii_image) for text in texts]
    rows, scores, reasons = score_readable(
        loaded, prompts, run.labels, run.prompt, batch_size=batch_size
    )
    for row, reason in reasons.items():
        found[row] = PictureError(
            f"{texts[row].height}x{texts[row].width} pixels are too tall as text ({reason}); "
            "crop it"
        )
    for row, chances in zip(rows, probabilities(scores).tolist(), strict=True):
        found[row] = _answer(texts[row], dict(zip(run.labels, chances, strict=True)), run)
    return [answer for answer in found if answer is not None]


def _answer(text: _Text, chances: dict[str, float], run: RunRecord) -> Answer:
    ranked = sorted(chances.items(), key=lambda pair: -pair[1])
    grid = get_format(run.profile.format).read(text.ascii_image, run.profile.palette)
    return Answer(
        label=ranked[0][0],
        name=run.name_of(ranked[0][0]),
        probability=ranked[0][1],
        probabilities=dict(ranked),
        ascii_image=text.ascii_image,
        inverted=text.inverted,
        cropped=text.cropped,
        empty=len(np.unique(grid)) == 1,
    )


@dataclass(frozen=True)
class Seen:
    """What became of a picture of many.

    Attributes:
        path: As it was given or found.
        answer: The model's; None where there is none.
        error: Why there is none, "" where there is one.
    """

    path: str
    answer: Answer | None = None
    error: str = ""


class _Seeing:
    """Answers some pictures at a time; a worker keeps it, with the model."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(self, tasks: list[Task]) -> list[Seen]:
        loaded = self._model.get()
        run = taught(loaded)
        seen = [Seen(task.path, error=task.error or "") for task in tasks]
        texts: dict[int, _Text] = {}
        for row, task in enumerate(tasks):
            if task.error:
                continue
            try:
                pixels = load_picture(sys.stdin.buffer if task.path == "-" else task.path)
            except PictureError as error:
                seen[row] = Seen(task.path, error=str(error))
                continue
            try:
                texts[row] = _as_text(pixels, run)
            except PictureError as error:
                seen[row] = Seen(task.path, error=f"{task.path}: {error}")
        said = answers(list(texts.values()), loaded)
        for row, answer in zip(texts, said, strict=True):
            path = tasks[row].path
            if isinstance(answer, PictureError):
                seen[row] = Seen(path, error=f"{path}: {answer}")
            else:
                seen[row] = Seen(path, answer)
        return seen


def see_many(
    tasks: Iterable[Task], loaded: LoadedModel, where: Workers | None = None
) -> Iterator[Seen]:
    """The model's answers to any number of pictures, in order, in bounded memory.

    Args:
        tasks: As :func:`glyphsight.media.bulk.plan` finds them; taken as they are needed.
        loaded: A trained run.
        where: Where the work is done, None for this process; workers elsewhere load the model by
            its name.

    Raises:
        ModelError: The model was not trained with glyphsight.
    """
    taught(loaded)
    where = where or Workers(workers=1)
    model = Model(loaded)
    if not where.here:
        model = Model(loaded.name, dtype_of(loaded))
    left = iter(tasks)
    chunks = iter(lambda: list(islice(left, _CHUNK)), [])
    for some in parallel.map(_Seeing(model), chunks, where):
        yield from some
