"""What a reader may do with any input: read it, or refuse it in a message that names the file; soon, in bounds."""

from __future__ import annotations

import contextlib
import re
import resource
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lmeec.errors import LmeecError
from tests.support.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fuzz.readers import Reader

LONGEST_S = 10.0
"""Of CPU time, of all threads."""

MOST_BYTES = 1 << 30
"""Above what the process takes before it reads anything."""

LONGEST_MESSAGE = 500

_LOOK_EVERY_S = 0.5

_ROOT = f"{ROOT}/"
_CODE = (f"{_ROOT}lmeec/", f"{_ROOT}lmeec_cli/")

Kind = Literal["exception", "long", "unnamed", "slow", "memory", "died"]


@dataclass(frozen=True)
class Failure:
    """What a reader must not do.

    Attributes:
        kind: an exception of another kind than the project's, a message that is too long or does not name the file, too
            much time or memory, or the end of the process.
        where: tells failures apart: the error's type and where it was raised.
        said: what the error says, cut.
    """

    kind: Kind
    where: str
    said: str


@dataclass(frozen=True)
class Judgement:
    """What a reader did with an input.

    Attributes:
        refused: whether it raised the project's own error or told of a problem.
        seconds: of CPU.
        failures: all that it must not do.
    """

    refused: bool
    seconds: float
    failures: tuple[Failure, ...]


class TooSlowError(BaseException):
    """Interrupts a reader; no reader catches it by mistake."""


def judge(reader: Reader, path: Path, memory: Memory | None = None) -> Judgement:
    """Let a reader read a file.

    Args:
        reader: the reader.
        path: the file.
        memory: what memory it may take; None does not look.
    """
    failures: list[Failure] = []
    refused = False
    start = time.process_time()
    try:
        with _WATCHDOG.watching():
            for said in reader.read(path) or ():
                refused = True
                failures += _message_failures(said, path, reader, "told")
    except LmeecError as error:
        refused = True
        failures += _message_failures(str(error), path, reader, _where(error))
    except TooSlowError as error:
        failures.append(Failure("slow", _where(error), ""))
    except Exception as error:
        failures.append(Failure("exception", _where(error), _cut(str(error))))
    seconds = time.process_time() - start
    if seconds > LONGEST_S and not any(one.kind == "slow" for one in failures):
        failures.append(Failure("slow", "", ""))
    if memory is not None and (more := memory.more()) > MOST_BYTES:
        failures.append(Failure("memory", "", f"{more >> 20} MB"))
    return Judgement(refused, seconds, tuple(failures))


class Memory:
    """The most memory that this process has taken since `begin`."""

    def begin(self) -> None:
        """Forget what was taken before."""
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self._before = _peak()

    def more(self) -> int:
        """Bytes more than at the beginning, at the most."""
        return max(_peak() - self._before, 0)


def limit_memory(above: int = 6 * MOST_BYTES) -> None:
    """Refuse this process what no reader and no library takes, so that what asks for all memory fails here alone."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + above, resource.RLIM_INFINITY))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class _Watchdog:
    """Interrupts this process' main thread when a reader takes too long.

    A thread that looks now and then: with a timer of the kernel's on CPU time, that time is told by the tick only.
    """

    def __init__(self) -> None:
        self._begun: float | None = None
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch what the block does."""
        if self._thread is None:
            signal.signal(signal.SIGUSR1, self._interrupt)
            self._thread = threading.Thread(target=self._look, daemon=True)
            self._thread.start()
        self._begun = time.process_time()
        try:
            yield
        finally:
            self._begun = None

    def _late(self) -> bool:
        begun = self._begun
        return begun is not None and time.process_time() > begun + LONGEST_S

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_EVERY_S)
            if self._late():
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _interrupt(self, *_: Any) -> None:
        if self._late():
            self._begun = None
            raise TooSlowError


_WATCHDOG = _Watchdog()


def _message_failures(said: str, path: Path, reader: Reader, where: str) -> Iterator[Failure]:
    if len(said) > LONGEST_MESSAGE:
        yield Failure("long", f"{where}: {_gist(said, path)}", _cut(said))
    if not any(name in said for name in (path.name, *reader.named)):
        yield Failure("unnamed", f"{where}: {_gist(said, path)}", _cut(said))


def _gist(said: str, path: Path) -> str:
    """The first words of a message that do not come from the input, as far as that can be told."""
    plain = re.sub(r"'.*?'|\".*?\"", "", said.replace(str(path), "").replace(str(path.parent), ""))
    return " ".join(re.findall(r"[a-z]{2,}", plain)[:4])


def _cut(said: str) -> str:
    return said[:300].encode(errors="backslashreplace").decode()


def _where(error: BaseException) -> str:
    """The error's type, and the last function of the project that it came through."""
    place = "no function of the project"
    at = error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        if code.co_filename.startswith(_CODE):
            place = f"{code.co_filename[len(_ROOT) :]}:{code.co_name}"
        at = at.tb_next
    return f"{type(error).__name__} in {place}"
