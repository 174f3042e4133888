"""What one process does of a run: holds the models and predicts one take in one direction at a time."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from lmeec.data.names import show
from lmeec.errors import DataError, DiskFullError, LmeecError, OutputError
from lmeec.inference.pipeline import Profile
from lmeec.inference.predictor import TakePredictor, result_batch
from lmeec.model.build import LoadedModel, load
from lmeec.tables import PartWriter, RunMetadata

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from lmeec.config import Direction, PredictConfig
    from lmeec.data.takes import Take
    from lmeec.tables.storage import Location


@dataclass(frozen=True)
class PartResult:
    """What became of one take in one direction.

    Attributes:
        rows: predictions written.
        tracks: tracks followed.
        seconds: wall time.
        warnings: what could not be predicted and why.
        profile: where the time went.
        missing: rows of frames without a prediction.
    """

    rows: int
    tracks: int
    seconds: float
    warnings: tuple[str, ...]
    profile: Profile = field(default_factory=Profile)
    missing: int = 0


@dataclass(frozen=True)
class ModelInfo:
    """A worker's model of one direction.

    Attributes:
        name: the built-in name or the checkpoint's file name.
        digest: of the weights.
        device: where it computes: cpu, cuda or mps.
        dtype: arithmetic of the large operations.
    """

    name: str
    digest: str
    device: str
    dtype: str


@dataclass(frozen=True)
class JobError:
    """Why a job failed, and what can be done about it.

    Attributes:
        reason: for the user.
        retry: whether trying again may help.
        fatal: whether every other job would meet it too.
        fresh_worker: whether the process may have been left unfit for the next job.
    """

    reason: str
    retry: bool = True
    fatal: bool = False
    fresh_worker: bool = False

    @classmethod
    def of(cls, error: Exception) -> JobError:
        """Judge an exception.

        What the data say will not change by trying again, unless reading them failed for a reason outside of them,
        such as a network file system that was away. A full disk meets every job. After anything unexpected, a GPU's
        state in this process is not to be trusted.
        """
        if isinstance(error, DiskFullError):
            return cls(str(error), retry=False, fatal=True)
        if isinstance(error, OutputError):
            return cls(str(error))
        if isinstance(error, torch.OutOfMemoryError):
            return cls(
                "out of GPU memory with one track at a time: use a GPU with more memory, fewer workers a GPU, or a "
                f"smaller --memory-size ({str(error).splitlines()[0]})",
                fresh_worker=True,
            )
        if isinstance(error, LmeecError):
            return cls(str(error), retry=isinstance(error.__cause__, OSError))
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return cls(f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})", fresh_worker=True)


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
            source: load(source, config.device, config.dtype, compiled=config.compile)
            for source in dict.fromkeys(sources.values())
        }
        self.models: dict[Direction, LoadedModel] = {direction: loaded[source] for direction, source in sources.items()}

    def describe(self) -> dict[Direction, ModelInfo]:
        """What results depend on and users want to know of the models."""
        return {
            direction: ModelInfo(
                name=loaded.name,
                digest=loaded.digest,
                device=loaded.model.device.type,
                dtype=str(loaded.dtype).removeprefix("torch."),
            )
            for direction, loaded in self.models.items()
        }

    def predict_part(
        self,
        take: Take,
        direction: Direction,
        directory: Location,
        run: RunMetadata,
        target_camera: str | None = None,
    ) -> Generator[int, None, PartResult]:
        """Predict a take in a direction into its part file, which appears only when whole.

        Args:
            take: the take; narrowed to the target camera where one is given.
            direction: which views are queries.
            directory: folder of the parts.
            run: stored in the part.
            target_camera: the only target camera that the part holds; None for all.

        Yields:
            The number of predictions made since the last time.

        Returns:
            What became of it.

        Raises:
            DataError: the take cannot be used.
            OutputError: the part cannot be written.
        """
        if take.problems and not (take.tracks and take.cameras):
            raise DataError("; ".join(take.problems))
        start = time.monotonic()
        predictions = 0
        with (
            TakePredictor(self.models[direction].model, take, direction, self.config) as predictor,
            PartWriter(directory, run, take.uid, direction, target_camera) as part,
        ):
            for rows in predictor.rows():
                part.write_batch(result_batch(rows, self.config))
                made = sum(row.missing is None for row in rows)
                predictions += made
                yield made
        return PartResult(
            rows=predictions,
            tracks=len(predictor.plan.tracks),
            seconds=time.monotonic() - start,
            warnings=(*predictor.warnings, *([] if predictions else [_why_empty(take, direction)])),
            profile=predictor.profile(),
            missing=part.rows - predictions,
        )


def _why_empty(take: Take, direction: Direction) -> str:
    reasons = take.problems or ("none of the objects has a mask in a query view whose frames a target view has too",)
    return f"take {show(take.name)}: there is nothing to predict in {direction}: {'; '.join(reasons)}"
