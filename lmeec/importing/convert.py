"""Turn a prediction file and its ground truth into a results table, as if the method had been run by `lmeec`."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pyarrow as pa

from lmeec.config import Direction
from lmeec.data.names import show
from lmeec.data.take import EGO_PREFIX
from lmeec.data.tracks import MaskTrack
from lmeec.errors import DataError
from lmeec.importing.predictions import Frames, Prediction, PredictionsFile
from lmeec.importing.truth import TakeTruth, TruthFile
from lmeec.masks import RunLengthMask, evaluation_size, resize_nearest
from lmeec.tables import (
    Output,
    PartWriter,
    ResultRow,
    RunMetadata,
    list_parts,
    merge_parts,
    remove_parts,
    rows_to_batch,
)
from lmeec.tables.merge import check_free
from lmeec.tables.metadata import digest_of_files

if TYPE_CHECKING:
    from lmeec.tables.storage import Location

_FRAMES_A_TASK = 50
_TASKS_AHEAD = 64
_WORTH_WORKERS = 2_000  # frames; fewer take less time than starting processes


@dataclass(frozen=True)
class ImportSummary:
    """What became of a prediction file.

    Attributes:
        rows: frames in the table: those at which the query camera has a mask.
        visible: of these, with visible ground truth.
        absent: of these, annotated with the object not visible.
        missing: of these, without a prediction: they count as empty, of confidence 0.
        missing_takes: takes of which there is no prediction at all, by direction.
        resized: predictions of another size than the evaluation size.
        unasked: predictions without a query mask or of unknown takes and objects, which are left out.
    """

    rows: int
    visible: int
    absent: int
    missing: int
    missing_takes: int
    resized: int
    unasked: int


def import_predictions(
    predictions: Path,
    annotations: Path,
    out: Location | str,
    *,
    overwrite: bool = False,
    workers: int | None = None,
) -> ImportSummary:
    """Write the results table of a prediction file.

    Its rows are the frames that the benchmark looks at: where the query camera has a mask of the object. The
    benchmark's metrics of the file are then those of the table.

    Args:
        predictions: prediction file of the challenge.
        annotations: a relations file, or the benchmark's processed ground truth.
        out: the results file to write.
        overwrite: replace an existing file.
        workers: processes; None for one a core.

    Raises:
        DataError: a file cannot be read or is of another format, a mask is broken, or the predictions are of none
            of the annotated takes.
        OutputError: `out` exists, or cannot be written.
    """
    output = Output.of(out)
    check_free(output, overwrite=overwrite)
    source = _Source(PredictionsFile(predictions), TruthFile(annotations))
    run = RunMetadata(
        model=f"imported from {predictions.name}",
        checkpoints=dict.fromkeys(source.predictions.directions, digest_of_files([predictions])),
        memory={},
        predict={},
        annotation_digest=digest_of_files([annotations]),
    )
    parts = output.path.with_name(f".{output.path.name}.import.parts")
    remove_parts(parts)  # of an import that was killed
    counts: Counter[str] = Counter()
    try:
        with _Workers(workers or len(os.sched_getaffinity(0))) as pool:
            measured = pool.run(_rows_of, source.tasks())
            for (uid, direction), batches in groupby(measured, key=lambda done: done[0].key):
                with PartWriter(parts, run, uid, direction) as part:
                    for task, batch in batches:
                        part.write_batch(batch)
                        counts.update(_counts(task, batch))
        if not counts["rows"]:
            raise DataError(f"{annotations} has no object with a query mask in {predictions}'s directions")
        merge_parts(list_parts(parts), output, overwrite=overwrite)
    finally:
        remove_parts(parts)
    return ImportSummary(
        rows=counts["rows"],
        visible=counts["visible"],
        absent=counts["absent"],
        missing=counts["missing"],
        missing_takes=source.missing_takes,
        resized=counts["resized"],
        unasked=source.unasked,
    )


@dataclass(frozen=True)
class _Frame:
    number: int
    step: int
    prediction: Prediction | None
    annotated: bool


@dataclass(frozen=True)
class _Task:
    """Some frames of one object and pair of cameras; holds only their masks, to be sent to another process."""

    take: tuple[str, str, str | None]  # uid, name, scenario
    object: str
    query_cam: str
    target_cam: str
    direction: Direction
    size: tuple[int, int]
    frames: tuple[_Frame, ...]
    truth: MaskTrack | None
    source: Path

    @property
    def key(self) -> tuple[str, Direction]:
        return self.take[0], self.direction


class _Source:
    """Pairs predictions with ground truth; counts what does not pair."""

    def __init__(self, predictions: PredictionsFile, truth: TruthFile) -> None:
        self.predictions = predictions
        self.missing_takes = 0
        self.unasked = 0
        self._truth = truth
        known = set(truth.uids)
        if not any(known.intersection(predictions.takes(direction)) for direction in predictions.directions):
            raise DataError(f"{predictions.path} has predictions of none of the takes of {truth.path}")

    def tasks(self) -> Iterator[_Task]:
        """Yield the work, takes and directions one after the other."""
        for uid in sorted(self._truth.uids):
            take = self._truth.take(uid)
            for direction in self.predictions.directions:
                yield from self._take(take, direction)
        known = set(self._truth.uids)
        for direction in self.predictions.directions:
            for uid in self.predictions.takes(direction):
                if uid not in known:
                    self.unasked += self.predictions.count(direction, uid)

    def _take(self, take: TakeTruth, direction: Direction) -> Iterator[_Task]:
        found, unknown = self.predictions.predictions(direction, take.uid, take.cameras)
        self.unasked += unknown
        self.missing_takes += take.uid not in self.predictions.takes(direction)
        sizes = {camera: track.size for (_, camera), track in take.tracks.items() if track.size}
        for name, query, target in sorted({*_asked(take, direction), *found}):
            frames = found.get((name, query, target), {})
            query_track = take.tracks.get((name, query))
            numbers = query_track.frames if query_track is not None else ()
            self.unasked += len(frames.keys() - set(numbers))
            target_track = take.tracks.get((name, target))
            known = (target_track and target_track.size) or sizes.get(target) or _predicted_size(frames)
            size = evaluation_size(*(known or _USUAL_SIZES[target.startswith(EGO_PREFIX)]))
            yield from self._track(take, direction, (name, query, target), numbers, frames, size)

    def _track(
        self,
        take: TakeTruth,
        direction: Direction,
        track: tuple[str, str, str],
        numbers: tuple[int, ...],
        frames: Frames,
        size: tuple[int, int],
    ) -> Iterator[_Task]:
        name, query, target = track
        truth = take.tracks.get((name, target))
        annotated = take.annotated.get((name, target), frozenset())
        for first in range(0, len(numbers), _FRAMES_A_TASK):
            some = numbers[first : first + _FRAMES_A_TASK]
            yield _Task(
                take=(take.uid, take.name, take.scenario),
                object=name,
                query_cam=query,
                target_cam=target,
                direction=direction,
                size=size,
                frames=tuple(
                    _Frame(number, first + place, frames.get(number), number in annotated)
                    for place, number in enumerate(some)
                ),
                truth=truth and _narrowed(truth, some),
                source=self.predictions.path,
            )


_USUAL_SIZES = {True: (1408, 1408), False: (2160, 3840)}  # of ego and exo frames, where no mask tells


def _asked(take: TakeTruth, direction: Direction) -> Iterator[tuple[str, str, str]]:
    """Objects with pairs of an ego and an exo camera in which they are annotated."""
    for name, query in take.tracks:
        for other, target in take.tracks:
            views = query.startswith(EGO_PREFIX), target.startswith(EGO_PREFIX)
            if name == other and views == ((True, False) if direction == "ego2exo" else (False, True)):
                yield name, query, target


def _predicted_size(frames: Mapping[int, Prediction]) -> tuple[int, int] | None:
    sizes = (one.pred_mask.size for one in frames.values() if one.pred_mask is not None)
    return next(sizes, None)


def _narrowed(track: MaskTrack, frames: Iterable[int]) -> MaskTrack:
    return replace(
        track,
        annotated_frames=(),
        encoded={frame: track.encoded[frame] for frame in frames if frame in track.encoded},
    )


def _rows_of(task: _Task) -> pa.RecordBatch:
    return rows_to_batch([_row(task, frame) for frame in task.frames])


def _row(task: _Task, frame: _Frame) -> ResultRow:
    truth = task.truth.mask(frame.number) if task.truth is not None and frame.annotated else None
    uid, name, scenario = task.take
    return ResultRow(
        take_uid=uid,
        take_name=name,
        scenario=scenario,
        object=task.object,
        query_cam=task.query_cam,
        target_cam=task.target_cam,
        direction=task.direction,
        frame=frame.number,
        step=frame.step,
        mask=_predicted(task, frame),
        object_score=None,
        predicted_iou=None,
        gt_state="visible" if truth is not None else "absent" if frame.annotated else "unannotated",
        gt=truth and resize_nearest(truth, task.size),
        confidence=0.0 if frame.prediction is None else frame.prediction.visible_confidence,
    )


def _predicted(task: _Task, frame: _Frame) -> RunLengthMask:
    if frame.prediction is None or frame.prediction.pred_mask is None:
        return RunLengthMask.encode(np.zeros(task.size, dtype=bool))
    mask = frame.prediction.pred_mask
    try:
        return resize_nearest(RunLengthMask.from_counts(mask.counts, *mask.size), task.size)
    except DataError as error:
        raise DataError(
            f"{task.source}: take {show(task.take[0])}, object {show(task.object)}, "
            f"{show(f'{task.query_cam}_{task.target_cam}')}, frame {frame.number}: the mask cannot be used: {error}"
        ) from error


def _counts(task: _Task, batch: pa.RecordBatch) -> Counter[str]:
    masks = [frame.prediction.pred_mask for frame in task.frames if frame.prediction is not None]
    states = Counter(batch["gt_state"].to_pylist())
    return Counter(
        rows=batch.num_rows,
        visible=states["visible"],
        absent=states["absent"],
        missing=sum(frame.prediction is None for frame in task.frames),
        resized=sum(mask is not None and tuple(mask.size) != task.size for mask in masks),
    )


def _start_method() -> multiprocessing.context.BaseContext:
    # Forking this process, with the threads that libraries have started in it, could hang; a server without any is
    # forked instead, once it has imported what workers need.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _one_thread() -> None:
    cv2.setNumThreads(1)


class _Workers:
    """Processes that are started once there is enough to do; what waits for them is bounded."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: Executor | None = None

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def run(
        self, work: Callable[[_Task], pa.RecordBatch], tasks: Iterable[_Task]
    ) -> Iterator[tuple[_Task, pa.RecordBatch]]:
        """Yield every task with its result, in order."""
        tasks = iter(tasks)
        first, frames = [], 0
        for task in tasks:
            first.append(task)
            frames += len(task.frames)
            if frames >= _WORTH_WORKERS and self._processes > 1:
                break
        else:
            yield from ((task, work(task)) for task in first)
            return
        self._pool = ProcessPoolExecutor(self._processes, mp_context=_start_method(), initializer=_one_thread)
        waiting: deque[tuple[_Task, Future[pa.RecordBatch]]] = deque()
        for task in chain(first, tasks):
            waiting.append((task, self._pool.submit(work, task)))
            if len(waiting) > _TASKS_AHEAD:
                done, result = waiting.popleft()
                yield done, result.result()
        for done, result in waiting:
            yield done, result.result()
