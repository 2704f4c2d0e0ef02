"""Help pages: sections of words that fit the terminal, one example, the values known by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import cleandoc
from textwrap import fill
from typing import Any

from typer.core import TyperCommand, TyperGroup

_KINDS = {"int": "N", "integer": "N", "float": "NUMBER", "str": "TEXT", "path": "PATH"}
_IN_WORDS = (  # what typer says of an option, in the words of the settings
    (r"^list\[(\w+)\]$| range$", r"\1"),
    (r"(\S+)<=x<=(\d+)", r"\1 to \2"),
    (r"x>=(\d+)", r"at least \1"),
    (r"default: \((.+)\)(?=[];])", r"default: \1"),
    (r" +\[", " ["),
)


def explains(title: str, kinds: Callable[[], str]) -> Callable[[Any], Any]:
    """Add a section to the help of a command, from lines ``NAME: help`` such as a registry's."""

    def decorate(command: Any) -> Any:
        command.kinds = {title: kinds, **getattr(command, "kinds", {})}
        return command

    return decorate


class _Page:
    """A command whose page is written here."""

    def format_help(self: Any, ctx: Any, formatter: Any) -> None:
        """Write usage, description, example, arguments, options by group, and known values."""
        width = formatter.width
        args = [_name(one, "") for one in self.get_params(ctx) if one.param_type_name == "argument"]
        last = ["COMMAND", "[ARGS]..."] if isinstance(self, TyperGroup) else args
        usage = " ".join([ctx.command_path, "[OPTIONS]", *last])
        parts = [_wrapped(f"Usage: {usage}", width, "", "         ")]
        for paragraph in cleandoc(self.help or "").split("\n\n"):
            if command := paragraph.partition("Example:\n    ")[2]:
                pairs = re.sub(r"(--\S+) (?=[^-])", "\\1\xa0", command)  # an option keeps its value
                lines = _wrapped(pairs, width - 2, " " * 6, " " * 10).replace("\xa0", " ")
                parts.append("  Example:\n" + lines.replace("\n", " \\\n"))
            else:
                parts.append(_wrapped(paragraph, width, "  "))
        for title, records in self._sections(ctx).items():
            if records:
                column = min(max(len(name) for name, _ in records), width // 3) + 4
                block = [f"{title}:"]
                for name, said in records:
                    first, rest = f"  {name}".ljust(column), " " * column
                    if len(name) > column - 4:
                        block, first = [*block, first.rstrip()], rest
                    block.append(_wrapped(said, width, first, rest))
                parts.append("\n".join(block))
        formatter.write("\n\n".join(parts) + "\n")

    def _sections(self: Any, ctx: Any) -> dict[str, list[tuple[str, str]]]:
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                usual = f"{param.param_type_name.capitalize()}s"
                title = getattr(param, "rich_help_panel", None) or usual
                entry = _name(param, record[0]), _in_words(record[1])
                sections.setdefault(title, []).append(entry)
        for title, kinds in getattr(self.callback, "kinds", {}).items():
            parts = (line.partition(": ") for line in kinds().splitlines())
            sections[title] = [(name, said) for name, _, said in parts]
        if isinstance(self, TyperGroup):
            for name in self.list_commands(ctx):
                said = getattr(self.get_command(ctx, name), "help", "").split("\n\n")[0]
                sections.setdefault("Commands", []).append((name, said))
        return sections


class Command(_Page, TyperCommand):
    """A command with a page of help of this module."""


class Commands(_Page, TyperGroup):
    """A group of commands with a page of help of this module."""


def _wrapped(text: str, width: int, first: str, rest: str | None = None) -> str:
    whole = {"break_on_hyphens": False, "break_long_words": False}
    indents = {"initial_indent": first, "subsequent_indent": first if rest is None else rest}
    return fill(text.replace("``", ""), width, **indents, **whole)  # type: ignore[arg-type]


def _in_words(said: str) -> str:
    for pattern, words in _IN_WORDS:
        said = re.sub(pattern, words, said)
    return said


def _name(param: Any, record: str) -> str:
    """Name a parameter as a user types it: ``PATHS...``, ``--width N``."""
    if param.param_type_name == "argument":
        name = (param.metavar or param.name).upper() + "..." * (param.nargs == -1)
        return name if param.required else f"[{name}]"
    options = ", ".join(sorted(param.opts, key=len))
    kind = record.removeprefix(options).strip(" <>")
    kind = kind if param.metavar else _in_words(kind.lower())
    return f"{options} {_KINDS.get(kind, kind)}".rstrip()
