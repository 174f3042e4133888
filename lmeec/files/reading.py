"""The one way that files come in: regular files of a bearable size, and errors that name them whatever a parser raises.

Files are not trusted. Parsers are made for sound ones and raise whatever comes of a broken one, from `struct.error` to
`RecursionError`; a reader says what kind of error its callers count on, as whether a job is tried again depends on it.
"""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from lmeec.errors import LmeecError
from lmeec.files.names import plain
from lmeec.files.remote.place import RemotePath
from lmeec.files.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lmeec.files.locations import Location
    from lmeec.files.places import Place

LONGEST_MESSAGE = 500
"""Characters of a message about a file; what it quotes of the file is cut to fit."""

_LONGEST_NAME = 200
_LONGEST_REASON = 160
_KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


@contextlib.contextmanager
def reading(
    path: Location | Place,
    kind: type[LmeecError],
    what: str,
    mend: str,
    *,
    most: int | None = None,
    but: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Read a file in the block; whatever goes wrong becomes an error that names it, with its cause.

    Args:
        path: The file; what is input, local or not, is looked at before the block begins.
        kind: What is raised.
        what: What the file should be, in words with an article.
        mend: What the user can do about a damaged one.
        most: Largest size in bytes that is accepted; None takes any.
        but: Exceptions that are not the file's fault, and pass.

    Raises:
        LmeecError: Of the given kind: the file is missing, no regular file, larger than `most`, or cannot be read or
            understood. Errors of any of our kinds pass as they are, but are short and name the file too.

    Example:
        >>> from lmeec.errors import DataError
        >>> try:
        ...     with reading(Path("egoexo4d/takes.json"), DataError, "a list of takes", "download it again"):
        ...         raise IndexError("no such place")
        ... except DataError as error:
        ...     print(error)
        egoexo4d/takes.json: is not a list of takes that can be read (IndexError: no such place); download it again
    """
    if isinstance(path, Path | RemotePath):
        check_regular(path, kind, most=most)
    with understanding(path, kind, what, mend, but=but):
        yield


@contextlib.contextmanager
def understanding(
    source: object, kind: type[LmeecError], what: str, mend: str, *, but: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Make something in the block of what was read before; as `reading`, without looking at the file.

    Args:
        source: The file, or how it is called before the user.
        kind: As for `reading`.
        what: As for `reading`.
        mend: As for `reading`.
        but: As for `reading`.
    """
    try:
        yield
    except but:
        raise
    except LmeecError as error:
        make_presentable(error, source)
        raise
    except OSError as error:
        if error.errno is None:  # of Pillow and Arrow, which say so of what they do not understand
            raise kind(_not_understood(source, what, error, mend)) from error
        raise kind(f"{named(source)}: cannot be read: {in_short(error.strerror or str(error))}") from error
    except Exception as error:
        raise kind(_not_understood(source, what, error, mend)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what safetensors' Rust raises where it gives up
            raise
        raise kind(_not_understood(source, what, error, mend)) from error


def check_regular(path: Place, kind: type[LmeecError], *, most: int | None = None) -> int:
    """Refuse what is no regular file, as reading a pipe may never end, and what is too large.

    Args:
        path: The file.
        kind: What is raised.
        most: Largest size in bytes that is accepted; None takes any.

    Returns:
        Its size in bytes.

    Raises:
        LmeecError: Of the given kind.
    """
    try:
        mode, size = _mode_and_size(path)
    except FileNotFoundError:
        raise kind(f"{named(path)}: there is no such file") from None  # no cause: trying again does not help
    except (OSError, ValueError) as error:  # ValueError of a NUL in the name
        raise kind(f"{named(path)}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(mode):
        is_what = next((name for test, name in _KINDS.items() if test(mode)), "something else")
        raise kind(f"{named(path)}: is {is_what}, where a file is expected; copy what it holds to a file and name that")
    if most is not None and size > most:
        raise kind(
            f"{named(path)}: has {size:,} bytes, more than the {most:,} that are accepted of a file of its "
            "kind; name another file"
        )
    return size


def _mode_and_size(path: Place) -> tuple[int, int]:
    if isinstance(path, RemotePath):
        entry = path.entry()
        return stat.S_IFDIR if entry.is_folder else stat.S_IFREG, entry.size
    found = path.stat()
    return found.st_mode, found.st_size


def is_there(path: Place, test: Callable[[Place], bool]) -> bool:
    """Whether a file or folder is there that can be told to be: not in a folder that may not be read.

    Args:
        path: It.
        test: Asks whether it is a file, or a folder, which fails in such a folder.

    Raises:
        OSError: A store does not answer.
    """
    try:
        return test(path)
    except PermissionError:
        if isinstance(path, RemotePath):
            raise
        return False


def in_short(text: str, most: int = _LONGEST_REASON) -> str:
    r"""Text that may quote a file, on one line, with control characters escaped and without credentials, and cut.

    Example:
        >>> in_short("found \x1b[31m\n in 'aaaaaaaaaaaa'", 20)
        'found \\u001b[31m...'
    """
    line = without_secrets(plain(" ".join(text[: 4 * most].split())))
    return line if len(line) <= most and len(text) <= 4 * most else f"{line[: most - 3].rstrip()}..."


def named(source: object) -> str:
    """A file as messages name it: of a path that is very long, the end."""
    name = str(source)
    return name if len(name) <= _LONGEST_NAME else f"...{name[3 - _LONGEST_NAME :]}"


def make_presentable(error: LmeecError, source: object) -> None:
    """Shorten an error's message where it quotes too much of a file, and put the file before it if it names none."""
    message = without_secrets(str(error))
    name = named(source)
    if name not in message and PurePath(name).name not in message:
        message = f"{name}: {message}"
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[: LONGEST_MESSAGE - 3]}..."
    if message != str(error):
        error.say(message)


def _not_understood(source: object, what: str, error: BaseException, mend: str) -> str:
    said = in_short(f"{type(error).__name__}: {error}".removesuffix(": "))
    return f"{named(source)}: is not {what} that can be read ({said}); {mend}"
