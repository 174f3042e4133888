"""What the user is told when a command cannot go on, and the exit status."""

from __future__ import annotations

import platform
import tempfile
import traceback
from typing import TYPE_CHECKING

from lmeec.errors import LmeecError
from lmeec.files.secrets import without_secrets
from lmeec.version import __version__
from lmeec_cli.terminal import StandardOutputError, echo, without_standard_output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ERROR, DEFECT, INTERRUPTED, NOBODY_READS = 1, 70, 130, 141

_LONGEST = 500  # characters of a message out of a library, which may quote its input


def told_failure(error: BaseException, words: Sequence[str], *, debug: bool) -> int:
    """Say on standard error what went wrong; gives the exit status.

    Args:
        error: what ended the command.
        words: the call, without the program's name.
        debug: show the traceback too, with all causes.
    """
    if any(isinstance(one, KeyboardInterrupt) for one in _causes(error)):  # as a library's import reports Ctrl-C
        return INTERRUPTED
    if isinstance(error, StandardOutputError):
        without_standard_output()
        if isinstance(error.__cause__, BrokenPipeError):
            return NOBODY_READS
    try:
        return _told(error, words, debug=debug)
    except OSError:  # standard error cannot be written: nobody is there to be told
        return ERROR if isinstance(error, LmeecError) else DEFECT


def _told(error: BaseException, words: Sequence[str], *, debug: bool) -> int:
    if debug:
        echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if isinstance(error, LmeecError):
        from lmeec_cli.app import app
        from lmeec_cli.settings import told

        echo(f"error: {told(error, app, words)}", err=True)
        return ERROR
    said = traceback.format_exception_only(error)[-1].strip()
    said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
    where = "the traceback above" if debug else _keep_details(error, words)
    echo(
        f"error: lmeec met something that it was not made for: {said}\n"
        f"This is a defect of lmeec, whatever the input is. Please report it to its authors, with {where}",
        err=True,
    )
    return DEFECT


def _keep_details(error: BaseException, words: Sequence[str]) -> str:
    """Write what a report needs to a file of the user's own; gives words for where it is."""
    details = "".join(
        [
            f"lmeec {__version__}, Python {platform.python_version()}, {platform.platform()}\n",
            f"lmeec {' '.join(map(repr, words))}\n\n",
            *traceback.format_exception(error),
        ]
    )
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="backslashreplace", prefix="lmeec-error-", suffix=".txt", delete=False
        ) as file:
            file.write(without_secrets(details))
    except OSError:  # no space there either, or no temporary folder
        return "what LMEEC_DEBUG=1 shows when you run the same command again"
    return f"{file.name}, which holds the traceback and the call"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it came from."""
    seen: set[int] = set()
    place: BaseException | None = error
    while place is not None and id(place) not in seen:
        seen.add(id(place))
        yield place
        place = place.__cause__ or place.__context__
