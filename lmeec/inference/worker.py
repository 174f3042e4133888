"""What one process does of a run: holds the models and predicts one take in one direction at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmeec.config import Direction, PredictConfig
from lmeec.data.names import show
from lmeec.errors import DataError
from lmeec.inference.predictor import TakePredictor
from lmeec.model.build import LoadedModel, load
from lmeec.tables import PartWriter, RunMetadata

if TYPE_CHECKING:
    from lmeec.data.takes import Take


@dataclass(frozen=True)
class PartResult:
    """What became of one take in one direction.

    Attributes:
        rows: predictions written.
        tracks: tracks followed.
        seconds: wall time.
        warnings: what could not be predicted and why.
    """

    rows: int
    tracks: int
    seconds: float
    warnings: tuple[str, ...]


class Worker:
    """Loads each model once and writes part files.

    Args:
        sources: the model of each direction, a built-in name or a path.
        config: the run's settings.

    Attributes:
        models: the loaded model of each direction; directions with the same source share it.
    """

    def __init__(self, sources: Mapping[Direction, str], config: PredictConfig) -> None:
        self.config = config
        loaded: dict[str, LoadedModel] = {
            source: load(source, config.device, config.dtype) for source in dict.fromkeys(sources.values())
        }
        self.models: dict[Direction, LoadedModel] = {direction: loaded[source] for direction, source in sources.items()}

    def predict_part(
        self, take: Take, direction: Direction, directory: Path, run: RunMetadata, advanced: Callable[[int], None]
    ) -> PartResult:
        """Predict a take in a direction into its part file, which appears only when whole.

        Args:
            take: the take.
            direction: which views are queries.
            directory: folder of the parts.
            run: stored in the part.
            advanced: called with the number of predictions made since the last call.

        Raises:
            DataError: the take cannot be used.
            OutputError: the part cannot be written.
        """
        if take.problems and not (take.tracks and take.cameras):
            raise DataError("; ".join(take.problems))
        start = time.monotonic()
        with (
            TakePredictor(self.models[direction].model, take, direction, self.config) as predictor,
            PartWriter(directory, run, take.uid, direction) as part,
        ):
            for rows in predictor.rows():
                part.write(rows)
                advanced(len(rows))
        return PartResult(
            rows=part.rows,
            tracks=len(predictor.plan.tracks),
            seconds=time.monotonic() - start,
            warnings=(*predictor.plan.warnings, *([] if part.rows else [_why_empty(take, direction)])),
        )


def _why_empty(take: Take, direction: Direction) -> str:
    reasons = take.problems or ("none of the objects has a mask in a query view whose frames a target view has too",)
    return f"take {show(take.name)}: there is nothing to predict in {direction}: {'; '.join(reasons)}"
