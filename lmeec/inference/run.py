"""A prediction run over many takes: skip what is done, predict the rest, keep failures apart, join the parts."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmeec.data.names import first_few
from lmeec.data.truth import UncountedMasks
from lmeec.errors import DataError, DiskFullError, OutputError
from lmeec.inference.jobs import Job, jobs_of, remaining
from lmeec.inference.missing import refuse_nothing_to_predict
from lmeec.inference.pipeline import Profile
from lmeec.inference.progress import Failure, Notice, Progress, Reporter
from lmeec.inference.record import PLAN_FILE, RunRecord, write_failures
from lmeec.inference.work import Executor, Stop, Work
from lmeec.tables import (
    Contents,
    Output,
    PartInfo,
    RunMetadata,
    count_rows,
    list_parts,
    merge_parts,
    read_contents,
    read_metadata,
    read_part_infos,
    remove_parts,
)
from lmeec.tables.merge import check_free
from lmeec.tables.metadata import digest_of_files
from lmeec.tables.parts import part_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lmeec.config import Direction, PredictConfig
    from lmeec.data.takes import Take, TakeSet
    from lmeec.inference.worker import ModelInfo
    from lmeec.tables.storage import Location

_Key = tuple[str, str]


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Attributes:
        parts: takes and directions in the table.
        resumed: of these, those that an earlier run had finished.
        rows: predictions in the table.
        tracks: tracks followed in this run.
        seconds: wall time of this run.
        failures: jobs that are not in the table.
        waiting: takes and directions that were not done because the run was stopped; there is no table then.
        profile: where the workers' time went, added up over them.
    """

    parts: int
    resumed: int
    rows: int
    tracks: int
    seconds: float
    failures: tuple[Failure, ...] = ()
    waiting: int = 0
    profile: Profile = field(default_factory=Profile)


def failures_path(out: Location | str) -> Location:
    """The file beside the results that lists what is not in them."""
    return Output.of(out).failures


def run_metadata(models: Mapping[Direction, ModelInfo], takes: TakeSet, config: PredictConfig) -> RunMetadata:
    """What the results depend on."""
    return RunMetadata(
        model=", ".join(dict.fromkeys(model.name for model in models.values())),
        checkpoints={direction: model.digest for direction, model in models.items()},
        memory=_json_values(config.memory),
        predict={
            "dtype": ", ".join(dict.fromkeys(model.dtype for model in models.values())),
            "video": config.video_size,
            "pixels": config.pixels,
            "mask_size": config.mask_size,
            "objects": sorted(config.objects),
            **({} if config.calibration is None else {"calibration": config.calibration.digest}),
        },
        annotation_digest=digest_of_files(takes.annotations),
    )


def _json_values(settings: Any) -> Mapping[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return values


def check_output(out: Location | str | Output, *, overwrite: bool) -> None:
    """Refuse, before any work, an output that cannot be of this run: no folder for it, or something foreign there.

    Raises:
        OutputError: what is there and how to go on.
    """
    out = Output.of(out)
    if isinstance(out.path, Path) and not out.path.parent.is_dir():
        raise OutputError(f"{out}: the folder {out.path.parent} does not exist; make it first")
    if overwrite or not out.path.exists():
        check_free(out, overwrite=overwrite)
        return
    try:
        read_metadata(out.path)
    except OutputError as error:
        raise OutputError(f"{error}. Name another output, or pass --overwrite to replace what is there") from error


def run_predictions(
    executor: Executor,
    takes: TakeSet,
    out: Location | str | Output,
    reporter: Reporter,
    *,
    overwrite: bool = False,
    retries: int = 2,
    stop: Stop | None = None,
) -> RunSummary:
    """Predict every take in every direction, into one sorted table.

    Finished jobs are kept as part files beside `out` until all are joined, so that the same call goes on where an
    interrupted one stopped; after a run that finished it does nothing. A job that fails is tried again where that can
    help, and does not stop the others: the table is made without it, and the failures are listed in a file beside it.

    Args:
        executor: predicts.
        takes: the takes.
        out: the results file, or a folder for one file a take and direction if the name ends in a slash.
        reporter: is told how it goes.
        overwrite: discard an existing output and the parts of earlier runs.
        retries: how often a job that failed is tried again.
        stop: lets the caller end the run early: jobs at hand are finished and kept, and no table is made.

    Raises:
        OutputError: the output cannot be written, is of another run, or is being written by another.
        DiskFullError: there is no more space; what is finished is kept.
        DataError: a wanted object is in none of the takes, or there is nothing to predict in any of them.
    """
    out, stop = Output.of(out), stop or Stop()
    start = time.monotonic()
    check_output(out, overwrite=overwrite)
    run = run_metadata(executor.describe(), takes, executor.config)
    uncounted = UncountedMasks()
    jobs = list(_checked_jobs(takes, executor.config, uncounted))
    for warning in uncounted.warnings():
        reporter.event(Notice(warning))
    if not overwrite and (done := _done_before(out, run, jobs, reporter, start)) is not None:
        return done
    refuse_nothing_to_predict(takes, jobs)
    progress = Progress()
    with RunRecord(out.parts, progress, lambda text: reporter.event(Notice(text))) as record:
        # Asked again, as another run may have ended before this one owned the output.
        if overwrite:
            _discard(out)
        elif (done := _done_before(out, run, jobs, reporter, start)) is not None:
            return done
        parts = _Parts(out.parts, run, jobs)
        work = Work(takes, out.parts, run, record, progress, reporter, retries=retries, stop=stop)
        work.begin(jobs, remaining(jobs, parts.done()), executor.workers)
        executor.run(work)
        if work.fatal is not None:
            raise DiskFullError(f"{work.fatal}. Finished takes are kept; make room and run the same command again")
        waiting = progress.jobs - progress.jobs_done - _failed(progress.failures)
        if waiting > 0:
            write_failures(out, progress.failures)
            return _summary(work, start, parts=progress.jobs_done, waiting=waiting)
        return _join(out, parts, work, record, start)


def _done_before(
    out: Output, run: RunMetadata, jobs: Sequence[Job], reporter: Reporter, start: float
) -> RunSummary | None:
    if not (out.path.exists() and _is_finished(out, run, jobs)):
        return None
    reporter.event(Notice(f"{out} holds all of this run already: nothing to do"))
    return RunSummary(len(jobs), len(jobs), count_rows(out.path), 0, time.monotonic() - start)


def _checked_jobs(takes: TakeSet, config: PredictConfig, uncounted: UncountedMasks) -> Iterator[Job]:
    unknown = set(config.objects)

    def seen() -> Iterator[Take]:
        for take in takes:
            unknown.difference_update(take.objects)
            uncounted.add(take.tracks.values())
            yield take

    yield from jobs_of(seen(), config.directions, config.objects)
    if unknown:
        raise DataError(
            f"no take has an object named {first_few(sorted(unknown))}; `lmeec takes --json` lists the objects"
        )


def _discard(out: Output) -> None:
    remove_parts(out.parts, also=(PLAN_FILE,))
    write_failures(out, [])


def _is_finished(out: Output, run: RunMetadata, jobs: Sequence[Job]) -> bool:
    """Whether the output holds every job of this run.

    Raises:
        OutputError: it is of another run, or of other takes than this one and the parts of its own.
    """
    _refuse_other_run(read_metadata(out.path), run, out)
    contents = read_contents(out.path)
    mine = Contents.of((job.take_uid, job.direction) for job in jobs)
    if contents == mine:
        return True
    if not list_parts(out.parts):
        raise OutputError(
            f"{out} exists already and was made of {contents.count} takes and directions with the same settings, but "
            f"not of the {mine.count} of this run: name another output, or pass --overwrite to replace it"
        )
    return False


def _refuse_other_run(theirs: RunMetadata, mine: RunMetadata, path: object) -> None:
    differences = list(theirs.differences(mine))
    if differences:
        raise OutputError(
            f"{path} is of a run with other settings, which are not mixed with this one: {'; '.join(differences)} "
            "(there and here). Name another output, or pass --overwrite to discard what is there"
        )


class _Parts:
    """The whole parts of this run's jobs; damaged ones are left out, to be done again.

    Attributes:
        jobs: the jobs, by take and direction.

    Raises:
        OutputError: there is a part of another run, or of a take that is not in this one.
    """

    def __init__(self, directory: Location, run: RunMetadata, jobs: Sequence[Job]) -> None:
        self._directory = directory
        self._run = run
        self.jobs = {(job.take_uid, job.direction): job for job in jobs}

    def done(self) -> dict[_Key, set[str | None]]:
        """For a take and direction, the target cameras that parts hold; None stands for all."""
        done: dict[_Key, set[str | None]] = {}
        for info in self._infos():
            done.setdefault((info.take_uid, info.direction), set()).add(info.target_camera)
        return done

    def whole(self) -> dict[_Key, list[Location]]:
        """The parts of every take and direction that is done."""
        done = self.done()
        missing = {(job.take_uid, job.direction) for job in remaining(self.jobs.values(), done)}
        return {
            (uid, direction): [part_path(self._directory, uid, job.direction, camera) for camera in cameras]
            for (uid, direction), job in self.jobs.items()
            if (uid, direction) in done and (uid, direction) not in missing
            for cameras in [[None] if None in done[uid, direction] else [share.camera for share in job.shares]]
        }

    def _infos(self) -> Iterator[PartInfo]:
        for info in read_part_infos(list_parts(self._directory), skip_damaged=True):
            _refuse_other_run(info.run, self._run, info.path)
            if (info.take_uid, info.direction) not in self.jobs:
                raise OutputError(
                    f"{info.path} holds take {info.take_uid} ({info.direction}), which is not among the takes of this "
                    "run: give the same takes again, name another output, or pass --overwrite to discard it"
                )
            yield info


def _failed(failures: Sequence[Failure]) -> int:
    return len({(failure.take_uid, failure.direction) for failure in failures})


def _join(out: Output, parts: _Parts, work: Work, record: RunRecord, start: float) -> RunSummary:
    """Make the table; keep the parts while something is missing, so that a rerun needs to do only that.

    Raises:
        OutputError: a part that was there is gone, or another driver has taken the output over.
    """
    failures = work.progress.failures
    whole = parts.whole()
    _check_none_lost(out, parts, whole, failures)
    record.check()
    rows = merge_parts([path for paths in whole.values() for path in paths], out, overwrite=True) if whole else 0
    record.check()
    write_failures(out, failures)
    if not failures:
        record.remove_files()
    else:
        record.finish()
    return _summary(work, start, parts=len(whole), rows=rows)


def _check_none_lost(out: Output, parts: _Parts, whole: Mapping[_Key, object], failures: Sequence[Failure]) -> None:
    failed = {(failure.take_uid, failure.direction) for failure in failures}
    lost = [job.label for key, job in parts.jobs.items() if key not in whole and key not in failed]
    if lost:
        raise OutputError(
            f"{out}: parts that were finished are gone or damaged in {out.parts} ({first_few(lost)}), so no table was "
            "made; leave that folder alone while a run goes, and run the same command again to do them anew"
        )


def _summary(work: Work, start: float, *, parts: int, rows: int = 0, waiting: int = 0) -> RunSummary:
    return RunSummary(
        parts=parts,
        resumed=work.progress.resumed,
        rows=rows,
        tracks=work.tracks,
        seconds=time.monotonic() - start,
        failures=tuple(work.progress.failures),
        waiting=waiting,
        profile=work.profile,
    )
