"""Settings: fields of frozen dataclasses, each declared, documented, checked and read in one place.

A field's documentation stands under ``Attributes:`` of its class, its values in :func:`setting`.
Options of the command line, ``--set NAME=VALUE``, keys of recipes and tables of the documents come
from there.
"""

from __future__ import annotations

import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from glyphsight.errors import GlyphsightError, meant

_KINDS: dict[Any, tuple[Any, str]] = {  # what isinstance asks for, and its name in messages
    bool: (bool, "true or false"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "text"),
    Path: ((str, Path), "a path"),
}


def setting(default: Any = MISSING, **values: Any) -> Any:
    """Declare a field of a settings class: its default, if any, and its values."""
    return field(default=default, metadata=values)


@dataclass(frozen=True)
class Setting:
    """A field of a settings class."""

    name: str
    help: str  # documentation of the field, on one line
    kind: Any  # type of a value: bool, int, float, str, Path, or object for others
    optional: bool  # True where None is a value too
    default: Any  # value of a field that is not given; MISSING for a required field
    choices: Collection[str] = ()  # all values; empty where any of the kind is one
    low: float | None = None  # least value
    high: float | None = None  # greatest value
    above: float | None = None  # bound that every value exceeds
    below: float | None = None  # bound that every value stays under
    # Function that turns text of the command line into a value, for a field that is neither text,
    # number, path nor switch
    read: Callable[[str], Any] | None = None

    @property
    def textual(self) -> bool:
        """Tell whether text can give a value, such as an option of the command line."""
        return self.kind is not object or self.read is not None

    def bounds(self) -> str:
        """Say from where to where values go, such as ``at least 1``; empty without bounds."""
        if self.low is not None and self.high is not None:
            return f"{self.low:.10g} to {self.high:.10g}"
        words = ("above", self.above), ("at least", self.low), ("at most", self.high)
        bounds = (*words, ("below", self.below))
        return " and ".join(f"{word} {bound:.10g}" for word, bound in bounds if bound is not None)

    def _within(self, value: Any) -> bool:
        """Say whether a value is one of the choices and inside the bounds."""
        return (
            (value in self.choices or not self.choices)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def line(self, *notes: str) -> str:
        """Return the documentation, then values, default and notes in brackets, for a help text."""
        said = [", ".join(self.choices) or self.bounds()]
        if self.default not in (None, "", MISSING) and self.kind is not bool:
            blank = str(self.default) != str(self.default).strip()
            said.append(f"default: {repr(self.default) if blank else self.default}")
        brackets = "; ".join(filter(None, [*said, *notes]))
        return f"{self.help} [{brackets}]" if brackets else self.help

    def problem(self, value: Any) -> str | None:
        """Say why a value cannot be, with the field and its values; None where it can."""
        if (value is None and self.optional) or self.kind is object:
            return None
        types, allowed = _KINDS[self.kind]
        right = isinstance(value, types) and (self.kind is bool or not isinstance(value, bool))
        if right and (self.kind is not float or math.isfinite(value)) and self._within(value):
            return None
        if self.choices:
            allowed = f"one of {', '.join(self.choices)}"
        elif bounds := self.bounds():
            allowed += f", {bounds}"
        near = meant(str(value), self.choices) if self.choices else ""
        if isinstance(value, bool) and "on" in self.choices:
            near = "YAML reads on, off, yes and no as true and false: put quotes around it; "
        return f"{self.name} is {value!r}; {near}give {allowed}"

    def parse(self, text: str) -> Any:
        """Read a value from text; text that is no value of the kind stays text."""
        if self.read is not None:
            return self.read(text)
        if self.kind is bool:
            return {"yes": True, "true": True, "no": False, "false": False}.get(text.lower(), text)
        try:
            return text if self.kind is object else self.kind(text)
        except ValueError:
            return text


@lru_cache
def settings_of(cls: type) -> Mapping[str, Setting]:
    """Return the fields of a settings class by name, in order, its own before a base's."""
    documented: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2]
        found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE)
        documented |= {name: re.sub(r"\s*\n\s*", " ", said) for name, said in found}
    hints = typing.get_type_hints(cls)
    result = {}
    for one in sorted(fields(cls), key=lambda one: one.name not in cls.__annotations__):
        hint = hints[one.name]
        kinds = set(typing.get_args(hint)) if isinstance(hint, types.UnionType) else {hint}
        optional = types.NoneType in kinds
        kinds -= {types.NoneType}
        kind = Path if kinds == {str, Path} else kinds.pop() if len(kinds) == 1 else object
        result[one.name] = Setting(
            one.name,
            documented.get(one.name, ""),
            kind if kind in _KINDS else object,
            optional,
            one.default,
            **one.metadata,
        )
    return types.MappingProxyType(result)


def check(settings: object, error: type[GlyphsightError] = GlyphsightError) -> None:
    """Check every field of a settings object; meant for its ``__post_init__``.

    Raises:
        GlyphsightError: A value cannot be; of the class ``error``.
    """
    cls: Any = type(settings)
    for name, one in settings_of(cls).items():
        if problem := one.problem(getattr(settings, name)):
            raise error(problem)


def read_assignments(
    cls: type, texts: Sequence[str], error: type[GlyphsightError] = GlyphsightError
) -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts of ``--set``, each value by the type of the field.

    Raises:
        GlyphsightError: A text has no ``=``, an unknown name or a value that cannot be; of the
            class ``error``.
    """
    known = settings_of(cls)
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            near = "" if name in known else meant(name, known)
            fix = f"{near}give NAME=VALUE with a NAME of {', '.join(known)}"
            raise error(f"--set {text}: {fix}")
        values[name] = known[name].parse(value)
        if problem := known[name].problem(values[name]):
            raise error(f"--set {text}: {problem}")
    return values
