"""A prediction run over many takes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmeec.config import ExecutionConfig, PredictConfig, PropagateConfig, opposite
from lmeec.data.takes import find_takes
from lmeec.data.truth import UncountedMasks
from lmeec.errors import CheckpointError, DataError
from lmeec.files.names import and_nearest
from lmeec.files.places import is_url, place
from lmeec.files.reading import check_regular
from lmeec.files.remote.place import RemotePath
from lmeec.inference.missing import missing_rows
from lmeec.inference.predictor import finishing
from lmeec.model.sources import checkpoint_sources
from lmeec.runs.events import Notice, Reporter, Silent
from lmeec.runs.jobs import Job, jobs_of, narrowed, spared
from lmeec.runs.nothing import refuse_nothing_to_predict
from lmeec.runs.work import RunSummary, Work, check_output, do_work
from lmeec.runs.worker import Worker
from lmeec.tables import Output, RunMetadata, count_missing, count_rows, rows_to_batch
from lmeec.tables.history import Step
from lmeec.tables.metadata import digest_of_files
from lmeec.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import pyarrow as pa

    from lmeec.config import CycleWay, Direction
    from lmeec.data.takes import Take, TakeSet
    from lmeec.files.locations import Location
    from lmeec.files.places import Place
    from lmeec.files.remote.cache import FileCache
    from lmeec.runs.executor import Executor
    from lmeec.runs.outcome import ModelInfo
    from lmeec.runs.stop import Stop


def run_metadata(models: Mapping[Direction, ModelInfo], takes: TakeSet, config: PredictConfig) -> RunMetadata:
    """What the results depend on."""
    used = {direction: models[direction] for direction in config.directions}
    digest = takes.annotation_digest
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
            **({} if config.targets == "all" else {"targets": config.targets}),
            **({"synthetic": True} if takes.synthetic else {}),
            **({} if takes.every == 1 else {"every": takes.every}),
            **({"reverse": True} if config.reverse else {}),
            **({} if config.refine == "none" else {"refine": config.refine}),
            **({} if config.propagate is None else {"propagate": _propagation(config.propagate)}),
            **({} if config.calibration is None else {"calibration": config.calibration.digest}),
            **cycle,
        },
        annotation_digest=digest,
    )


def _propagation(propagate: PropagateConfig) -> dict[str, Any]:
    return {"checkpoint": digest_of_files([place(propagate.checkpoint)]), "every": propagate.every}


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
        command: the call that asks for it, to be kept with the results; empty for none.
    """

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
        """Makes somebody who predicts it, in the process that calls; holds none of the takes, to be sent to others."""
        return partial(Worker, self.sources, self.config, self.execution)


def predict_job(
    takes: Place | str,
    out: Location | str | Output,
    *,
    checkpoint: Sequence[str] = ("nano",),
    config: PredictConfig | None = None,
    execution: ExecutionConfig | None = None,
    annotations: Place | str | None = None,
    names: Sequence[str] = (),
    every: int = 1,
    overwrite: bool = False,
    retries: int = 2,
    cache: FileCache | None = None,
    command: str = "",
) -> PredictJob:
    """Look at what a run is about, before any process is started for it.

    Args:
        takes: folder of takes, or a manifest; a path or URL.
        out: the results file, or a folder for one file a take and direction if the name ends in a slash.
        checkpoint: one or two, each a built-in name, a path or a URL (`lmeec.model.sources.checkpoint_sources`).
        config: what to predict; the defaults predict both directions.
        execution: how.
        annotations: a relations file, or a folder of them; None looks beside the takes.
        names: only takes of these names or uids.
        every: only masks at frames that are multiples of it.
        overwrite: as in `PredictJob`.
        retries: as in `PredictJob`.
        cache: where whole files of URLs are kept; None reads the parts of videos that are needed.
        command: as in `PredictJob`.

    Raises:
        OutputError: the output cannot be of this run.
        DataError: takes or annotations cannot be used.
        CheckpointError, ConfigError: the checkpoints do not fit the directions.
    """
    config = config or PredictConfig()
    if config.propagate is not None:
        config = replace(config, propagate=PropagateConfig(_absolute(config.propagate.checkpoint), every))
    output = Output.of(out).absolute()
    check_output(output, overwrite=overwrite)
    sources = absolute_sources(checkpoint, config.model_directions, cache)
    found = find_takes(
        place(takes, cache).absolute(),
        annotations=annotations,
        video=config.video_size,
        names=names,
        every=1 if config.propagate is not None else every,  # a mask between is carried to the frames that are wanted
        cache=cache,
    )
    return PredictJob(
        found,
        output,
        sources,
        config,
        execution or ExecutionConfig(),
        overwrite=overwrite,
        retries=retries,
        command=command,
    )


def _absolute(checkpoint: str) -> str:
    """Workers have folders of their own to be in."""
    if is_url(checkpoint):
        return checkpoint
    check_regular(Path(checkpoint), CheckpointError)
    return str(Path(checkpoint).absolute())


def absolute_sources(
    checkpoint: Sequence[str], directions: Sequence[Direction], cache: FileCache | None = None
) -> dict[Direction, str | RemotePath]:
    """What `checkpoint_sources` gives, wherever a process is: workers have folders of their own to be in."""
    return {
        direction: str(Path(source).absolute()) if isinstance(source, str) and Path(source).exists() else source
        for direction, source in checkpoint_sources(list(checkpoint), directions, cache).items()
    }


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
            summary = predict(job, InProcess(job.make_worker()))
    """
    return run_predictions(
        executor,
        job.takes,
        job.out,
        reporter or Silent(),
        overwrite=job.overwrite,
        retries=job.retries,
        stop=stop,
        command=job.command,
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
    command: str = "",
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
        command: the call that asks for it, to be kept with the results; empty for none.

    Raises:
        OutputError: the output cannot be written, is of another run, or is being written by another.
        DiskFullError: there is no more space; what is finished is kept.
        DataError: a wanted object is in none of the takes, or there is nothing to predict in any of them.
    """
    out = Output.of(out)
    check_output(out, overwrite=overwrite)
    config = executor.config
    run = run_metadata(executor.describe(), takes, config)
    uncounted = UncountedMasks()
    jobs = list(_checked_jobs(takes, config, uncounted))
    for warning in uncounted.warnings():
        reporter.event(Notice(warning))

    if config.targets != "all":
        reporter.event(Notice(spared(jobs, jobs_of(takes, config.directions, config.objects))))

    def refuse_nothing(jobs: Collection[Job]) -> None:
        refuse_nothing_to_predict(takes, jobs, config.objects, config.targets)

    def without_predictions(job: Job) -> Iterator[pa.RecordBatch]:
        some = narrowed(takes[job.index], job.cameras)
        rows = missing_rows(
            some,
            job.direction,
            "failed",
            objects=config.objects,
            targets=config.targets,
            mask_size=config.mask_size,
        )
        yield rows_to_batch(list(rows))

    work = Work(
        run,
        takes,
        jobs,
        refuse_nothing,
        without_predictions,
        _count_predictions,
        finishing(config),
        [Step(command, str(takes.root))],
    )
    return do_work(work, executor, out, reporter, overwrite=overwrite, retries=retries, stop=stop)


def _count_predictions(out: Location) -> tuple[int, int]:
    missing = count_missing(out)
    return count_rows(out) - missing, missing


def _checked_jobs(takes: TakeSet, config: PredictConfig, uncounted: UncountedMasks) -> Iterator[Job]:
    known: set[str] = set()

    def seen() -> Iterator[Take]:
        for take in takes:
            known.update(take.objects)
            uncounted.add(take.tracks.values())
            yield take

    yield from jobs_of(seen(), config.directions, config.objects, config.targets)
    unknown = set(config.objects) - known
    if unknown:
        raise DataError(
            f"no take has an object named {and_nearest(sorted(unknown), known)}; `lmeec takes` lists the objects"
        )
