"""A prediction run over many takes: skip what is done, predict the rest, keep failures apart, join the parts."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lmeec.config import Direction, PredictConfig
from lmeec.data.names import first_few
from lmeec.errors import DataError, LmeecError, OutputError
from lmeec.inference.plan import estimate_steps
from lmeec.inference.worker import PartResult, Worker
from lmeec.tables import (
    RunMetadata,
    list_parts,
    merge_parts,
    part_path,
    parts_directory,
    read_metadata,
    read_part_info,
    remove_parts,
)
from lmeec.tables.files import written_whole
from lmeec.tables.merge import check_free

if TYPE_CHECKING:
    from lmeec.data.takes import Take, TakeSet


@dataclass(frozen=True)
class Job:
    """One take in one direction.

    Attributes:
        take: the take.
        direction: which views are queries.
        steps: predictions it will need, estimated.
    """

    take: Take
    direction: Direction
    steps: int


@dataclass(frozen=True)
class Failure:
    """Why a job did not finish."""

    take_uid: str
    take_name: str
    direction: Direction
    error: str


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Attributes:
        parts: jobs in the table.
        resumed: of these, jobs that an earlier run had finished.
        rows: predictions in the table.
        tracks: tracks followed in this run.
        seconds: wall time of this run.
        failures: jobs that are not in the table.
    """

    parts: int
    resumed: int
    rows: int
    tracks: int
    seconds: float
    failures: tuple[Failure, ...]


class Reporter(Protocol):
    """Is told how a run goes."""

    def run_started(self, jobs: list[Job], resumed: int) -> None:
        """Jobs that remain, and how many an earlier run had finished."""

    def job_started(self, job: Job) -> None:
        """A job begins."""

    def advanced(self, job: Job, predictions: int) -> None:
        """So many more predictions are made."""

    def job_finished(self, job: Job, result: PartResult) -> None:
        """A job's part is written."""

    def job_failed(self, job: Job, failure: Failure) -> None:
        """A job is set aside."""


def failures_path(out: Path) -> Path:
    """The file beside the results that lists what is not in them."""
    return out.with_name(out.name + ".failures.json")


def run_metadata(worker: Worker, takes: TakeSet, config: PredictConfig) -> RunMetadata:
    """What the results depend on."""
    models = worker.models
    names = dict.fromkeys(loaded.name for loaded in models.values())
    return RunMetadata(
        model=", ".join(names),
        checkpoints={direction: loaded.digest for direction, loaded in models.items()},
        memory=_json_values(config.memory),
        predict={
            "dtype": ", ".join(dict.fromkeys(str(m.dtype).removeprefix("torch.") for m in models.values())),
            "video": config.video,
            "objects": sorted(config.objects),
        },
        annotation_digest=_digest_of_files(takes.annotations),
    )


def _json_values(settings: Any) -> Mapping[str, Any]:
    return json.loads(json.dumps(asdict(settings)))


def _digest_of_files(paths: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def check_output(out: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, an output that is there and not left incomplete by failures.

    Raises:
        OutputError: it exists and `overwrite` is false, or its folder does not exist.
    """
    if not out.parent.is_dir():
        raise OutputError(f"{out}: the folder {out.parent} does not exist; make it first")
    if not failures_path(out).exists():
        check_free(out, overwrite=overwrite)


def run_predictions(
    worker: Worker, takes: TakeSet, out: Path, reporter: Reporter, *, overwrite: bool = False
) -> RunSummary:
    """Predict every take in every direction of the worker, into one sorted table.

    Finished jobs are kept as part files beside `out` until all are joined, so that the same call goes on where an
    interrupted one stopped. A job that fails does not stop the others: the table is made without it, and the
    failures are listed in a file beside it.

    Args:
        worker: predicts.
        takes: the takes.
        out: the results file.
        reporter: is told how it goes.
        overwrite: discard an existing output and the parts of earlier runs.

    Raises:
        OutputError: the output is there already, cannot be written, or is of another run.
        DataError: a wanted object is in none of the takes.
    """
    start = time.monotonic()
    check_output(out, overwrite=overwrite)
    directory = parts_directory(out)
    run = run_metadata(worker, takes, worker.config)
    if overwrite:
        remove_parts(directory)
        failures_path(out).unlink(missing_ok=True)
    finished = _finished_parts(directory, run)
    if failures_path(out).exists() and out.exists():
        _refuse_other_run(read_metadata(out), run, out)
    jobs = [
        Job(take, direction, estimate_steps(take, direction, worker.config.objects))
        for take in takes
        for direction in worker.config.directions
    ]
    _check_objects(jobs, worker.config.objects)
    waiting = [job for job in jobs if part_path(directory, job.take.uid, job.direction) not in finished]
    reporter.run_started(waiting, len(jobs) - len(waiting))
    tracks, failures = 0, []
    for job in waiting:
        outcome = _do(worker, job, directory, run, reporter)
        if isinstance(outcome, Failure):
            failures.append(outcome)
        else:
            tracks += outcome.tracks
    parts = [path for job in jobs if (path := part_path(directory, job.take.uid, job.direction)).exists()]
    rows = merge_parts(parts, out, overwrite=True) if parts else 0
    _settle(out, directory, failures)
    return RunSummary(
        parts=len(parts),
        resumed=len(jobs) - len(waiting),
        rows=rows,
        tracks=tracks,
        seconds=time.monotonic() - start,
        failures=tuple(failures),
    )


def _check_objects(jobs: list[Job], wanted: tuple[str, ...]) -> None:
    unknown = set(wanted) - {name for job in jobs for name in job.take.objects}
    if unknown:
        raise DataError(
            f"no take has an object named {first_few(sorted(unknown))}; `lmeec takes --json` lists the objects"
        )


def _finished_parts(directory: Path, run: RunMetadata) -> set[Path]:
    """Whole parts of this run; damaged ones are done again.

    Raises:
        OutputError: there is a part of another run.
    """
    finished = set()
    for path in list_parts(directory):
        try:
            info = read_part_info(path)
        except OutputError:
            continue
        _refuse_other_run(info.run, run, path)
        finished.add(path)
    return finished


def _refuse_other_run(theirs: RunMetadata, mine: RunMetadata, path: Path) -> None:
    differences = list(theirs.differences(mine))
    if differences:
        raise OutputError(
            f"{path} is of a run with other settings, which are not mixed with this one: {'; '.join(differences)} "
            "(there and here). Name another output, or pass --overwrite to discard what is there"
        )


def _do(worker: Worker, job: Job, directory: Path, run: RunMetadata, reporter: Reporter) -> PartResult | Failure:
    reporter.job_started(job)
    try:
        result = worker.predict_part(
            job.take, job.direction, directory, run, lambda predictions: reporter.advanced(job, predictions)
        )
    except OutputError:
        # A full disk or a lost folder would meet every other job too.
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, LmeecError) else f"{type(error).__name__}: {error}"
        failure = Failure(job.take.uid, job.take.name, job.direction, reason)
        reporter.job_failed(job, failure)
        return failure
    reporter.job_finished(job, result)
    return result


def _settle(out: Path, directory: Path, failures: list[Failure]) -> None:
    """Keep the parts while something is missing, so that a rerun needs to do only that."""
    if not failures:
        remove_parts(directory)
        failures_path(out).unlink(missing_ok=True)
        return
    with written_whole(failures_path(out)) as file:
        file.write(json.dumps([asdict(failure) for failure in failures], indent=2, ensure_ascii=False).encode())
