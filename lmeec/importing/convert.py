"""Turn a prediction file and its ground truth into a results table, as if the method had been run by `lmeec`."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from lmeec.config import VIEWS
from lmeec.data.naming import view_by_name
from lmeec.data.truth import EvaluationSizes, UncountedMasks, state_of
from lmeec.errors import DataError
from lmeec.files.names import check_parquet_name
from lmeec.importing.pairs import ImportedFrame, ImportTask, task_counts
from lmeec.importing.predictions import Frames, Prediction, PredictionsFile
from lmeec.importing.truth import TakeTruth, TruthFile
from lmeec.importing.workers import ImportWorkers
from lmeec.tables import (
    Output,
    PartWriter,
    RunMetadata,
    list_parts,
    merge_parts,
    remove_parts,
)
from lmeec.tables.history import Step
from lmeec.tables.merge import check_free
from lmeec.tables.metadata import digest_of_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lmeec.config import Direction
    from lmeec.data.tracks import MaskTrack
    from lmeec.files.locations import Location
    from lmeec.files.places import Place

_FRAMES_A_TASK = 50


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
        warnings: masks of the annotations that do not count as ground truth, in words.
    """

    rows: int
    visible: int
    absent: int
    missing: int
    missing_takes: int
    resized: int
    unasked: int
    warnings: tuple[str, ...] = ()


def import_predictions(
    predictions: Place,
    annotations: Place,
    out: Location | str,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    command: str = "",
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
        command: the call that asks for it, to be kept with the table; empty for none.

    Raises:
        DataError: a file cannot be read or is of another format, a mask is broken, or the predictions are of none
            of the annotated takes.
        OutputError: `out` exists, or cannot be written.
    """
    output = Output.of(out)
    check_parquet_name(output.path)
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
        with ImportWorkers(workers or len(os.sched_getaffinity(0))) as pool:
            measured = pool.rows(source.tasks())
            for (uid, direction), batches in groupby(measured, key=lambda done: done[0].key):
                with PartWriter(parts, run, uid, direction) as part:
                    for task, batch in batches:
                        part.write_batch(batch)
                        counts.update(task_counts(task, batch))
        if not counts["rows"]:
            raise DataError(f"{annotations} has no object with a query mask in {predictions}'s directions")
        merge_parts(list_parts(parts), output, overwrite=overwrite, history=[Step(command, str(predictions))])
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
        warnings=tuple(source.uncounted.warnings()),
    )


class _Source:
    """Pairs predictions with ground truth; counts what does not pair."""

    def __init__(self, predictions: PredictionsFile, truth: TruthFile) -> None:
        self.predictions = predictions
        self.missing_takes = 0
        self.unasked = 0
        self.uncounted = UncountedMasks()
        self._truth = truth
        known = set(truth.uids)
        if not any(known.intersection(predictions.takes(direction)) for direction in predictions.directions):
            raise DataError(f"{predictions.path} has predictions of none of the takes of {truth.path}")

    def tasks(self) -> Iterator[ImportTask]:
        """Yield the work, takes and directions one after the other."""
        for uid in sorted(self._truth.uids):
            take = self._truth.take(uid)
            self.uncounted.add(take.tracks.values())
            for direction in self.predictions.directions:
                yield from self._take(take, direction)
        known = set(self._truth.uids)
        for direction in self.predictions.directions:
            for uid in self.predictions.takes(direction):
                if uid not in known:
                    self.unasked += self.predictions.count(direction, uid)

    def _take(self, take: TakeTruth, direction: Direction) -> Iterator[ImportTask]:
        found, unknown = self.predictions.predictions(direction, take.uid, take.cameras)
        self.unasked += unknown
        self.missing_takes += take.uid not in self.predictions.takes(direction)
        for name, query, target in sorted({*_asked(take, direction), *found}):
            frames = found.get((name, query, target), {})
            query_track = take.tracks.get((name, query))
            numbers = query_track.frames if query_track is not None else ()
            self.unasked += len(frames.keys() - set(numbers))
            predicted = _predicted_size(frames)
            sizes = EvaluationSizes(take.tracks, {target: predicted} if predicted else {})
            size = sizes.of(name, target, view_by_name(target))
            yield from self._track(take, direction, (name, query, target), numbers, frames, size)

    def _track(
        self,
        take: TakeTruth,
        direction: Direction,
        track: tuple[str, str, str],
        numbers: tuple[int, ...],
        frames: Frames,
        size: tuple[int, int],
    ) -> Iterator[ImportTask]:
        name, query, target = track
        truth = take.tracks.get((name, target))
        for first in range(0, len(numbers), _FRAMES_A_TASK):
            some = numbers[first : first + _FRAMES_A_TASK]
            yield ImportTask(
                take=(take.uid, take.name, take.scenario),
                object=name,
                query_cam=query,
                target_cam=target,
                direction=direction,
                size=size,
                frames=tuple(
                    ImportedFrame(number, first + place, frames.get(number), state_of(truth, number))
                    for place, number in enumerate(some)
                ),
                truth=truth and _narrowed(truth, some),
                source=self.predictions.path,
            )


def _asked(take: TakeTruth, direction: Direction) -> Iterator[tuple[str, str, str]]:
    """Objects with pairs of an ego and an exo camera in which they are annotated."""
    for name, query in take.tracks:
        for other, target in take.tracks:
            if name == other and (view_by_name(query), view_by_name(target)) == VIEWS[direction]:
                yield name, query, target


def _predicted_size(frames: Mapping[int, Prediction]) -> tuple[int, int] | None:
    sizes = (one.pred_mask.size for one in frames.values() if one.pred_mask is not None)
    return next(sizes, None)


def _narrowed(track: MaskTrack, frames: Iterable[int]) -> MaskTrack:
    return replace(
        track,
        encoded={frame: track.encoded[frame] for frame in frames if frame in track.encoded},
    )
