"""How far the cutting of clips is, in frames, whichever processes cut: each notes in a small file what it has read."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Way:
    """How far the cutting is.

    Attributes:
        done: Frames that were read, or are in clips that are there.
        frames: Of all clips; those in several clips of a video count once.
        read: Frames that this run has read, and no other before it.
    """

    done: int
    frames: int
    read: int = 0

    def seconds_left(self, seconds: float) -> float | None:
        """What is left at this run's pace; None while it has read nothing.

        Args:
            seconds: How long it has been reading.

        Example:
            >>> Way(done=80, frames=100, read=10).seconds_left(5.0)
            10.0
        """
        return seconds / self.read * (self.frames - self.done) if self.read else None


class FrameCount:
    """Notes the frames that were read of a take, every second or so.

    Args:
        folder: Of the notes.
        number: The take's.

    Attributes:
        frames: How many there were.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._path = _note(folder, number)
        self.frames, self._last = 0, time.monotonic()

    def add(self) -> None:
        """One more was read."""
        self.frames += 1
        if time.monotonic() - self._last > _EVERY_S:
            self._last = time.monotonic()
            with contextlib.suppress(OSError):  # nothing depends on it
                self._path.parent.mkdir(exist_ok=True)
                self._path.write_text(str(self.frames))


class WayCounter:
    """Adds up what takes that are done had and what those at work have noted; a context manager.

    Args:
        folder: Of the notes.
        frames: Of each take.
        told: Is told how far it is, by a thread.
    """

    def __init__(self, folder: Path, frames: Sequence[int], told: Callable[[Way], None]) -> None:
        self._folder, self._frames, self._told = folder, frames, told
        self._open, self._done, self._noted = set(range(len(frames))), 0, 0
        self._read = 0
        self._ending, self._counting = threading.Event(), threading.Lock()

    def __enter__(self) -> Self:
        for path in self._folder.glob("*.frames"):  # of a run that was killed
            path.unlink(missing_ok=True)
        self._thread = threading.Thread(target=self._watch, name="clips-way", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        for number in range(len(self._frames)):
            _note(self._folder, number).unlink(missing_ok=True)

    @property
    def way(self) -> Way:
        """How far it is."""
        with self._counting:
            return Way(self._done + self._noted, sum(self._frames), self._read + self._noted)

    def end(self, number: int, read: int) -> None:
        """A take is done, or failed.

        Args:
            number: The take's.
            read: Frames that were read of it.
        """
        with self._counting:
            self._open.discard(number)
            self._done += self._frames[number]
            self._read += read
            self._noted = self._sum_notes()
        _note(self._folder, number).unlink(missing_ok=True)

    def _watch(self) -> None:
        while not self._ending.wait(_EVERY_S):
            with self._counting:
                self._noted = self._sum_notes()
            self._told(self.way)

    def _sum_notes(self) -> int:
        noted = 0
        with contextlib.suppress(OSError):
            for path in self._folder.glob("*.frames"):
                with contextlib.suppress(ValueError, OSError):
                    number = int(path.stem)
                    noted += min(int(path.read_text()), self._frames[number]) if number in self._open else 0
        return noted


def _note(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.frames"
