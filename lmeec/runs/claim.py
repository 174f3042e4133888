"""Who owns an output: one driver at a time, also when several start at once or one was killed.

Owners are files beside the parts, numbered in the order in which they took the output over; the last one owns it. Each
is made by exclusive creation, so that of drivers which start together, or which find the same owner dead, one wins.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lmeec.errors import OutputError
from lmeec.files.json import decoder_of
from lmeec.files.locations import is_local, names_in
from lmeec.files.whole import create_exclusively

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmeec.files.locations import Location

HEARTBEAT_FILE = "progress.json"
SILENT_AFTER_S = 90.0
"""A driver on another machine that has given no new beat for so long, by the reader's clock, is dead."""

_NAME = re.compile(r"owner-(\d{6})\.json")
_LOOK_EVERY_S = {True: 0.5, False: 3.0}
_TRIES = 50


class Owner(msgspec.Struct, frozen=True):
    """The driver that an owner file names.

    Attributes:
        token: random, of one run of one driver.
        host: the name of its machine, for people.
        machine: tells machines, and containers on them, apart; process numbers mean something within one only.
        pid: its process.
        started: when that process began, in the machine's own count, as numbers are used again; None if unknown.
    """

    token: str
    host: str
    machine: str
    pid: int
    started: int | None = None


@dataclass(frozen=True)
class Found:
    """The last owner file of an output.

    Attributes:
        path: the file.
        number: its place in the order of owners.
        content: of the file.
        owner: whom it names; None if it was not written to its end.
    """

    path: Location
    number: int
    content: bytes
    owner: Owner | None


_held: set[str] = set()
"""Tokens of the runs that this process is driving now."""


def find_owner(directory: Location) -> Found | None:
    """The last owner of an output; None if it has none.

    Args:
        directory: folder of the parts.

    Raises:
        OutputError: the folder cannot be read.
    """
    names = [name for name in names_in(directory) if _NAME.fullmatch(name)]
    if not names:
        return None
    path = directory / names[-1]
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # let go just now
        return None
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        owner = decoder_of(Owner).decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        owner = None
    return Found(path, _number(names[-1]), content, owner)


def is_alive(directory: Location, found: Found, watching: Callable[[str], None]) -> bool:
    """Whether an owner is at work.

    On this machine its process tells. Of another machine neither the processes nor the clock are known: its beats are
    watched, until one comes or `SILENT_AFTER_S` have passed on the clock of this process.

    Args:
        directory: folder of the parts.
        found: the owner.
        watching: is told, in words, when it takes a while.
    """
    owner = found.owner
    if owner is not None and owner.machine == _machine():
        return _runs_here(owner)
    who = "another run" if owner is None else f"process {owner.pid} on {owner.host}"
    first, start = _signs_of_life(directory), time.monotonic()
    told = False
    while time.monotonic() < start + SILENT_AFTER_S:
        time.sleep(_LOOK_EVERY_S[is_local(directory)])
        now = find_owner(directory)
        if now is None or now.content != found.content:
            return now is not None and is_alive(directory, now, watching)
        if _signs_of_life(directory) != first:
            return True
        if not told:
            watching(f"{directory} belongs to {who}: waiting up to {SILENT_AFTER_S:.0f} s for a sign of life")
            told = True
    return False


class Claim:
    """The ownership of an output; held until it is let go, or the process ends.

    Args:
        directory: folder of the parts.
        watching: is told, in words, when it takes a while to see whether another owner lives.

    Attributes:
        owner: this process, as others see it.

    Raises:
        OutputError: another run owns the output, or it cannot be written to.
    """

    def __init__(self, directory: Location, watching: Callable[[str], None]) -> None:
        self.owner = Owner(
            token=secrets.token_hex(16),
            host=socket.gethostname(),
            machine=_machine(),
            pid=os.getpid(),
            started=_start_of(os.getpid()),
        )
        self._directory = directory
        _held.add(self.owner.token)  # before others can see it
        try:
            self._path = self._take(watching)
        except BaseException:
            _held.discard(self.owner.token)
            raise

    def held(self) -> bool:
        """Whether no other driver has taken the output over, thinking that this one was dead.

        Raises:
            OutputError: the folder cannot be read.
        """
        found = find_owner(self._directory)
        return found is not None and found.owner == self.owner

    def release(self) -> None:
        """Let go of the output, and remove the folder if nothing else is in it."""
        _held.discard(self.owner.token)
        try:
            self._path.unlink(missing_ok=True)
            if isinstance(self._directory, Path) and self._directory.is_dir() and not any(self._directory.iterdir()):
                self._directory.rmdir()
        except OSError:
            return  # gone already, or another driver has moved in

    def _take(self, watching: Callable[[str], None]) -> Location:
        content = msgspec.json.encode(self.owner)
        for attempt in range(_TRIES):
            time.sleep(0.05 if attempt else 0)
            before = find_owner(self._directory)
            if before is not None and is_alive(self._directory, before, watching):
                raise OutputError(_occupied(self._directory, before))
            path = self._directory / f"owner-{1 if before is None else before.number + 1:06d}.json"
            try:
                created = create_exclusively(path, content)
            except OutputError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    continue  # the folder went with the run that was in it
                raise
            if created and self._follows(before, path):
                self._remove_earlier(path)
                return path
            if created:
                path.unlink(missing_ok=True)
        raise OutputError(f"{self._directory}: other runs begin and end there all the time; name another output")

    def _follows(self, before: Found | None, path: Location) -> bool:
        """Whether this is the last owner, and the one that was found dead the last before it.

        Otherwise others have come, and perhaps gone, since that one was found.
        """
        last = find_owner(self._directory)
        if last is None or last.path.name != path.name:
            return False
        try:
            return before is None or before.path.read_bytes() == before.content
        except FileNotFoundError:
            return False

    def _remove_earlier(self, path: Location) -> None:
        for name in list(names_in(self._directory)):
            if _NAME.fullmatch(name) and name < path.name:
                (self._directory / name).unlink(missing_ok=True)


def _occupied(directory: Location, found: Found) -> str:
    owner = found.owner
    who = "another run" if owner is None else f"another run (process {owner.pid} on {owner.host})"
    return f"{directory}: {who} is writing there; wait until it ends, stop it, or name another output"


def _signs_of_life(directory: Location) -> bytes:
    try:
        return (directory / HEARTBEAT_FILE).read_bytes()
    except OSError:
        return b""


def _number(name: str) -> int:
    match = _NAME.fullmatch(name)
    assert match is not None
    return int(match[1])


def _runs_here(owner: Owner) -> bool:
    if owner.pid == os.getpid() and owner.started == _start_of(owner.pid):
        return owner.token in _held
    started = _start_of(owner.pid)
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's, of which less may be known
        return started in (owner.started, None)
    return owner.started in (started, None)


def _start_of(pid: int) -> int | None:
    """When a process began, in clock ticks since the machine did; None where that is not known, or it has ended."""
    try:
        # The name in brackets may hold anything; see proc(5). Fields after it: the state first, the start 20th.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


@cache
def _machine() -> str:
    """The boot of a machine and the space of its process numbers."""
    parts = [socket.gethostname()]
    with suppress(OSError):  # elsewhere than on Linux, the name must do
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)
