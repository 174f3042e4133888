"""What one process does of a run: holds the models and predicts one take in one direction at a time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lmeec.config import ExecutionConfig, opposite
from lmeec.errors import CameraError, DataError
from lmeec.files.names import show
from lmeec.inference.carried import with_carried_masks
from lmeec.inference.host_memory import bound_kernels, give_back_free_memory
from lmeec.inference.predictor import TakePredictor, result_batch
from lmeec.model.build import LoadedModel, load, resolve_device
from lmeec.model.sam2 import load_sam2
from lmeec.runs.jobs import narrowed
from lmeec.runs.nothing import why_nothing
from lmeec.runs.outcome import JobError, ModelInfo, PartResult
from lmeec.runs.peaks import Peaks, name_of_gpu
from lmeec.runs.sources import renewed, sources_of
from lmeec.tables import PartWriter, RunMetadata
from lmeec.tables.coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping

    from sam2.modeling.sam2_base import SAM2Base

    from lmeec.config import Direction, PredictConfig
    from lmeec.data.takes import Take
    from lmeec.files.locations import Location
    from lmeec.files.remote.place import RemotePath
    from lmeec.runs.jobs import Job
    from lmeec.tables.coverage import Pair


_TRIM_EVERY = 32
"""Batches of rows between trims: holes of the heap, which stages that run side by side leave, add up over a take."""


class Worker:
    """Loads each model once and writes part files.

    Args:
        sources: the model of each direction, a built-in name, a path or a place.
        config: the run's settings.
        execution: how it is computed.

    Attributes:
        models: the loaded model of each direction; directions with the same source share it.
    """

    def __init__(
        self,
        sources: Mapping[Direction, str | RemotePath],
        config: PredictConfig,
        execution: ExecutionConfig | None = None,
    ) -> None:
        self.config = config
        self.execution = execution or ExecutionConfig()
        bound_kernels()
        loaded: dict[str | RemotePath, LoadedModel] = {
            source: load(source, self.execution.device, config.dtype, compiled=self.execution.compile)
            for source in dict.fromkeys(sources.values())
        }
        self.models: dict[Direction, LoadedModel] = {direction: loaded[source] for direction, source in sources.items()}
        self._carrier: SAM2Base | None = None
        if config.propagate is not None:
            self._carrier = load_sam2(config.propagate.checkpoint, resolve_device(self.execution.device))

    def describe(self) -> dict[Direction, ModelInfo]:
        """What results depend on and users want to know of the models."""
        return {
            direction: ModelInfo(
                name=loaded.name,
                digest=loaded.digest,
                device=loaded.model.device.type,
                dtype=str(loaded.dtype).removeprefix("torch."),
                gpu=name_of_gpu(loaded.model.device),
            )
            for direction, loaded in self.models.items()
        }

    def predict_part(
        self, take: Take, job: Job, directory: Location, run: RunMetadata
    ) -> Generator[int, None, PartResult]:
        """Predict a job into its part file, which appears only when whole.

        Where a video cannot be read, however late that shows, what does not need it is predicted anew without it, so
        that the part is whole for the other cameras.

        Args:
            take: the take.
            job: which cameras of it, in which direction.
            directory: folder of the parts.
            run: stored in the part.

        Yields:
            The number of predictions made since the last time.

        Returns:
            What became of it.

        Raises:
            CameraError: nothing can be predicted without a camera whose video cannot be read.
            DataError: the take cannot be used.
            OutputError: the part cannot be written.
        """
        if take.problems and not (take.tracks and take.cameras):
            raise DataError("; ".join(take.problems))
        take = renewed(take)
        start = time.monotonic()
        peaks = Peaks(self.models[job.direction].model.device)
        broken: dict[str, JobError] = {}
        while True:
            pairs = [pair for pair in job.pairs if broken.keys().isdisjoint(pair)]
            try:
                result = yield from peaks.watching(self._part(take, job, pairs, directory, run))
            except CameraError as error:
                broken[error.camera] = JobError.of(error)
                if all(error.camera in pair for pair in pairs):
                    raise
            else:
                return replace(
                    result,
                    seconds=time.monotonic() - start,
                    broken=broken,
                    peak_memory=peaks.memory,
                    peak_gpu_memory=peaks.gpu_memory,
                )

    def _part(
        self, take: Take, job: Job, pairs: Collection[Pair], directory: Location, run: RunMetadata
    ) -> Generator[int, None, PartResult]:
        """Write the part of some pairs of cameras of a job."""
        cameras = {camera for pair in pairs for camera in pair}
        if pairs:
            take = narrowed(take, cameras)
        coverage = Coverage(tuple(sorted(pairs)), sources_of(take, cameras))
        start = time.monotonic()
        predictions = 0
        carried: tuple[str, ...] = ()
        if self._carrier is not None and self.config.propagate is not None and pairs:
            every, objects = self.config.propagate.every, self.config.objects
            take, carried = with_carried_masks(take, job.direction, self._carrier, every, objects)
        back = None if self.config.cycle is None else self.models[opposite(job.direction)].model
        with (
            TakePredictor(
                self.models[job.direction].model, take, job.direction, self.config, self.execution, back
            ) as predictor,
            PartWriter(directory, run, take.uid, job.direction, job.piece, coverage) as part,
        ):
            for number, rows in enumerate(predictor.rows(), 1):
                part.write_batch(result_batch(rows, self.config))
                made = sum(row.missing is None for row in rows)
                predictions += made
                if number % _TRIM_EVERY == 0:
                    give_back_free_memory()
                yield made
        give_back_free_memory()
        return PartResult(
            rows=predictions,
            tracks=len(predictor.plan.tracks),
            seconds=time.monotonic() - start,
            warnings=(*carried, *predictor.warnings, *([] if predictions else [self._why_empty(take, job)])),
            profile=predictor.profile(),
            missing=part.rows - predictions,
            note=part.note,
        )

    def _why_empty(self, take: Take, job: Job) -> str:
        reason = why_nothing(take, (job.direction,), self.config.objects, self.config.targets)
        return f"take {show(take.name)}: there is nothing to predict in {job.direction}: {reason}"
