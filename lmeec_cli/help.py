"""What `--help` shows: usage, text and examples, and options whose names and values are never cut, at any width."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
import types
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, cast, get_args, get_origin

from rich.text import Text
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from lmeec_cli.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LEFT = 30
"""Columns of names; help stands beside those that are shorter, and below others."""

_BELOW = 8
"""Columns before help with a word that is too long to stand beside names."""

_NARROWEST, _WIDEST = 40, 120
_PLACES: Mapping[object, str] = {str: "TEXT", Path: "PATH", int: "N", float: "X", bool: ""}


class Command(TyperCommand):
    """A command with this help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """See `TyperCommand`, which this takes the place of."""
        formatter.write(_shown(self, ctx))

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """The usage alone, for wrong calls."""
        formatter.write(f"Usage: {_usage(self, ctx)}\n")


class Group(TyperGroup):
    """A group of commands with this help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """See `TyperGroup`, which this takes the place of."""
        formatter.write(_shown(self, ctx))

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """The usage alone, for wrong calls."""
        formatter.write(f"Usage: {_usage(self, ctx)}\n")


def _shown(command: TyperCommand | TyperGroup, ctx: Any) -> str:
    width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)
    console = Console(width=width, highlight=False, markup=False)
    with console.capture() as captured:
        for block in _blocks(command, ctx, width):
            console.print(block, soft_wrap=True)
            console.print()
    return "\n".join(line.rstrip() for line in captured.get().split("\n")).rstrip("\n") + "\n"


def _blocks(command: TyperCommand | TyperGroup, ctx: Any, width: int) -> Iterator[Text]:
    yield Text.assemble(("Usage: ", "bold"), _usage(command, ctx))
    yield from _text(command.help or "", width)
    arguments = [one for one in command.params if isinstance(one, TyperArgument)]
    if any(one.help for one in arguments):
        yield _listed("Arguments", [(Text(_name(one), "bold"), _help(one)) for one in arguments], width)
    if isinstance(command, TyperGroup) and command.commands:
        below = [(Text(name, "bold"), _first(one)) for name, one in command.commands.items() if not one.hidden]
        yield _listed("Commands", below, width)
    headed: dict[str, list[TyperOption]] = {}
    for one in command.get_params(ctx):
        if isinstance(one, TyperOption) and not one.hidden:
            headed.setdefault(one.rich_help_panel or "Options", []).append(one)
    values = _values(command.callback)
    for heading, options in headed.items():
        yield _listed(heading, [(_flags(one, values.get(one.name or "", "")), _help(one)) for one in options], width)


def _usage(command: TyperCommand | TyperGroup, ctx: Any) -> str:
    path: list[str] = []
    place = ctx
    while place is not None:
        path.insert(0, place.info_name or "")
        place = place.parent
    words = [*path, "[OPTIONS]"]
    for one in command.params:
        if isinstance(one, TyperArgument):
            words.append(_name(one) if one.required else f"[{_name(one)}]")
    if isinstance(command, TyperGroup) and not getattr(command, "invoke_without_command", False):
        words.append("COMMAND ...")
    return " ".join(words)


def _name(argument: TyperArgument) -> str:
    name = (argument.metavar or argument.name or "").strip("[]").removesuffix("...").upper()
    return f"{name}..." if argument.nargs == -1 else name


def _first(command: Any) -> Text:
    text = inspect.cleandoc(command.help or "").split("\n\n")[0]
    return _worded(" ".join(text.split()))


def _text(doc: str, width: int) -> Iterator[Text]:
    """Paragraphs and examples, one empty line between them."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(doc.split("\f", maxsplit=1)[0])):
        if paragraph.startswith("    "):
            calls = re.sub(r"\s*\\?\n\s*(?!lmeec |\s)", " ", textwrap.dedent(paragraph)).splitlines()
            lines = [line for one in calls for line in _example(one, width - 4)]
            yield Text("\n".join(f"    {line}" for line in lines), "cyan")
        elif paragraph.startswith("**"):
            yield Text(paragraph.strip("*"), "bold")
        elif paragraph.strip():
            yield Text("\n".join(_wrap(_worded(" ".join(paragraph.split())).plain, width)))


def _example(line: str, width: int) -> list[str]:
    r"""A call in lines that can be pasted: each but the last ends with a backslash."""
    if len(line) <= width:
        return [line]
    lines = [""]
    for words in _together(re.findall(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""", line)):
        if lines[-1] and len(lines[-1]) + 1 + len(words) > width - 2:
            lines.append("   ")
        lines[-1] += f" {words}" if lines[-1] else words
    return [*(f"{one} \\" for one in lines[:-1]), lines[-1]]


def _together(words: list[str]) -> Iterator[str]:
    """Words of a call, an option with the value that follows it."""
    words = [*words]
    while words:
        first = words.pop(0)
        if first.startswith("-") and words and not words[0].startswith(("-", "|")):
            first = f"{first} {words.pop(0)}"
        yield first


def _listed(heading: str, entries: list[tuple[Text, Text]], width: int) -> Text:
    """A heading, and names with their help beside or below."""
    text = Text.assemble((heading, "bold"))
    for name, said in entries:
        text.append("\n  ")
        text.append_text(name if len(name) <= width - 2 else _folded(name, width - 2))
        longest = max(map(len, said.plain.split()), default=0)
        left = _LEFT if longest <= width - _LEFT else _BELOW
        if len(name) > left - 4:
            text.append("\n" + " " * left)
        else:
            text.append(" " * (left - 2 - len(name)))
        text.append(("\n" + " " * left).join(_wrap(said.plain, width - left)))
    return text


def _folded(name: Text, width: int) -> Text:
    """Names with more values than a line holds, broken between values."""
    *some, last = name.plain.split("|")
    lines = [""]
    for value in [*(f"{one}|" for one in some), last]:
        if len(lines[-1]) + len(value) > width - _BELOW:
            lines.append("")
        lines[-1] += value
    return Text(("\n" + " " * _BELOW).join(lines), "bold")


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _worded(text: str) -> Text:
    return Text(text.replace("`", ""))


def _flags(option: TyperOption, values: str) -> Text:
    """Names, the short one first, and what they take."""
    short = [name for name in option.opts if not name.startswith("--")]
    long = [name for name in [*option.opts, *option.secondary_opts] if name.startswith("--")]
    names = ", ".join([*short, *long]) if short else "    " + ", ".join(long)
    takes = "" if option.is_flag else option.metavar or values
    return Text.assemble((names, "bold"), f" {takes}" if takes else "")


def _help(parameter: TyperOption | TyperArgument) -> Text:
    said = [(parameter.help or "").strip()]
    default = parameter.show_default
    if isinstance(default, str):
        said.append(f"[default: {default}]")
    elif default and isinstance(parameter, TyperOption):
        value = cast("Any", parameter.default)
        value = value.value if isinstance(value, Enum) else value
        if value is True and parameter.secondary_opts:
            value = parameter.opts[0]
        if value not in (None, False, [], ()) and not callable(value):
            said.append(f"[default: {value}]")
    if isinstance(parameter.envvar, str):
        said.append(f"[environment: {parameter.envvar}]")
    if parameter.required and isinstance(parameter, TyperOption):
        said.append("[required]")
    return _worded(" ".join(one for one in said if one))


def _values(callback: Callable[..., Any] | None) -> dict[str, str]:
    """What a command's options take, by the names of their parameters."""
    if callback is None:
        return {}
    parameters = inspect.signature(callback, eval_str=True).parameters
    return {name: _value(parameter.annotation) for name, parameter in parameters.items()}


def _value(kind: Any) -> str:
    kind = get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is list:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(one.value) for one in kind)
    if get_origin(kind) in (Union, types.UnionType):
        return _value(kind)
    return _PLACES.get(kind, "TEXT")
