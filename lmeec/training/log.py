"""The record of a training's losses and validations: one JSON object a line, and event files for TensorBoard.

Event files are written by tensorboardX, which needs nothing but protobuf; torch's own writer needs the whole of
TensorBoard, with its web server, on every machine that trains.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from lmeec.tables.files import naming_the_file
from lmeec.training.folder import LOG, TENSORBOARD


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
        self._path = path
        self._events = SummaryWriter(str(folder / TENSORBOARD), purge_step=step + 1)

    def close(self) -> None:
        """Write what waits, and let go of the files."""
        self._events.close()
        self._file.close()

    def write(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Add a record; numbers go to TensorBoard as `kind/name`, those of groups as `kind/group/name`.

        Raises:
            DiskFullError: there is no space.
        """
        with naming_the_file(self._path):
            self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
            self._file.flush()
        for name, value in values.items():
            self._scalars(f"{kind}/{name}", value, step)

    def _scalars(self, name: str, value: Any, step: int) -> None:
        if isinstance(value, Mapping):
            for below, one in value.items():
                self._scalars(f"{name}/{below}", one, step)
        elif isinstance(value, (int, float)):
            self._events.add_scalar(name, value, step)


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records so far; an unfinished last line is left out."""
    path = folder / LOG
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _cut(path: Path, step: int) -> None:
    kept = [record for record in read_log(path.parent) if record["step"] <= step]
    if path.exists():
        aside = path.with_suffix(".tmp")
        aside.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
        aside.replace(path)
