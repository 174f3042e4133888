"""The folder of a training: its state, weights, settings and log, each there only when whole."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING, Any, Self

import torch
from ruamel.yaml import YAML
from torch import Tensor

from lmeec.errors import OutputError
from lmeec.files.whole import naming_the_file, written_whole
from lmeec.model.checkpoint import write_safetensors
from lmeec.model.torch_file import read_torch_file
from lmeec.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from lmeec.config import ModelConfig

STATE, SETTINGS, LOG, TENSORBOARD, CACHE = "state.pt", "train.yaml", "log.jsonl", "tensorboard", "cache"
BEST, LAST = "best.safetensors", "last.safetensors"
SCRATCH = ".ray"
_LOCK = ".lock"
_OURS = (STATE, SETTINGS, LOG, TENSORBOARD, CACHE, BEST, LAST, SCRATCH, _LOCK)


class TrainingFolder:
    """Owns the folder while a training writes to it; a context manager, for one process at a time.

    Args:
        path: made if it is not there.

    Raises:
        OutputError: it holds other things, cannot be made, or another training writes there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        foreign = [] if not path.is_dir() or (path / SETTINGS).exists() else [p.name for p in path.iterdir()]
        foreign = sorted(set(foreign) - set(_OURS))
        if foreign:
            raise OutputError(
                f"{path}: holds no training but other things ({foreign[0]}); name another `out`", settings=["out"]
            )
        with naming_the_file(path):
            path.mkdir(parents=True, exist_ok=True)
            self._lock = (path / _LOCK).open("w")

    def __enter__(self) -> Self:
        with naming_the_file(self.path):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                self._lock.close()
                raise OutputError(f"{self.path}: another training is writing there; wait for it or stop it") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def read_state(self) -> dict[str, Any] | None:
        """What `write_state` wrote last; None if it never did.

        Raises:
            OutputError: the file is damaged.
        """
        path = self.path / STATE
        if not path.exists():
            return None
        mend = f"begin anew in another `out`, perhaps with `checkpoint={self.path / LAST}`"
        try:
            state: dict[str, Any] | None = read_torch_file(path, OutputError, "a state of a training", mend)
        except OutputError as error:
            raise OutputError(str(error), settings=["out", "checkpoint"]) from error.__cause__
        if not isinstance(state, dict) or not isinstance(state.get("settings"), dict):
            raise OutputError(f"{path}: is no state of a training; {mend}", settings=["out", "checkpoint"])
        return state

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Replace the saved state in one step; the one before stays until the new one is whole.

        Raises:
            DiskFullError: there is no space.
            OutputError: it cannot be written.
        """
        path = self.path / STATE
        with naming_the_file(path), written_whole(path) as file:
            torch.save(dict(state), file)

    def write_weights(self, name: str, tensors: Mapping[str, Tensor], config: ModelConfig) -> None:
        """Write weights that `lmeec predict` reads."""
        write_safetensors(self.path / name, tensors, config)

    def write_settings(self, settings: Mapping[str, Any], about: str) -> None:
        """Write the resolved settings, in the form that `lmeec train` reads."""
        path = self.path / SETTINGS
        with written_whole(path) as file:
            file.write(f"# lmeec {__version__}: {about}\n".encode())
            YAML().dump(dict(settings), file)
