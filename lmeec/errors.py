"""Errors whose message is written for the user: what is wrong, in which file or take, and how to mend it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class LmeecError(Exception):
    """Base of every error that the command line shows without a traceback. Can be pickled.

    Args:
        message: what is wrong. A setting in it stands between backticks as Python has it, with or without a value.
        settings: names of the settings that the message speaks of so: of parameters, or of a configuration's fields,
            whose path has dots. Whoever shows the error may have other words for them.
    """

    def __init__(self, message: str = "", *, settings: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.settings = tuple(settings)

    def say(self, message: str) -> None:
        """Change the message, as whoever passes the error on knows more of what it is about."""
        self.args = (message,)

    def saying(self, say: Callable[[str, str | None], str]) -> str:
        """The message in the words of whoever shows it.

        Args:
            say: is given a setting's name and the value that stands behind it, if any; returns what to say instead,
                backticks included.

        Example:
            >>> error = OutputError("r.parquet exists already: `overwrite=True` replaces it", settings=["overwrite"])
            >>> error.saying(lambda name, value: name.upper())
            'r.parquet exists already: OVERWRITE replaces it'
        """
        if not self.settings:
            return str(self)
        names = "|".join(map(re.escape, self.settings))
        return re.sub(rf"`({names})(?:=([^`]*))?`", lambda found: say(found[1], found[2]), str(self))


class DataError(LmeecError):
    """Takes, annotations, masks or videos that cannot be used as they are."""


class CameraError(DataError):
    """The video of one camera of a take that cannot be read.

    Args:
        camera: its name.
        reason: what is wrong, for the user.
    """

    def __init__(self, camera: str, reason: str) -> None:
        super().__init__(reason)
        self.camera = camera

    def __reduce__(self) -> tuple[type[CameraError], tuple[str, str], dict[str, Any]]:
        return CameraError, (self.camera, str(self)), self.__dict__


class CheckpointError(LmeecError):
    """A checkpoint that is missing, damaged or made for another model."""


class OutputError(LmeecError):
    """A result file that exists already, cannot be written or is not one of ours."""


class DiskFullError(OutputError):
    """No more can be written where the results go: no space, no quota, or read-only."""


class ClusterError(LmeecError):
    """A Ray cluster that cannot be started, joined or used as asked."""


class TrainingError(LmeecError):
    """A training that cannot go on: its losses are no numbers any more, or memory does not suffice."""


class ConfigError(LmeecError, ValueError):
    """A setting outside of what it may be; the message names the setting and the value."""


def require(holds: bool, setting: str, value: object, expected: str) -> None:
    """Raise a `ConfigError` unless a setting's value is as expected.

    Args:
        holds: whether it is.
        setting: name of the setting.
        value: what it is.
        expected: what it may be, in words.

    Example:
        >>> require(0 < 3, "batch", 3, "positive")
    """
    if not holds:
        raise ConfigError(f"`{setting}` is {value!r}, but must be {expected}", settings=[setting])
