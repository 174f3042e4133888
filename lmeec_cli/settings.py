"""Settings of the library in the words of the command line: an error that speaks of one is told with its flag."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, get_args

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import typer

    from lmeec.errors import LmeecError

Command = TyperCommand | TyperGroup


@dataclass(frozen=True)
class Sets:
    """In an option's annotation: the library's name of what the option sets, where neither name nor flag tell."""

    setting: str


@dataclass(frozen=True)
class HoldsSettings:
    """In the annotation of a file with settings by their names: how the file is called."""

    file: str


def told(error: LmeecError, app: typer.Typer, words: Sequence[str]) -> str:
    """An error's message, with settings as the command at hand has them.

    Args:
        error: what the library raised.
        app: the whole command line.
        words: the call, without the program's name.
    """
    return error.saying(words_for_settings(app, words))


def words_for_settings(app: typer.Typer, words: Sequence[str]) -> Callable[[str, str | None], str]:
    """How the command that a call names tells of a setting, by its name in the library and its value.

    That is as its own flag, else as a key of the file that it reads, else as the flag of a command that has one.
    """
    root = cast("Command", get_command(app))
    command = _command_of(root, words)
    own, arguments = options(command), _arguments(command)
    others: dict[str, TyperOption] = {}
    for one in commands(root):
        others |= options(one) | others
    file = next((mark.file for _, mark in _marks(command) if isinstance(mark, HoldsSettings)), None)

    def say(name: str, value: str | None) -> str:
        if option := _found(own, name):
            return _as_flag(option, value)
        if name in arguments:
            return arguments[name]
        option = _found(others, name)
        if file is not None:
            return f"{_as_key((option and option.name) or name, value)} in {file}"
        return _as_flag(option, value) if option else _as_key(name, value)

    return say


def commands(root: Command) -> Iterator[Command]:
    """A command and all below it."""
    yield root
    for below in _below(root).values():
        yield from commands(below)


def options(command: Command) -> dict[str, TyperOption]:
    """The options of a command by the settings that they set."""
    by_name = {option.name: option for option in command.params if isinstance(option, TyperOption) and option.name}
    by_flag = {_flag(option).lstrip("-").replace("-", "_"): option for option in by_name.values()}
    declared = {mark.setting: by_name[name] for name, mark in _marks(command) if isinstance(mark, Sets)}
    return by_flag | by_name | declared


def _arguments(command: Command) -> dict[str, str]:
    """What help calls a command's arguments, by that in small letters."""
    shown = [(one.metavar or one.name or "").strip("[]") for one in command.params if isinstance(one, TyperArgument)]
    return {name.lower(): name.upper() for name in shown}


def _command_of(root: Command, words: Sequence[str]) -> Command:
    """The command that a call names with its first words."""
    command = root
    for word in words:
        below = _below(command).get(word)
        if below is None:
            break
        command = below
    return command


def _below(command: Command) -> Mapping[str, Command]:
    return cast("Mapping[str, Command]", command.commands) if isinstance(command, TyperGroup) else {}


def _marks(command: Command) -> Iterator[tuple[str, object]]:
    """What the annotations of a command's parameters hold besides what Typer reads, with the parameters' names."""
    if command.callback is not None:
        for name, parameter in inspect.signature(command.callback, eval_str=True).parameters.items():
            yield from ((name, mark) for mark in get_args(parameter.annotation)[1:])


def _found(known: Mapping[str, TyperOption], setting: str) -> TyperOption | None:
    return known.get(setting) or known.get(setting.replace(".", "_"))


def _flag(option: TyperOption) -> str:
    return max(option.opts, key=len)


def _as_flag(option: TyperOption, value: str | None) -> str:
    if value is None or value == "True":
        return _flag(option)
    if value == "False" and option.is_flag:
        return option.secondary_opts[0] if option.secondary_opts else f"no {_flag(option)}"
    return f"{_flag(option)} {_plain(value)}"


def _as_key(name: str, value: str | None) -> str:
    """A setting as a file in YAML has it."""
    if value is None:
        return f"`{name}`"
    return f"`{name}: { {'True': 'true', 'False': 'false', 'None': 'null'}.get(value, _plain(value)) }`"


def _plain(value: str) -> str:
    return value.strip("\"'")
