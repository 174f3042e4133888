"""What one process does of round trips for a table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lmeec.config import opposite
from lmeec.inference.host_memory import give_back_free_memory
from lmeec.inference.trips_of_table import TableTrips
from lmeec.runs.jobs import narrowed
from lmeec.runs.outcome import PartResult
from lmeec.runs.sources import sources_of
from lmeec.runs.worker import Worker
from lmeec.tables import SCHEMA, PartWriter, read_take
from lmeec.tables.coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping

    from numpy.typing import NDArray

    from lmeec.config import Direction, ExecutionConfig, PredictConfig
    from lmeec.data.takes import Take
    from lmeec.files.locations import Location
    from lmeec.files.remote.place import RemotePath
    from lmeec.runs.jobs import Job
    from lmeec.tables import RunMetadata
    from lmeec.tables.coverage import Pair

_COLUMNS = ("cycle_iou", "cycle_score")


class CycleWorker(Worker):
    """Takes predictions of a table back, and writes part files.

    Args:
        table: the results table.
        sources: the model of each way back, by its own direction.
        config: the run's settings.
        execution: how it is computed.
    """

    def __init__(
        self,
        table: Location,
        sources: Mapping[Direction, str | RemotePath],
        config: PredictConfig,
        execution: ExecutionConfig | None = None,
    ) -> None:
        super().__init__(sources, config, execution)
        self._table = table

    def _part(
        self, take: Take, job: Job, pairs: Collection[Pair], directory: Location, run: RunMetadata
    ) -> Generator[int, None, PartResult]:
        assert self.config.cycle is not None
        cameras = {camera for pair in pairs for camera in pair}
        coverage = Coverage(tuple(sorted(pairs)), sources_of(take, cameras))
        start = time.monotonic()
        rows = rows_of_pairs(read_take(self._table, job.take_uid, job.direction), pairs)
        iou, score = (np.full(rows.num_rows, np.nan, np.float32) for _ in _COLUMNS)
        made = 0
        model = self.models[opposite(job.direction)].model
        with (
            TableTrips(model, narrowed(take, cameras), rows, self.config.cycle, self.config, self.execution) as table,
            PartWriter(directory, run, take.uid, job.direction, job.piece, coverage) as part,
        ):
            for trips in table.trips():
                for row, (value, logit) in trips:
                    iou[row] = value
                    score[row] = np.nan if logit is None else logit
                made += len(trips)
                yield len(trips)
            for batch in with_trips(rows, iou, score).to_batches():
                part.write_batch(batch)
        give_back_free_memory()
        return PartResult(
            rows=made,
            tracks=len(table.tracks),
            seconds=time.monotonic() - start,
            warnings=table.warnings,
            profile=table.profile(),
            missing=rows.num_rows - made,
            note=part.note,
        )


def rows_of_pairs(rows: pa.Table, pairs: Iterable[Pair]) -> pa.Table:
    """Those of pairs of cameras."""
    wanted = set(pairs)
    cameras = zip(rows["query_cam"].to_pylist(), rows["target_cam"].to_pylist(), strict=True)
    return rows.filter(pa.array([pair in wanted for pair in cameras], pa.bool_()))


def with_trips(rows: pa.Table, *values: NDArray[np.float32]) -> pa.Table:
    """Rows with `cycle_iou` and `cycle_score`; NaN stands for null."""
    for name, some in zip(_COLUMNS, values, strict=True):
        place = SCHEMA.get_field_index(name)
        rows = rows.set_column(place, SCHEMA.field(name), pa.array(some, pa.float32(), from_pandas=True))
    return rows
