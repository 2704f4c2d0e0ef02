"""Options of commands: generated from settings classes, and those that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_type_hints

import typer

from glyphsight.codec import Profile
from glyphsight.codec.profile import palette_of_levels
from glyphsight.errors import GlyphsightError
from glyphsight.parallel import Workers
from glyphsight.settings import Setting, settings_of

TOKENIZERS = "smollm2-135m, nano, a tokenizer.json or a directory with one"
"""Names of tokenizers, for help texts."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@dataclass(frozen=True)
class Group:
    """Options for the fields of a settings class, in an annotation of a command's parameter."""

    title: str  # title of the group in the help
    fields: tuple[str, ...] = ()  # names of the fields; empty for all that text can name
    of: type | None = None  # the settings class, where it is not the parameter's own type
    # Function from the given values to what the command takes; left out, the class
    make: Callable[..., Any] | None = None
    extra: tuple[Setting, ...] = ()  # options of ``make``
    # Function from the name of a field to further defaults, for its help
    notes: Callable[[str], Iterable[str]] = lambda name: ()


def option(one: Setting, title: str | None = None, notes: Iterable[str] = ()) -> Any:
    """Return the option for a field; its value is None where it is not given."""
    return typer.Option(
        f"--{one.name.replace('_', '-')}",
        help=one.line(*notes),
        metavar="NAME" if one.choices else None,
        autocompletion=(lambda: list(one.choices)) if one.choices else None,
        show_default=False,
        rich_help_panel=title,
    )


def _parameter(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, annotation=annotation, default=default)


def with_settings(command: Callable[..., Any]) -> Callable[..., None]:
    """Give a command an option for each field of its settings, and hand it the objects.

    A parameter ``Annotated[Class, Group(title)]`` stands for the options of the class. The object
    is made of the values that were given; a value that cannot be is wrong usage, exit status 2.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[Callable[..., Any], dict[str, Setting]]] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        group = next((one for one in get_args(hints[name])[1:] if isinstance(one, Group)), None)
        if group is None:
            parameters.append(_parameter(name, hints[name], parameter.default))
            continue
        cls = group.of or get_args(hints[name])[0]
        settings = {
            field: one
            for field, one in settings_of(cls).items()
            if (field in group.fields if group.fields else one.textual)
        } | {one.name: one for one in group.extra}
        for one in settings.values():
            kind: Any = str if one.kind is object else one.kind
            shown = option(one, group.title, group.notes(one.name))
            parameters.append(_parameter(one.name, Annotated[kind | None, shown]))
        groups[name] = group.make or cls, settings

    def run(**values: Any) -> None:
        for name, (make, settings) in groups.items():
            values[name] = _made(make, settings, {field: values.pop(field) for field in settings})
        command(**values)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _made(make: Callable[..., Any], settings: dict[str, Setting], given: dict[str, Any]) -> Any:
    """Return the object made of the values that were given, or raise BadParameter."""
    given = {field: value for field, value in given.items() if value is not None}
    for field, value in given.items():
        one = settings[field]
        given[field] = one.parse(value) if one.kind is object else value
        if problem := one.problem(given[field]):
            raise typer.BadParameter(problem, param_hint=f"--{field.replace('_', '-')}")
    try:
        return make(**given)
    except GlyphsightError as error:
        raise typer.BadParameter(str(error)) from error


def make_profile(levels: int | None = None, **given: Any) -> Profile:
    """Make the profile of the given values, with as many levels, where that is given."""
    if levels is not None:
        given["palette"] = palette_of_levels(levels, given.get("palette"))
    return Profile(**given)


PROFILE_LEVELS = Setting(
    "levels", "Number of glyphs to pick from a named palette.", int, True, None, low=2, high=16
)
PictureToText = Annotated[
    Profile, Group("From picture to text", make=make_profile, extra=(PROFILE_LEVELS,))
]
Processes = Annotated[Workers, Group("Processes")]
FROM_FILE = Group("From file to picture", ("max_pixels",))
"""The limit of pixels, for a settings class with that field: every command that reads pictures."""
