"""A prediction run over many takes: skip what is done, predict the rest, keep failures apart, join the parts."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmeec.config import ExecutionConfig, PredictConfig, opposite
from lmeec.data.takes import find_takes
from lmeec.data.truth import UncountedMasks
from lmeec.errors import DataError, DiskFullError, OutputError
from lmeec.files.names import and_nearest, check_parquet_name, first_few
from lmeec.files.places import place
from lmeec.files.remote.place import RemotePath
from lmeec.inference.missing import missing_rows
from lmeec.inference.pipeline import Profile
from lmeec.inference.predictor import finishing
from lmeec.model.sources import checkpoint_sources
from lmeec.runs.events import Notice, Reporter, Silent
from lmeec.runs.heartbeat import PLAN_FILE, RunRecord
from lmeec.runs.inventory import Inventory
from lmeec.runs.jobs import Job, jobs_of, narrowed, remaining
from lmeec.runs.ledger import Ledger
from lmeec.runs.nothing import refuse_nothing_to_predict
from lmeec.runs.progress import Progress
from lmeec.runs.stop import Stop
from lmeec.tables import (
    Output,
    PartInfo,
    PartWriter,
    RunMetadata,
    count_missing,
    count_rows,
    merge_parts,
    read_metadata,
    remove_parts,
)
from lmeec.tables.failures import Failure, write_failures
from lmeec.tables.merge import check_free
from lmeec.tables.metadata import digest_of_files
from lmeec.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lmeec.config import CycleWay, Direction
    from lmeec.data.takes import Take, TakeSet
    from lmeec.files.locations import Location
    from lmeec.files.places import Place
    from lmeec.files.remote.cache import FileCache
    from lmeec.runs.executor import Executor
    from lmeec.runs.worker import ModelInfo

_FAILED = "failed"


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Attributes:
        parts: takes and directions that are done.
        resumed: of these, those that an earlier run had finished.
        rows: predictions in the table.
        tracks: tracks followed in this run.
        seconds: wall time of this run.
        failures: what was set aside.
        waiting: takes and directions that were not done because the run was stopped; there is no table then.
        missing: rows of the table without a prediction.
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


def run_metadata(models: Mapping[Direction, ModelInfo], takes: TakeSet, config: PredictConfig) -> RunMetadata:
    """What the results depend on."""
    used = {direction: models[direction] for direction in config.directions}
    digest = digest_of_files(takes.annotations)
    cycle = {} if config.cycle is None else {"cycle": cycle_settings(models, digest, config, config.cycle)}
    return RunMetadata(
        model=", ".join(dict.fromkeys(model.name for model in used.values())),
        checkpoints={direction: model.digest for direction, model in used.items()},
        memory=_json_values(config.memory),
        predict={
            "dtype": ", ".join(dict.fromkeys(model.dtype for model in used.values())),
            "video": config.video_size,
            "pixels": config.pixels,
            "mask_size": config.mask_size,
            "objects": sorted(config.objects),
            **({"reverse": True} if config.reverse else {}),
            **({} if config.calibration is None else {"calibration": config.calibration.digest}),
            **cycle,
        },
        annotation_digest=digest,
    )


def cycle_settings(
    models: Mapping[Direction, ModelInfo], annotation_digest: str, config: PredictConfig, way: CycleWay
) -> dict[str, Any]:
    """What the way back depends on besides the predictions, which may be of another run, or of no run at all."""
    back = {direction: models[opposite(direction)] for direction in config.directions}
    return {
        "way": way,
        "checkpoints": {direction: model.digest for direction, model in back.items()},
        "dtype": ", ".join(dict.fromkeys(model.dtype for model in back.values())),
        "video": config.video_size,
        "pixels": config.pixels,
        "annotation_digest": annotation_digest,
        "lmeec_version": __version__,
        **({"memory": _json_values(config.memory)} if way == "tracked" else {}),
    }


def _json_values(settings: Any) -> Mapping[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return values


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


@dataclass(frozen=True)
class PredictJob:
    """What a run is to predict, and into what; `predict_job` makes one of paths.

    Attributes:
        takes: the takes.
        out: the results.
        sources: the model of each direction of `PredictConfig.model_directions`, a built-in name, a path or a place.
        config: what to predict.
        execution: how.
        overwrite: discard an existing output and the parts of earlier runs.
        retries: how often a job that failed is tried again.
    """

    takes: TakeSet
    out: Output
    sources: Mapping[Direction, str | RemotePath]
    config: PredictConfig
    execution: ExecutionConfig
    overwrite: bool = False
    retries: int = 2


def predict_job(
    takes: Place | str,
    out: Location | str | Output,
    *,
    checkpoint: Sequence[str] = ("nano",),
    config: PredictConfig | None = None,
    execution: ExecutionConfig | None = None,
    annotations: Place | str | None = None,
    names: Sequence[str] = (),
    overwrite: bool = False,
    retries: int = 2,
    cache: FileCache | None = None,
) -> PredictJob:
    """Look at what a run is about, before any process is started for it.

    Args:
        takes: folder of takes, a path or URL.
        out: the results file, or a folder for one file a take and direction if the name ends in a slash.
        checkpoint: one or two, each a built-in name, a path or a URL (`lmeec.model.sources.checkpoint_sources`).
        config: what to predict; the defaults predict both directions.
        execution: how.
        annotations: a relations file, or a folder of them; None looks beside the takes.
        names: only takes of these names or uids.
        overwrite: as in `PredictJob`.
        retries: as in `PredictJob`.
        cache: where whole files of URLs are kept; None reads the parts of videos that are needed.

    Raises:
        OutputError: the output cannot be of this run.
        DataError: takes or annotations cannot be used.
        CheckpointError, ConfigError: the checkpoints do not fit the directions.
    """
    config = config or PredictConfig()
    output = Output.of(out).absolute()
    check_output(output, overwrite=overwrite)
    # Workers have folders of their own to be in.
    sources = {
        direction: str(Path(source).absolute()) if isinstance(source, str) and Path(source).exists() else source
        for direction, source in checkpoint_sources(list(checkpoint), config.model_directions, cache).items()
    }
    found = find_takes(
        place(takes, cache).absolute(), annotations=annotations, video=config.video_size, names=names, cache=cache
    )
    return PredictJob(
        found, output, sources, config, execution or ExecutionConfig(), overwrite=overwrite, retries=retries
    )


def predict(
    job: PredictJob, executor: Executor, reporter: Reporter | None = None, stop: Stop | None = None
) -> RunSummary:
    """Predict every take in every direction, into one sorted table; what `lmeec predict` does.

    Args:
        job: what to predict.
        executor: predicts; `lmeec.cluster.executors.executor_for` makes one that suits the job.
        reporter: is told how it goes.
        stop: lets the caller end the run early.

    Raises:
        LmeecError: as `run_predictions`.

    Example:
        One process, from a notebook:

            job = predict_job(Path("takes"), "results.parquet")
            summary = predict(job, InProcess(Worker(job.sources, job.config, job.execution)))
    """
    return run_predictions(
        executor, job.takes, job.out, reporter or Silent(), overwrite=job.overwrite, retries=job.retries, stop=stop
    )


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
    help, and does not stop the others: its frames are rows without a prediction, and the failures are listed in a file
    beside the table. What is done is done again only where a video is there that was not, or is another file by now.

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

    def notice(text: str) -> None:
        reporter.event(Notice(text))

    uncounted = UncountedMasks()
    inventory = Inventory(out, run, list(_checked_jobs(takes, executor.config, uncounted)))
    for warning in uncounted.warnings():
        notice(warning)
    # What a run left that failed is cleared away by one that owns the output.
    if not overwrite and inventory.is_finished() and not out.failures.exists():
        return _nothing_to_do(inventory, out, notice, start)
    refuse_nothing_to_predict(takes, inventory.jobs.values(), executor.config.objects)
    progress = Progress()
    with RunRecord(out.parts, progress, notice) as record:
        if overwrite:
            _discard(out)
        elif inventory.is_finished():  # by another run, or as a video is there again that was read before
            write_failures(out, [])
            record.remove_files()
            return _nothing_to_do(inventory, out, notice, start)
        else:
            inventory.bring_up_to_date(notice)
        jobs = list(inventory.jobs.values())
        ledger = Ledger(takes, out.parts, run, record, progress, reporter, retries=retries, stop=stop)
        ledger.begin(jobs, remaining(jobs, inventory.done()), executor.workers)
        executor.run(ledger)
        if ledger.fatal is not None:
            raise DiskFullError(f"{ledger.fatal}. Finished takes are kept; make room and run the same command again")
        if ledger.undone:
            write_failures(out, progress.failures)
            return _summary(ledger, start, parts=progress.jobs_done, waiting=len(ledger.undone))
        record.check()
        parts = _checked_parts(inventory, ledger)
        failed = _write_failed(parts, inventory, ledger, takes, executor.config)
        rows = 0
        if parts:
            finish = finishing(executor.config)
            rows = merge_parts([*(info.path for info in parts), *failed], out, overwrite=True, finish=finish)
        if not parts and out.path.exists():
            notice(f"{out} is still the table of an earlier run, as nothing of this one came out")
        for path in failed:
            path.unlink(missing_ok=True)
        record.check()
        write_failures(out, progress.failures)
        if progress.failures:
            record.finish()
        else:
            record.remove_files()
        missing = count_missing(out.path) if rows else 0
        return _summary(ledger, start, parts=progress.jobs_done, rows=rows - missing, missing=missing)


def _nothing_to_do(inventory: Inventory, out: Output, notice: Callable[[str], None], start: float) -> RunSummary:
    notice(f"{out} holds all of this run already: nothing to do")
    missing, jobs = count_missing(out.path), len(inventory.jobs)
    seconds = time.monotonic() - start
    return RunSummary(jobs, jobs, count_rows(out.path) - missing, 0, seconds, missing=missing)


def _checked_jobs(takes: TakeSet, config: PredictConfig, uncounted: UncountedMasks) -> Iterator[Job]:
    known: set[str] = set()

    def seen() -> Iterator[Take]:
        for take in takes:
            known.update(take.objects)
            uncounted.add(take.tracks.values())
            yield take

    yield from jobs_of(seen(), config.directions, config.objects)
    unknown = set(config.objects) - known
    if unknown:
        raise DataError(
            f"no take has an object named {and_nearest(sorted(unknown), known)}; `lmeec takes` lists the objects"
        )


def _discard(out: Output) -> None:
    remove_parts(out.parts, also=(PLAN_FILE,))
    write_failures(out, [])


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


def _write_failed(
    parts: Sequence[PartInfo], inventory: Inventory, ledger: Ledger, takes: TakeSet, config: PredictConfig
) -> list[Location]:
    """Write a part for each take and direction of which something failed: its rows, without predictions.

    They are of no pair of cameras that is covered, so that a rerun does them.
    """
    done = inventory.done_by(parts)
    paths: list[Location] = []
    for job in inventory.jobs.values():
        pieces = list(remaining([job], done))
        if pieces:
            take = takes[job.index]
            with PartWriter(ledger.directory, ledger.run, job.take_uid, job.direction, _FAILED) as part:
                for piece in pieces:
                    some = narrowed(take, piece.cameras)
                    part.write(
                        missing_rows(some, job.direction, "failed", objects=config.objects, mask_size=config.mask_size)
                    )
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
