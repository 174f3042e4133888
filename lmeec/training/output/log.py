"""The record of a training's losses and validations: one JSON object a line, and event files for TensorBoard.

Event files are written by tensorboardX, which needs nothing but protobuf; torch's own writer needs the whole of
TensorBoard, with its web server, on every machine that trains. Its usual writer has a thread, which dies on a full disk
without a word and lets the training wait for ever; the one below it writes at once, and says so.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from lmeec.errors import OutputError
from lmeec.files.reading import reading
from lmeec.files.whole import naming_the_file, written_whole
from lmeec.training.output.folder import LOG, TENSORBOARD

if TYPE_CHECKING:
    from pathlib import Path


class TrainingLog:
    """Appends to both.

    Args:
        folder: of the training.
        step: steps done; what an earlier run wrote past them was lost with its state, and is taken out.
    """

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / LOG
        with naming_the_file(path):
            _cut(path, step)
            self._file = path.open("a", encoding="utf-8")
        self._path, self._board = path, folder / TENSORBOARD
        with naming_the_file(self._board):
            self._board.mkdir(exist_ok=True)
            self._events = EventsWriter(str(self._board / "events"))
            # What an earlier run drew from here on is not shown.
            self._events.write_event(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))

    def close(self) -> None:
        """Let go of the files; what could not be written was said before."""
        for one in (self._events, self._file):
            with contextlib.suppress(OSError):
                one.close()

    def write(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Add a record; numbers go to TensorBoard as `kind/name`, those of groups as `kind/group/name`.

        Raises:
            DiskFullError: there is no space.
            OutputError: a file cannot be written.
        """
        with naming_the_file(self._path):
            self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
            self._file.flush()
        with naming_the_file(self._board):
            for name, value in _scalars(kind, values):
                self._events.write_event(Event(step=step, wall_time=time.time(), summary=scalar(name, value)))
            self._events.flush()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records so far; an unfinished last line is left out.

    Raises:
        OutputError: the file is damaged.
    """
    path = folder / LOG
    if not path.exists():
        return []
    with reading(path, OutputError, "the record of a training", "remove it"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        records = msgspec.convert([json.loads(line) for line in lines if line.endswith("\n")], list[dict[str, Any]])
        for record in records:
            msgspec.convert(record["step"], int)
    return records


def _cut(path: Path, step: int) -> None:
    kept = [record for record in read_log(path.parent) if record["step"] <= step]
    if path.exists():
        with written_whole(path) as file:
            file.writelines(json.dumps(record).encode() + b"\n" for record in kept)


def _scalars(name: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for below, value in values.items():
        if isinstance(value, Mapping):
            yield from _scalars(f"{name}/{below}", value)
        elif isinstance(value, (int, float)):
            yield f"{name}/{below}", value
