"""Predict one take in one direction: videos and masks in, rows of the results table out."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

import torch

from lmeec.config import Direction, ExecutionConfig, PredictConfig
from lmeec.data.check import misfit
from lmeec.data.truth import TargetTruth
from lmeec.errors import CameraError, DataError
from lmeec.files.names import first_few, show
from lmeec.inference.batch_size import auto_batch
from lmeec.inference.missing import missing_row
from lmeec.inference.outputs import (
    ComingOutputs,
    HostBuffers,
    Outputs,
    fetch_masks,
    fetch_outputs,
    mask_at,
    sized_masks,
)
from lmeec.inference.part_times import PartTimes
from lmeec.inference.pipeline import Profile, Stage, StageTimes
from lmeec.inference.plan import TakePlan, camera_pairs, plan_take
from lmeec.inference.refine import LONGER_SIDE, refined
from lmeec.inference.round_trip import EMPTY, RoundTrips, Trip, predicted_queries, trip
from lmeec.inference.tracker import Tracker
from lmeec.masks import RunLengthMask
from lmeec.model.query_masks import query_mask
from lmeec.tables.schema import ResultRow, rows_to_batch
from lmeec.video.backwards import backwards, read_backwards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray
    from torch import Tensor

    from lmeec.config import CycleWay
    from lmeec.data.takes import Take
    from lmeec.model.lmeec import LMEEC
    from lmeec.video.frames import FrameReader

ROWS_PER_BATCH = 512

_FEW = 5
"""Frames with a mask, in a video ten times as long, that tell that masks are to be carried on."""

INSTANTS_AHEAD = 2
BATCHES_AHEAD = 8
"""How far a stage may be ahead of the next; what waits is all that memory depends on besides the banks."""


def predict_take(
    model: LMEEC,
    take: Take,
    direction: Direction,
    config: PredictConfig | None = None,
    execution: ExecutionConfig | None = None,
    back: LMEEC | None = None,
) -> Iterator[pa.RecordBatch]:
    """Predict a take in one direction.

    Args:
        model: see `lmeec.load_model`.
        take: see `lmeec.find_takes`.
        direction: which views are queries.
        config: memory, reverse, objects, pixels, masks and calibration; the rest of it is not looked at.
        execution: decoder and batch size; the rest of it is not looked at.
        back: the model that takes predictions back where `config.cycle` is set; None uses the same for both directions.

    Yields:
        Rows of the results table (`lmeec.tables.SCHEMA`), in the order in which they are computed.

    Raises:
        DataError: a video or an annotation cannot be used.

    Example:
        >>> import lmeec, pyarrow as pa
        >>> model = lmeec.load_model("nano", device="cpu")
        >>> take = next(iter(lmeec.find_takes("egoexo4d")))
        >>> table = pa.Table.from_batches(lmeec.predict_take(model, take, "ego2exo"))
        >>> table.num_rows > 0, table.schema.names[:4]
        (True, ['take_uid', 'take_name', 'scenario', 'object'])
    """
    config = config or PredictConfig()
    with TakePredictor(model, take, direction, config, execution, back) as predictor:
        whole = config.calibration is not None and config.calibration.needs_takes
        waiting: list[ResultRow] = []
        for rows in predictor.rows():
            waiting += rows
            if len(waiting) >= ROWS_PER_BATCH and not whole:
                yield result_batch(waiting, config)
                waiting = []
        if waiting:
            batch = result_batch(waiting, config)
            yield config.calibration.apply(batch) if config.calibration is not None and whole else batch


def result_batch(rows: list[ResultRow], config: PredictConfig) -> pa.RecordBatch:
    """Rows as a record batch, with the confidence that the run's calibration gives them, if it has one.

    One that must see whole takes is left to whoever has them (`finishing`).

    Raises:
        DataError: the counts of a mask are bad.
    """
    batch = rows_to_batch(rows)
    if config.calibration is None or config.calibration.needs_takes:
        return batch
    return config.calibration.apply(batch)


def finishing(config: PredictConfig) -> Callable[[pa.Table], pa.Table]:
    """What is still to be done with all rows of a take and direction once they are there."""
    if config.calibration is None or not config.calibration.needs_takes:
        return lambda rows: rows
    return config.calibration.apply


Mask: TypeAlias = "NDArray[np.bool_]"

_Shown: TypeAlias = "tuple[NDArray[np.uint8], NDArray[np.uint8] | None]"
"""A camera's frame at the network's size, and in its own shape if that is needed."""


@dataclass(frozen=True)
class _Instant:
    """What the network needs of one frame: images by camera, masks by stream, and the step that each track is at.

    Target cameras have their frame in its own shape in `details` too, if edges are drawn again.
    """

    frame: int
    steps: dict[int, int]
    images: dict[str, Tensor]
    masks: dict[int, Tensor]
    details: dict[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class _Batch:
    """Tracks, and in the same order what the network says of them."""

    tracks: list[int]
    outputs: ComingOutputs


@dataclass(frozen=True)
class _Prediction:
    """Tracks at one frame.

    Attributes:
        frame: the frame.
        steps: the step of each track that has one at this frame.
        there: what was predicted, of some of the tracks; of all of them where there is a way back.
        details: target cameras' frames in their own shape, if edges are drawn again.
        back: what came back, of those whose prediction is not empty; None without a way back.
    """

    frame: int
    steps: dict[int, int]
    there: list[_Batch]
    details: Mapping[str, NDArray[np.uint8]]
    back: list[_Batch] | None = None


class TakePredictor:
    """Owns the open videos of a take while it is predicted; a context manager.

    Args:
        model: the network.
        take: the take.
        direction: which views are queries.
        config: memory, reverse, objects, pixels and masks.
        execution: decoder, batch size, and whether parts of the network are measured.
        back: as for `predict_take`.

    Attributes:
        plan: what will be predicted; there once the context is entered.

    Raises:
        CameraError: on entering, when a video cannot be opened.
        DataError: on entering, when a query mask cannot be used.
    """

    plan: TakePlan

    def __init__(
        self,
        model: LMEEC,
        take: Take,
        direction: Direction,
        config: PredictConfig,
        execution: ExecutionConfig | None = None,
        back: LMEEC | None = None,
    ) -> None:
        self.model = model
        self._back = back or model
        self.take = take
        self.direction = direction
        self.config = config
        self.execution = execution or ExecutionConfig()
        self._stages = StageTimes()
        self._network = PartTimes()
        self._opened_at = perf_counter()
        self._videos: dict[str, FrameReader] = {}
        self._opened = ExitStack()

    def __enter__(self) -> TakePredictor:
        start = perf_counter()
        with ExitStack() as opening:
            for camera in self._cameras():
                video = open_camera(self.take, camera, self.model.config.image_size, self.config, self.execution)
                self._videos[camera] = opening.enter_context(video)
            self.plan = plan_take(
                self.take,
                self.direction,
                self._videos,
                self.config.objects,
                targets=self.config.targets,
                reverse=self.config.reverse,
            )
            frames = {camera: (video.height, video.width) for camera, video in self._videos.items()}
            self._truth = TargetTruth(self.take, frames, self.config.mask_size)
            self._opened = opening.pop_all()
        self._stages.add("open and plan", perf_counter() - start)
        return self

    def __exit__(self, *exception: object) -> None:
        self._opened.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be planned and why, and what to know of how videos are read, for the user."""
        take = show(self.take.name)
        notices = ((camera, self._videos[camera].notice) for camera in sorted(self._used_cameras()))
        read = (f"take {take}, camera {show(camera)}: {notice}" for camera, notice in notices if notice is not None)
        return (*self.plan.warnings, *self._sparse(), *read)

    def _sparse(self) -> Iterator[str]:
        """Tell of masks of own recordings at a few frames of a long video, as a track has steps at these alone."""
        few: dict[str, list[str]] = {}
        for stream in self.plan.streams:
            camera, frames = stream.masks.camera, len(stream.frames)
            is_own = self.take.cameras[camera].masks_count_own
            if is_own and frames <= _FEW and self._videos[camera].num_frames >= 10 * frames:
                few.setdefault(camera, []).append(show(stream.masks.object))
        for camera, names in few.items():
            yield (
                f"take {show(self.take.name)}: {first_few(names)} {'has' if len(names) == 1 else 'have'} masks at "
                f"{_FEW} or fewer of the {self._videos[camera].num_frames} frames of camera {show(camera)}, and "
                "predictions are made at these alone: `propagate` carries masks through the view, by SAM 2.1"
            )

    def profile(self) -> Profile:
        """Where the time went since this object was made."""
        return profile_of(self._opened_at, self._stages, self._network, self._videos.values())

    def _cameras(self) -> list[str]:
        """Cameras that the direction needs and that are on disk."""
        pairs = camera_pairs(self.take, self.direction, self.config.objects, self.config.targets)
        needed = {camera for masks, target in pairs for camera in (masks.camera, target)}
        return sorted(camera for camera in needed if self.take.cameras[camera].source is not None)

    def rows(self) -> Iterator[list[ResultRow]]:
        """Predict, frame by frame; decoding, network and mask encoding overlap.

        Holds a few frames a camera, however long the take is; backwards some more (`lmeec.video.backwards`).

        Yields:
            Rows of a batch of tracks at one frame; before them, those of frames that cannot be predicted.

        Raises:
            CameraError: a frame cannot be decoded.
            DataError: a ground truth mask cannot be used.
        """
        yield from self._missing()
        times = self._stages
        with (
            Stage("decode", self._instants(), INSTANTS_AHEAD, times) as instants,
            Stage("network", self._predictions(instants), BATCHES_AHEAD, times) as predictions,
            Stage("encode masks", map(self._to_rows, predictions), BATCHES_AHEAD, times) as rows,
        ):
            for batch in rows:
                start = perf_counter()
                yield batch
                times.add("metrics and writing", perf_counter() - start)

    def _missing(self) -> Iterator[list[ResultRow]]:
        for lost in self.plan.lost:
            yield [
                missing_row(
                    self.take,
                    self.direction,
                    lost.masks,
                    lost.target_camera,
                    frame,
                    reason,
                    self._truth.at(lost.masks.object, lost.target_camera, frame),
                    self._truth,
                )
                for frame, reason in lost.reasons.items()
            ]

    def _instants(self) -> Iterator[_Instant]:
        """Decode what each frame needs: images of the cameras, and masks of the query streams."""
        tracks = self.plan.tracks
        sources = {camera: self._read(camera) for camera in self._used_cameras()}
        steps = [0] * len(tracks)
        for frame in self.plan.frames:
            active = [i for i, track in enumerate(tracks) if _at(track.frames, steps[i]) == frame]
            cameras = {camera for i in active for camera in (tracks[i].query_camera, tracks[i].target_camera)}
            shown = {camera: self._shown(camera, sources[camera]) for camera in sorted(cameras)}
            yield _Instant(
                frame=frame,
                steps={i: steps[i] for i in active},
                images={camera: torch.from_numpy(image) for camera, (image, _) in shown.items()},
                masks={stream: self._query_mask(stream, frame) for stream in {tracks[i].stream for i in active}},
                details={camera: detail for camera, (_, detail) in shown.items() if detail is not None},
            )
            for i in active:
                steps[i] += 1

    def _read(self, camera: str) -> Iterator[_Shown]:
        """The camera's frames; target cameras' in their own shape too, if edges are drawn again."""
        video, frames = self._videos[camera], self.plan.frames_of(camera)
        detailed = partial(video.read_detailed, longer_side=LONGER_SIDE)
        if not self._refines or all(track.target_camera != camera for track in self.plan.tracks):
            read = read_backwards(video, frames) if self.plan.reverse else video.read(frames)
            return ((image, None) for _, image in read)
        both = backwards(video, frames, detailed) if self.plan.reverse else detailed(frames)
        return ((one.image, one.detail) for _, one in both)

    def _shown(self, camera: str, frames: Iterator[_Shown]) -> _Shown:
        with naming_the_camera(camera):
            return next(frames)

    def _predictions(self, instants: Iterable[_Instant]) -> Iterator[_Prediction]:
        """Run the network."""
        tracker = Tracker(
            self.model, self.plan.tracks, self.config.memory, self._batch_tracks(self.model), self._network
        )
        buffers = HostBuffers()
        if self.config.cycle is not None:
            yield from self._round_trips(instants, tracker, self.config.cycle, buffers)
            return
        for instant in instants:
            for batch, decoded in tracker.step(list(instant.steps), instant.images, instant.masks):
                outputs = fetch_outputs(decoded, self._target_sizes(batch), buffers, logits_too=self._draws)
                yield _Prediction(instant.frame, instant.steps, [_Batch(batch, outputs)], instant.details)

    def _round_trips(
        self,
        instants: Iterable[_Instant],
        tracker: Tracker,
        way: CycleWay,
        buffers: HostBuffers,
    ) -> Iterator[_Prediction]:
        """Run the network there and back, a frame of all tracks at a time."""
        trips = RoundTrips(
            self._back, self.plan.tracks, way, self.config.memory, self._batch_tracks(self._back), self._network
        )
        for instant in instants:
            active = list(instant.steps)
            views = tracker.look(instant.images)
            there, predicted = [], []
            for batch, decoded in tracker.advance(active, views, instant.masks):
                masks = sized_masks(decoded, self._target_sizes(batch))
                there.append(_Batch(batch, fetch_masks(decoded, masks, buffers, logits_too=self._draws)))
                predicted.append((batch, masks))
            queries = predicted_queries(self._back, predicted)
            if queries and self._back is not self.model:
                views = trips.look(instant.images)
            back = [
                _Batch(batch, fetch_outputs(decoded, self._query_sizes(batch), buffers))
                for batch, decoded in trips.step(views, queries)
            ]
            trips.skip([i for i in active if i not in queries])
            yield _Prediction(instant.frame, instant.steps, there, instant.details, back)

    @property
    def _refines(self) -> bool:
        return self.config.refine != "none"

    @property
    def _draws(self) -> bool:
        """Whether masks of the results are others than those that are compared and taken back."""
        return self._refines or self.config.mask_size == "source"

    def _target_sizes(self, batch: list[int]) -> list[tuple[int, int]]:
        specs = [self.plan.tracks[i] for i in batch]
        return [self._truth.compared_size(spec.object, spec.target_camera) for spec in specs]

    def _query_sizes(self, batch: list[int]) -> list[tuple[int, int]]:
        specs = [self.plan.tracks[i] for i in batch]
        return [self._truth.compared_size(spec.object, spec.query_camera) for spec in specs]

    def _batch_tracks(self, model: LMEEC) -> int:
        if self.execution.batch_tracks != "auto":
            return self.execution.batch_tracks
        return auto_batch(model)

    def _to_rows(self, prediction: _Prediction) -> list[ResultRow]:
        """Turn masks into run lengths, and put the ground truth, and what came back, beside them."""
        trips = None if prediction.back is None else self._trips(prediction.frame, prediction.back)
        rows = []
        for batch in prediction.there:
            outputs = batch.outputs.get()
            masks = map(RunLengthMask.encode, self._drawn(batch, outputs, prediction.details))
            values = zip(masks, outputs.object_scores, outputs.predicted_iou, strict=True)
            for i, (mask, score, iou) in zip(batch.tracks, values, strict=True):
                back = None if trips is None else trips.get(i, EMPTY)
                rows.append(self._row(i, prediction.frame, prediction.steps[i], mask, score, iou, back))
            batch.outputs.release()
        return rows

    def _drawn(self, batch: _Batch, outputs: Outputs, details: Mapping[str, NDArray[np.uint8]]) -> Iterator[Mask]:
        """Masks of the results, one after the other; edges are drawn again, if that is wanted, where colours tell."""
        if outputs.logits is None:
            yield from outputs.masks
            return
        for i, mask, logits in zip(batch.tracks, outputs.masks, outputs.logits, strict=True):
            track = self.plan.tracks[i]
            size = self._truth.size(track.object, track.target_camera)
            again = refined(logits, details[track.target_camera], size) if self._refines else None
            if again is None:
                again = mask if mask.shape == size else mask_at(logits, size)
            yield again

    def _trips(self, frame: int, back: list[_Batch]) -> dict[int, Trip]:
        """What became of the predictions that are not empty, by track."""
        trips = {}
        for batch in back:
            outputs = batch.outputs.get()
            values = zip(map(RunLengthMask.encode, outputs.masks), outputs.object_scores, strict=True)
            for i, (mask, score) in zip(batch.tracks, values, strict=True):
                trips[i] = trip(mask, score, self._given_mask(i, frame))
            batch.outputs.release()
        return trips

    def _given_mask(self, i: int, frame: int) -> RunLengthMask:
        track = self.plan.tracks[i]
        mask = self._truth.given(track.object, track.query_camera, frame)
        if mask is None:
            raise ValueError(f"track {i} is planned at frame {frame}, where it has no query mask")
        return mask

    def _used_cameras(self) -> set[str]:
        return {camera for track in self.plan.tracks for camera in (track.query_camera, track.target_camera)}

    def _query_mask(self, stream: int, frame: int) -> Tensor:
        mask = self.plan.streams[stream].masks.mask(frame)
        if mask is None:
            raise ValueError(f"stream {stream} is planned at frame {frame}, where it has no mask")
        return query_mask(mask, self.model.config.image_size)

    def _row(
        self, i: int, frame: int, step: int, mask: RunLengthMask, score: float, iou: float, back: Trip | None
    ) -> ResultRow:
        track = self.plan.tracks[i]
        state, gt = self._truth.at(track.object, track.target_camera, frame)
        return ResultRow(
            take_uid=self.take.uid,
            take_name=self.take.name,
            scenario=self.take.scenario,
            object=track.object,
            query_cam=track.query_camera,
            target_cam=track.target_camera,
            direction=self.direction,
            frame=frame,
            target_frame=self._videos[track.target_camera].file_frame(frame),
            step=step,
            mask=mask,
            object_score=score,
            predicted_iou=iou,
            gt_state=state,
            gt=gt,
            cycle_iou=back and back.iou,
            cycle_score=back and back.score,
        )


def profile_of(opened_at: float, stages: StageTimes, network: PartTimes, videos: Iterable[FrameReader]) -> Profile:
    """Where the time went since an instant of `perf_counter`."""
    return Profile(
        perf_counter() - opened_at,
        dict(stages.busy),
        dict(network.busy),
        sum(video.counts.frames_decoded for video in videos),
        sum(video.counts.bytes_read for video in videos),
    )


def open_camera(take: Take, camera: str, side: int, config: PredictConfig, execution: ExecutionConfig) -> FrameReader:
    """Open a camera of a take at the size of the network's input.

    Raises:
        CameraError: it cannot be opened, or its masks are not of its frames.
    """
    with naming_the_camera(camera):
        reader = take.cameras[camera].open((side, side), gpu=execution.decoder == "gpu", pixels=config.pixels)
        if why := misfit(take, take.cameras[camera], reader):
            reader.close()
            raise DataError(why)
        return reader


def next_image(camera: str, frames: Iterator[tuple[int, NDArray[np.uint8]]]) -> Tensor:
    """Decode the next frame of those that a camera's reader was asked for, uint8 [S, S, 3].

    Raises:
        CameraError: it cannot be decoded.
    """
    with naming_the_camera(camera):
        return torch.from_numpy(next(frames)[1])


@contextmanager
def naming_the_camera(camera: str) -> Iterator[None]:
    """Tell of which camera the frames cannot be read.

    Raises:
        CameraError: they cannot.
    """
    try:
        yield
    except DataError as error:
        raise CameraError(camera, str(error)) from (error.__cause__ or error)


def _at(frames: Sequence[int], step: int) -> int | None:
    return frames[step] if step < len(frames) else None
