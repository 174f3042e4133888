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
    """

    done: int
    frames: int


class FrameCount:
    """Notes the frames that were read of a take, every second or so.

    Args:
        folder: Of the notes.
        number: The take's.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._path = _note(folder, number)
        self._frames, self._last = 0, time.monotonic()

    def add(self) -> None:
        """One more was read."""
        self._frames += 1
        if time.monotonic() - self._last > _EVERY_S:
            self._last = time.monotonic()
            with contextlib.suppress(OSError):  # nothing depends on it
                self._path.parent.mkdir(exist_ok=True)
                self._path.write_text(str(self._frames))


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
        self._ending = threading.Event()

    def __enter__(self) -> Self:
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
        return Way(self._done + self._noted, sum(self._frames))

    def end(self, number: int) -> None:
        """A take is done, or failed."""
        self._open.discard(number)
        self._done += self._frames[number]
        self._noted = 0
        _note(self._folder, number).unlink(missing_ok=True)

    def _watch(self) -> None:
        while not self._ending.wait(_EVERY_S):
            self._noted = self._read()
            self._told(self.way)

    def _read(self) -> int:
        noted = 0
        with contextlib.suppress(OSError):
            for path in self._folder.glob("*.frames"):
                with contextlib.suppress(ValueError, OSError):
                    number = int(path.stem)
                    noted += min(int(path.read_text()), self._frames[number]) if number in self._open else 0
        return noted


def _note(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.frames"
