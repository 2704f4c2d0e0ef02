"""What ``see`` and ``hear`` print: answers in words or JSON, and how their pictures were read."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glyphsight.cli.output import print_json, say
from glyphsight.console import printable
from glyphsight.errors import GlyphsightError
from glyphsight.extras import MissingPackageError
from glyphsight.files import JsonLog, json_line, write
from glyphsight.models.runs import NANO_NAMES, UNKNOWN, Task

if TYPE_CHECKING:
    from glyphsight.inference import Answer, Model
    from glyphsight.inference.see import Seen

_SHOWN = 4  # likeliest labels
_SURE = 0.8  # smallest probability of an answer that is not called unsure
_DOUBTED = 0.05  # probability of "unknown" above which an unsure answer gets a hint
_FEW = {
    "sight": "digits",
    "sight-vqa": "digits",
    "nano-digits": "digits",
    "nano-fashion": "clothes",
}
_NOTES = {  # about how a picture was read, by field of its answer
    "inverted": "dark on light, inverted",
    "cropped": "cropped and centred",
    "empty": "nothing to see in it: every cell is alike",
}


def hint_of(model: str) -> str:
    """Say what to try where a model that ships knows nothing of a picture; "" for another."""
    if model == NANO_NAMES:
        return "a line of capital letters and digits is for glyphsight see --signs"
    return f"{model} names {_FEW[model]} alone, try --model nano-names" if model in _FEW else ""


@dataclass
class Printer:
    """Prints each answer as it comes, draws what it rests on, and counts."""

    model: Model
    task: Task
    show: bool
    form: str  # text, json or jsonl
    log: JsonLog | None
    drawings: Mapping[str, Path]
    several: bool
    top: int | None
    hint: str = ""  # what to try where the model knows nothing
    undrawn: MissingPackageError | None = None  # why nothing can be drawn here
    written: int = 0
    failed: int = 0
    _documents: list[dict[str, Any]] = field(default_factory=list)
    _noted: dict[str, tuple[str, int]] = field(default_factory=dict)  # first picture, and number

    def take(self, seen: Seen) -> None:
        """Print an answer and draw what it rests on, or say why there is none."""
        if seen.answer is None:
            say(f"glyphsight: {seen.error}")
            self.failed += 1
            return
        note, own = self._note(seen.answer) if self.form != "jsonl" else ("", True)
        if note and (own or not self.several):
            say(f"{seen.path}: {note}")
        elif note:  # once for all, at the end
            first, count = self._noted.get(note, (seen.path, 0))
            self._noted[note] = first, count + 1
        self._write(seen, seen.answer)
        self.written += 1
        file = self.drawings.get(seen.path)
        if file and seen.answer.empty:
            say(f"{seen.path}: nothing to explain, so {file} is not written")
        elif file and self.undrawn is None:
            try:
                self._draw(file, seen)
            except MissingPackageError as error:
                self.undrawn = error

    def _note(self, answer: Answer) -> tuple[str, bool]:
        """Say how a picture was read, and between what its answer is unsure; "" for nothing.

        Returns:
            The words, and True where they are about this picture more than about its kind.
        """
        doubt = self._doubt(answer)
        if answer.said:
            return answer.said.removesuffix(".") + doubt if doubt else answer.said, True
        profile = self.model.trained.profile
        if not answer.found:
            if answer.empty and profile.seeks_ink:
                return "found nothing that stands out from its ground", True
            said = "; ".join(said for field, said in _NOTES.items() if getattr(answer, field))
            said = said.replace("to see", "to hear") if profile.trim else said
        else:
            said = f"found {answer.found}{doubt}"
        own = bool(doubt) if answer.found else answer.empty
        doubtful = doubt and answer.found and answer.probabilities.get(UNKNOWN, 0) > _DOUBTED
        unknown = doubtful or not (answer.known or answer.empty)
        return "; ".join(filter(None, (said, self.hint if unknown else ""))), own

    def _doubt(self, answer: Answer) -> str:
        """Say between what an answer to one thing is unsure; "" where it is not."""
        ranked = self._ranked(answer)
        if not answer.known or answer.parts or len(ranked) < 2 or ranked[0][1] >= _SURE:
            return ""
        return f"; unsure between {ranked[0][0]} and {ranked[1][0]}"

    def _ranked(self, answer: Answer) -> list[tuple[str, float]]:
        """Return the names of the labels and their probabilities, likeliest first.

        Where the model does not know the picture, "unknown" is left out: it is said already.
        """
        every = [one for one in answer.probabilities.items() if answer.known or one[0] != UNKNOWN]
        run = self.model.trained  # of a question that is answered in words, the first task names
        task = self.task if self.task in run.tasks else run.tasks[0]
        return [(task.name_of(label), chance) for label, chance in every]

    def _said(self, answer: Answer, shown: int) -> str:
        """Say an answer in words: the likeliest labels, the first with its probability."""
        if answer.said:
            return answer.name
        if answer.written:
            return f"{answer.written} ({', '.join(self._said(part, 1) for part in answer.parts)})"
        if answer.parts and not any(part.known for part in answer.parts):
            return f"{len(answer.parts)} things, {answer.parts[0].name}"
        if answer.parts:
            digits = all(part.known and part.label in tuple("0123456789") for part in answer.parts)
            digits = digits and not self.task.names
            each = [self._said(part, 1) for part in answer.parts]
            return f"{len(each)} {'digits' if digits else 'things'}: {', '.join(each)}"
        if answer.empty or not answer.probabilities:
            return answer.name
        ranked = [(name, f"{100 * chance:.1f} %") for name, chance in self._ranked(answer)]
        best = [f"{name} ({chance})" for name, chance in ranked[:1]]
        if not answer.known and answer.name != ranked[0][0]:  # signs are named all the same
            return "; nearest: ".join([answer.name, *best])
        return ", ".join([*best, *map(" ".join, ranked[1:shown])])

    def _draw(self, file: Path, seen: Seen) -> None:
        """Draw one picture's explanation and say where it is."""
        loaded = self.model.get()
        from glyphsight.evaluate.explanation import draw_explanation

        assert seen.pixels is not None
        assert seen.answer is not None
        answer, question = seen.answer, self.task.question
        if answer.said:  # a talker's words: the name that it was told is what has cells
            [answer], question = self.model.see([seen.pixels]), self.model.trained.tasks[0].question
        drawn = draw_explanation(Path(seen.path).name, seen.pixels, answer, loaded, question)
        write(file, drawn)
        say(f"{seen.path}: what it looked at: {file}")

    def _write(self, seen: Seen, answer: Answer) -> None:
        path = seen.path
        value: dict[str, Any] = {"path": path, "question": self.task.question}
        value |= {"labels": answer.labels} | asdict(answer)
        for one in (value, *value["parts"]):
            one["probabilities"] = dict(islice(one["probabilities"].items(), self.top))
        if self.form == "json":
            self._documents.append(value)
            return
        if self.form == "jsonl":
            value["model"] = self.model.name
            if not self.show:
                for one in (value, *value["parts"]):
                    del one["ascii_image"]
            if self.log is not None:
                self.log.append([value | {"state": seen.state}], sync=False)
            else:
                print(json_line(value), flush=True)
            return
        if self.show:
            sys.stdout.write("\n".join(one.ascii_image for one in answer.things))
        print(printable(f"{path}: {self._said(answer, self.top or _SHOWN)}"), flush=True)

    def close(self, known: int, stale: Set[int]) -> None:
        """Print what comes at the end; ``known`` answers were there before, ``stale`` lines go.

        Raises:
            GlyphsightError: Nothing could be drawn here.
            typer.Exit: A picture has no answer.
        """
        if self.form == "json":
            print_json(self._documents)
        for note, (first, count) in self._noted.items():
            say(f"{f'{count} pictures, such as {first}' if count > 1 else first}: {note}")
        if self.log is not None:
            self.log.drop(stale)
            before = f"; {known} were there already" if known else ""
            say(f"{self.log.path}: {self.written} answers written{before}")
        if self.undrawn is not None:
            raise GlyphsightError(f"--explain: {self.undrawn}")
        if self.failed:
            raise typer.Exit(1)
