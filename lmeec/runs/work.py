"""A run over many takes: skip what is done, do the rest, keep failures apart, join the parts."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lmeec.errors import DiskFullError, OutputError
from lmeec.files.names import check_parquet_name, first_few
from lmeec.files.stamps import stamps_in
from lmeec.inference.pipeline import Profile
from lmeec.runs.attempts import Attempts
from lmeec.runs.events import Joining, Notice, Reporter
from lmeec.runs.heartbeat import PLAN_FILE, RunRecord
from lmeec.runs.index import RunIndex
from lmeec.runs.inventory import Inventory
from lmeec.runs.jobs import Job, remaining
from lmeec.runs.ledger import Ledger
from lmeec.runs.progress import Progress
from lmeec.runs.stop import Stop
from lmeec.runs.trace import TraceFile, discard_trace
from lmeec.tables import Output, PartInfo, PartWriter, RunMetadata, merge_parts, read_metadata, remove_parts
from lmeec.tables.failures import Failure, write_failures
from lmeec.tables.merge import check_free

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import pyarrow as pa

    from lmeec.config import ExecutionConfig, PredictConfig
    from lmeec.files.locations import Location
    from lmeec.runs.executor import Executor
    from lmeec.runs.ledger import Takes
    from lmeec.runs.worker import Worker
    from lmeec.tables.history import Step
    from lmeec.tables.merge import Finish

_FAILED = "failed"


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Attributes:
        parts: takes and directions that are done.
        resumed: of these, those that an earlier run had finished.
        rows: rows of the table that have what the run makes.
        tracks: tracks followed in this run.
        seconds: wall time of this run.
        failures: what was set aside.
        waiting: takes and directions that were not done because the run was stopped; there is no table then.
        missing: rows of the table that lack it.
        profile: where the workers' time went, added up over them.
    """

    parts: int
    resumed: int
    rows: int
    tracks: int
    seconds: float
    failures: tuple[Failure, ...] = ()
    waiting: int = 0
    missing: int = 0
    profile: Profile = field(default_factory=Profile)


class WorkerJob(Protocol):
    """What a run is to do, as far as those need to know who do it.

    Attributes:
        config: settings of the run.
        execution: how it is computed.
    """

    @property
    def config(self) -> PredictConfig:
        """As above."""
        ...

    @property
    def execution(self) -> ExecutionConfig:
        """As above."""
        ...

    @property
    def make_worker(self) -> Callable[[], Worker]:
        """Makes somebody who does it, in the process that calls."""
        ...


@dataclass(frozen=True)
class Work:
    """What a run is about.

    Attributes:
        run: what its rows depend on.
        takes: the takes that jobs point into.
        jobs: whole jobs, of all that is to be in the table.
        check: refuses jobs of which none can be done, before any is begun.
        without: rows of jobs, or of pieces of them, that failed.
        count: says of a table how many of its rows have what the run makes, and how many lack it.
        finish: is given all rows of a take and direction, sorted, and returns them as they are to be written.
        history: how the table comes to be, to be kept with it.
    """

    run: RunMetadata
    takes: Takes
    jobs: Sequence[Job]
    check: Callable[[Collection[Job]], None]
    without: Callable[[Job], Iterator[pa.RecordBatch]]
    count: Callable[[Location], tuple[int, int]]
    finish: Finish = lambda rows: rows
    history: Sequence[Step] = ()


def check_output(out: Location | str | Output, *, overwrite: bool) -> None:
    """Refuse, before any work, an output that cannot be of this run: no folder for it, or something foreign there.

    Raises:
        OutputError: what is there and how to go on.
    """
    out = Output.of(out)
    check_parquet_name(out.path)
    if isinstance(out.path, Path) and not out.path.parent.is_dir():
        raise OutputError(f"{out}: the folder {out.path.parent} does not exist; make it first")
    if overwrite or not out.path.exists():
        check_free(out, overwrite=overwrite)
        return
    try:
        read_metadata(out.path)
    except OutputError as error:
        raise OutputError(
            f"{error}. Name another output, or pass `overwrite=True` to replace what is there",
            settings=[*error.settings, "overwrite"],
        ) from error


def do_work(
    work: Work,
    executor: Executor,
    out: Output,
    reporter: Reporter,
    *,
    overwrite: bool = False,
    retries: int = 2,
    stop: Stop | None = None,
) -> RunSummary:
    """Do the jobs of a run, and join their parts to one sorted table.

    Finished jobs are kept as part files beside `out` until all are joined, so that the same call goes on where an
    interrupted one stopped; after a run that finished it does nothing. A job that fails is tried again where that can
    help, and does not stop the others: its rows lack what the run makes, and the failures are listed in a file beside
    the table. What is done is done again only where a video is there that was not, or is another file by now.

    Args:
        work: what to do.
        executor: does it.
        out: the results.
        reporter: is told how it goes.
        overwrite: discard an existing output and the parts of earlier runs.
        retries: how often a job that failed is tried again.
        stop: lets the caller end the run early: jobs at hand are finished and kept, and no table is made.

    Raises:
        OutputError: the output cannot be written, is of another run, or is being written by another.
        DiskFullError: there is no more space; what is finished is kept.
        DataError: what `work.check` refuses.
    """
    stop = stop or Stop()
    start = time.monotonic()

    def notice(text: str) -> None:
        reporter.event(Notice(text))

    index = RunIndex(out.parts, work.run, notice)
    inventory = Inventory(out, work.run, work.jobs, index)
    # What a run left that failed is cleared away by one that owns the output.
    if not overwrite and inventory.is_finished() and not out.failures.exists():
        return _nothing_to_do(work, out, notice, start)
    work.check(inventory.jobs.values())
    progress = Progress()
    with RunRecord(out.parts, progress, notice) as record, _files(out, notice, index) as trace:
        if overwrite:
            _discard(out)
        elif inventory.is_finished():  # by another run, or as a video is there again that was read before
            write_failures(out, [])
            trace.join(work.run)
            record.remove_files()
            return _nothing_to_do(work, out, notice, start)
        else:
            inventory.bring_up_to_date(notice)
        index.begin(stamps_in(out.parts))
        jobs = list(inventory.jobs.values())
        attempts = Attempts(trace.session, trace.write)
        ledger = Ledger(
            work.takes,
            out.parts,
            work.run,
            record,
            progress,
            reporter,
            retries=retries,
            stop=stop,
            attempts=attempts,
            index=index,
        )
        ledger.begin(jobs, remaining(jobs, inventory.done()), executor.workers)
        trace.begin(attempts.now(), executor.workers)
        record.beat_with(trace.flush, index.flush)
        executor.run(ledger)
        trace.end(attempts.now())
        if ledger.fatal is not None:
            raise DiskFullError(f"{ledger.fatal}. Finished takes are kept; make room and run the same command again")
        if ledger.undone:
            write_failures(out, progress.failures)
            return _summary(ledger, start, parts=progress.jobs_done, waiting=len(ledger.undone))
        record.check()
        parts = _checked_parts(inventory, ledger)
        failed = _write_failed(parts, inventory, ledger, work)
        if parts:
            reporter.event(Joining(len(parts)))
            _join(parts, failed, out, work, index)
        if not parts and out.path.exists():
            notice(f"{out} is still the table of an earlier run, as nothing of this one came out")
        for path in failed:
            path.unlink(missing_ok=True)
        record.check()
        write_failures(out, progress.failures)
        trace.join(work.run)
        if progress.failures:
            record.finish()
        else:
            index.discard()
            record.remove_files()
        rows, missing = work.count(out.path) if parts else (0, 0)
        return _summary(ledger, start, parts=progress.jobs_done, rows=rows, missing=missing)


@contextlib.contextmanager
def _files(out: Output, notice: Callable[[str], None], index: RunIndex) -> Iterator[TraceFile]:
    """The files that grow beside the parts while a run goes."""
    with contextlib.closing(TraceFile(out, notice)) as trace, contextlib.closing(index):
        yield trace


def _join(parts: Sequence[PartInfo], failed: Sequence[Location], out: Output, work: Work, index: RunIndex) -> None:
    try:
        merge_parts([*parts, *failed], out, overwrite=True, finish=work.finish, history=work.history)
    except OutputError:  # perhaps of a part that changed and does not tell: the next run reads the rows of all
        index.discard()
        raise


def _nothing_to_do(work: Work, out: Output, notice: Callable[[str], None], start: float) -> RunSummary:
    notice(f"{out} holds all of this run already: nothing to do")
    rows, missing = work.count(out.path)
    jobs, seconds = len(work.jobs), time.monotonic() - start
    return RunSummary(jobs, jobs, rows, 0, seconds, missing=missing)


def _discard(out: Output) -> None:
    remove_parts(out.parts, also=(PLAN_FILE,))
    write_failures(out, [])
    discard_trace(out)


def _checked_parts(inventory: Inventory, ledger: Ledger) -> list[PartInfo]:
    """All parts of the run, after a look that none is lost.

    Raises:
        OutputError: a part that was there is gone or damaged.
    """
    parts = list(inventory.parts())
    done = inventory.done_by(parts)
    lost = [
        job.label
        for job in remaining(inventory.jobs.values(), done)
        for pair in (job.pairs or {None})
        if not ledger.has_failed(job, pair)
    ]
    if lost:
        raise OutputError(
            f"parts that were finished are gone or damaged in {ledger.directory} ({first_few(dict.fromkeys(lost))}), "
            "so no table was made; leave that folder alone while a run goes, and run the same command again to do them "
            "anew"
        )
    return parts


def _write_failed(parts: Sequence[PartInfo], inventory: Inventory, ledger: Ledger, work: Work) -> list[Location]:
    """Write a part for each take and direction of which something failed: its rows, without what the run makes.

    They are of no pair of cameras that is covered, so that a rerun does them.
    """
    done = inventory.done_by(parts)
    paths: list[Location] = []
    for job in inventory.jobs.values():
        pieces = list(remaining([job], done))
        if pieces:
            with PartWriter(ledger.directory, ledger.run, job.take_uid, job.direction, _FAILED) as part:
                for piece in pieces:
                    for batch in work.without(piece):
                        part.write_batch(batch)
            paths.append(part.path)
    return paths


def _summary(
    ledger: Ledger, start: float, *, parts: int, rows: int = 0, missing: int = 0, waiting: int = 0
) -> RunSummary:
    return RunSummary(
        parts=parts,
        resumed=ledger.progress.resumed,
        rows=rows,
        tracks=ledger.tracks,
        seconds=time.monotonic() - start,
        failures=tuple(ledger.progress.failures),
        waiting=waiting,
        missing=missing,
        profile=ledger.profile,
    )
