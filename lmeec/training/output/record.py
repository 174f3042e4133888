"""What the leading process of a training leaves in its folder."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from lmeec.training.output.log import TrainingLog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from lmeec.training.output.folder import TrainingFolder
    from lmeec.training.output.progress import StepDone, Validated


Kept = Literal["best", "last"]
"""Which weights: those of the best validation, or of the last saved state."""


class Writes(Protocol):
    """Writes weights into the folder of a training."""

    def write(self, folder: TrainingFolder, which: Kept) -> None:
        """Write the weights as they are, in the form that predicts or answers; in the leading process alone."""


class Record:
    """Writes state, weights and log; a context manager.

    Args:
        folder: where.
        settings: are stored with the state, to be compared when the training goes on.
        step: steps done so far.
    """

    def __init__(self, folder: TrainingFolder, settings: Mapping[str, Any], step: int) -> None:
        self._folder, self._settings = folder, dict(settings)
        self._log = TrainingLog(folder.path, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()

    def step(self, done: StepDone) -> None:
        """Log a step."""
        self._log.write("step", done.step, {**done.values, "seconds": round(done.seconds, 3)})

    def validation(self, judged: Validated, weights: Writes) -> None:
        """Log a validation, and keep the weights if they are the best so far."""
        scores = {direction: asdict(score) for direction, score in judged.scores.items()}
        self._log.write("validation", judged.step, {"iou": judged.iou, **scores})
        if judged.best:
            weights.write(self._folder, "best")

    def save(self, state: Mapping[str, Any], weights: Writes) -> None:
        """Write the weights, then the state: a training goes on from its state, which writes the weights anew.

        Raises:
            DiskFullError: there is no space; the state before is kept.
        """
        weights.write(self._folder, "last")
        self._folder.write_state({**state, "settings": self._settings})
