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
    """Options for the fields of a settings class, in an annotation of a command's parameter.

    Attributes:
        title: Title of the group in the help.
        fields: Names of the fields; empty for all that text can name.
        of: The settings class, where it is not the parameter's own type.
        make: Function from the given values to what the command takes; left out, the class. Its
            named parameters are options too.
        notes: Function from the name of a field to further defaults, for its help.
    """

    title: str
    fields: tuple[str, ...] = ()
    of: type | None = None
    make: Callable[..., Any] | None = None
    notes: Callable[[str], Iterable[str]] = lambda name: ()


def given(**values: Any) -> dict[str, Any]:
    """Return the values that were given, for a command that adds its own."""
    return values


def option(one: Setting, title: str | None = None, notes: Iterable[str] = ()) -> Any:
    """Return the option for a field; its value is None where it is not given."""
    return typer.Option(
        f"--{one.name.replace('_', '-')}",
        help=one.line(*notes),
        metavar="NAME" if one.choices else None,
        autocompletion=one.names if one.choices else None,
        show_default=False,
        rich_help_panel=title,
    )


def _parameter(one: Setting, group: Group) -> inspect.Parameter:
    kind: Any = str if one.kind is object else one.kind
    annotation: Any = Annotated[kind | None, option(one, group.title, group.notes(one.name))]
    return _keyword(one.name, annotation, None)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, annotation=annotation, default=default)


def with_settings(command: Callable[..., Any]) -> Callable[..., None]:
    """Give a command an option for each field of its settings, and hand it the objects.

    A parameter ``Annotated[Class, Group(title)]`` stands for the options of the class. The object
    is made of the values that were given; a value that cannot be is wrong usage, exit status 2.
    """
    hints = get_type_hints(command, include_extras=True)
    signature = inspect.signature(command)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[Callable[..., Any], dict[str, Setting], list[str]]] = {}
    for name, parameter in signature.parameters.items():
        group = next((one for one in get_args(hints[name])[1:] if isinstance(one, Group)), None)
        if group is None:
            parameters.append(_keyword(name, hints[name], parameter.default))
            continue
        cls = group.of or get_args(hints[name])[0]
        settings = {
            field: one
            for field, one in settings_of(cls).items()
            if (field in group.fields if group.fields else one.textual)
        }
        make = group.make or cls
        parameters += [_parameter(one, group) for one in settings.values()]
        extra = [] if group.make is None else _named(group.make)
        parameters += extra
        groups[name] = make, settings, [one.name for one in extra]

    def run(**values: Any) -> None:
        for name, (make, settings, extra) in groups.items():
            given = {field: values.pop(field) for field in (*settings, *extra)}
            given = {field: value for field, value in given.items() if value is not None}
            values[name] = _made(make, settings, given)
        command(**values)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _named(make: Callable[..., Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(make, include_extras=True)
    return [
        _keyword(name, hints[name], one.default)
        for name, one in inspect.signature(make).parameters.items()
        if one.kind is not inspect.Parameter.VAR_KEYWORD
    ]


def _made(make: Callable[..., Any], settings: dict[str, Setting], given: dict[str, Any]) -> Any:
    """Return the object made of the values that were given.

    Raises:
        typer.BadParameter: A value, or all together, cannot be.
    """
    for field, value in given.items():
        if (one := settings.get(field)) is None:
            continue
        if one.kind is object:
            given[field] = value = one.parse(value)
        names = one.names()
        problem = one.problem(value)
        if callable(one.choices) and names and value not in names:
            problem = f"{field} is one of {', '.join(names)}, not {value!r}"
        if problem:
            raise typer.BadParameter(problem, param_hint=f"--{field.replace('_', '-')}")
    try:
        return make(**given)
    except GlyphsightError as error:
        raise typer.BadParameter(str(error)) from error


def _profile(
    *,
    levels: Annotated[
        int | None,
        typer.Option(
            help="Number of glyphs to pick from a named palette. [2 to 16]",
            show_default=False,
            rich_help_panel="From picture to text",
        ),
    ] = None,
    **given: Any,
) -> Profile:
    if levels is not None:
        given["palette"] = palette_of_levels(levels, given.get("palette"))
    return Profile(**given)


PictureToText = Annotated[Profile, Group("From picture to text", make=_profile)]
Processes = Annotated[Workers, Group("Processes")]
FROM_FILE = Group("From file to picture", ("max_pixels",))
"""The limit of pixels, for a settings class with that field: every command that reads pictures."""
