"""Round trips for the predictions of a table that exists, of this or any other method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmeec.config import Direction, ExecutionConfig, PredictConfig, opposite
from lmeec.data.takes import TakeSet, find_takes
from lmeec.errors import DataError, OutputError
from lmeec.files.places import place
from lmeec.runs.cycle_plan import notices_of, plan_cycle
from lmeec.runs.cycle_worker import CycleWorker, rows_of_pairs, with_trips
from lmeec.runs.events import Notice, Reporter, Silent
from lmeec.runs.predict import absolute_sources, cycle_settings
from lmeec.runs.work import RunSummary, Work, check_output, do_work
from lmeec.tables import (
    Output,
    read_history,
    read_metadata,
    read_take,
    scan_results,
)
from lmeec.tables.history import Step

if TYPE_CHECKING:
    from lmeec.files.locations import Location
    from lmeec.files.places import Place
    from lmeec.files.remote.cache import FileCache
    from lmeec.files.remote.place import RemotePath
    from lmeec.runs.executor import Executor
    from lmeec.runs.jobs import Job
    from lmeec.runs.stop import Stop
    from lmeec.runs.worker import Worker


@dataclass(frozen=True)
class CycleJob:
    """Of which table the predictions are to be taken back, and into what; `cycle_job` makes one of paths.

    Attributes:
        table: the results table.
        takes: the takes that it is of.
        out: the table with round trips.
        sources: the model of each way back, by its own direction: a built-in name or a path.
        config: way, memory, pixels and so on; its directions are the table's.
        execution: how.
        overwrite: discard an existing output and the parts of earlier runs.
        retries: how often a job that failed is tried again.
        command: the call that asks for it, to be kept with the results; empty for none.
    """

    table: Output
    takes: TakeSet
    out: Output
    sources: Mapping[Direction, str | RemotePath]
    config: PredictConfig
    execution: ExecutionConfig
    overwrite: bool = False
    retries: int = 2
    command: str = ""

    @property
    def make_worker(self) -> Callable[[], Worker]:
        """See `lmeec.runs.work.WorkerJob`."""
        return partial(CycleWorker, self.table.path, self.sources, self.config, self.execution)


def cycle_job(
    table: Location | str | Output,
    takes: Place | str,
    out: Location | str | Output,
    *,
    checkpoint: Sequence[str] = ("nano",),
    config: PredictConfig | None = None,
    execution: ExecutionConfig | None = None,
    annotations: Place | str | None = None,
    overwrite: bool = False,
    retries: int = 2,
    cache: FileCache | None = None,
    command: str = "",
) -> CycleJob:
    """Look at what a run is about, before any process is started for it.

    Args:
        table: a results table.
        takes: folder of the takes that it is of.
        out: the results file to write, or a folder if the name ends in a slash.
        checkpoint: as for `lmeec.runs.predict.predict_job`.
        config: way, memory, arithmetic, video and pixels; directions and the size of masks are the table's.
        execution: how.
        annotations: a relations file, or a folder of them; None looks beside the takes.
        overwrite: as in `CycleJob`.
        retries: as in `CycleJob`.
        cache: as for `predict_job`.
        command: as in `CycleJob`.

    Raises:
        OutputError: the table cannot be read, or the output cannot be of this run.
        DataError: takes or annotations cannot be used.
        CheckpointError, ConfigError: the checkpoints do not fit the directions.
    """
    source, output = Output.of(table).absolute(), Output.of(out).absolute()
    if source.path == output.path:
        raise OutputError(f"{out} is the table itself: name another file to write", settings=["out"])
    run = read_metadata(source.path)
    check_output(output, overwrite=overwrite)
    directions = _directions(source.path)
    config = replace(
        config or PredictConfig(cycle="frame"),
        directions=directions,
        mask_size="square" if run.has_square_masks else "evaluation",
    )
    sources = absolute_sources(checkpoint, tuple(map(opposite, directions)), cache)
    found = find_takes(place(takes, cache).absolute(), annotations=annotations, video=config.video_size, cache=cache)
    return CycleJob(
        source,
        found,
        output,
        sources,
        config,
        execution or ExecutionConfig(),
        overwrite=overwrite,
        retries=retries,
        command=command,
    )


def _directions(table: Location) -> tuple[Direction, ...]:
    """The directions of which there are rows."""
    there = {
        value for batch in scan_results(table, ["direction"]) for value in pc.unique(batch["direction"]).to_pylist()
    }
    known: tuple[Direction, ...] = tuple(direction for direction in get_args(Direction) if direction in there)
    if not known:
        raise DataError(f"{table} has no rows to take back: predict first")
    return known


def cycle(job: CycleJob, executor: Executor, reporter: Reporter | None = None, stop: Stop | None = None) -> RunSummary:
    """Give every prediction of a table its round trip; what `lmeec cycle` does.

    The rows, and what else the table says of them, stay as they are.

    Args:
        job: what to do.
        executor: does it; `lmeec.cluster.executors.executor_for` makes one that suits the job.
        reporter: is told how it goes.
        stop: lets the caller end the run early.

    Raises:
        LmeecError: as `lmeec.runs.work.do_work`.
        DataError: none of the table's takes is on disk, or the annotations do not fit the table.
    """
    reporter = reporter or Silent()
    assert job.config.cycle is not None
    table = job.table.path
    before = read_metadata(table)
    digest = job.takes.annotation_digest
    settings = cycle_settings(executor.describe(), digest, job.config, job.config.cycle)
    takes, jobs = plan_cycle(job.table, job.takes, job.config.directions)
    for notice in notices_of(job.table, jobs, before, digest):
        reporter.event(Notice(notice))

    def without_trips(piece: Job) -> Iterator[pa.RecordBatch]:
        rows = rows_of_pairs(read_take(table, piece.take_uid, piece.direction), piece.pairs)
        nothing = np.full(rows.num_rows, np.nan, np.float32)
        yield from with_trips(rows, nothing, nothing).to_batches()

    run = replace(before, predict={**before.predict, "cycle": settings})
    history = [*read_history(table), Step(job.command, str(job.takes.root))]
    work = Work(run, takes, jobs, lambda _: None, without_trips, _count_trips, history=history)
    return do_work(work, executor, job.out, reporter, overwrite=job.overwrite, retries=job.retries, stop=stop)


def _count_trips(out: Location) -> tuple[int, int]:
    """Predictions with and without a round trip."""
    made = lacking = 0
    for batch in scan_results(out, ["missing", "cycle_iou"]):
        predicted = batch.filter(pc.is_null(batch["missing"]))
        lacking += predicted["cycle_iou"].null_count
        made += predicted.num_rows - predicted["cycle_iou"].null_count
    return made, lacking
