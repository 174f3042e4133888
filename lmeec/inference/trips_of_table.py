"""Predictions of a table, of any method, taken back: one take in one direction."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from lmeec.data.truth import TargetTruth
from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.inference.batch_size import auto_batch
from lmeec.inference.outputs import ComingOutputs, HostBuffers, fetch_outputs
from lmeec.inference.part_times import PartTimes
from lmeec.inference.pipeline import Profile, Stage, StageTimes
from lmeec.inference.plan import PlannedTrack
from lmeec.inference.predictor import BATCHES_AHEAD, INSTANTS_AHEAD, next_image, open_camera, profile_of
from lmeec.inference.round_trip import EMPTY, RoundTrips, Trip, trip
from lmeec.masks import RunLengthMask
from lmeec.model.query_masks import query_mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa
    from torch import Tensor

    from lmeec.config import CycleWay, ExecutionConfig, PredictConfig
    from lmeec.data.takes import Take
    from lmeec.model.lmeec import LMEEC
    from lmeec.video.frames import FrameReader

TRIP_COLUMNS = ("object", "query_cam", "target_cam", "frame", "missing", "height", "width", "mask_rle", "area")
"""Columns of a results table that the way back is computed from."""


@dataclass(frozen=True)
class _Instant:
    """One frame: rows by track, those whose prediction is empty, and what the network needs of the others."""

    frame: int
    rows: dict[int, int]
    empty: list[int]
    images: dict[str, Tensor]
    masks: dict[int, Tensor]


@dataclass(frozen=True)
class _Returned:
    """What came back of the tracks of some batches of an instant."""

    instant: _Instant
    batches: list[tuple[list[int], ComingOutputs]]


class TableTrips:
    """Owns the open videos of a take while predictions of a table are taken back; a context manager.

    Args:
        model: of the other direction.
        take: the take.
        rows: of the take in one direction, with `TRIP_COLUMNS`.
        way: with memory, or each frame by itself.
        config: memory, pixels and size of masks.
        execution: decoder and batch size.

    Attributes:
        tracks: the tracks that have predictions.
        lost: how many predictions are at frames that the video of a camera lacks; they are not taken back.

    Raises:
        CameraError: on entering, when a video cannot be opened.
    """

    def __init__(
        self,
        model: LMEEC,
        take: Take,
        rows: pa.Table,
        way: CycleWay,
        config: PredictConfig,
        execution: ExecutionConfig,
    ) -> None:
        self._model = model
        self._take = take
        self._way: CycleWay = way
        self._config = config
        self._execution = execution
        self._names = [rows[name].to_pylist() for name in ("object", "query_cam", "target_cam")]
        self._masks = [rows[name].to_pylist() for name in ("height", "width", "mask_rle")]
        self._frames = np.asarray(rows["frame"])
        self._has_pixels = np.nan_to_num(np.asarray(rows["area"].cast("float64"))) > 0
        self._rows_of: list[dict[int, int]] = []
        self.tracks = self._planned(rows["missing"].is_null().to_pylist())
        self.lost: Counter[str] = Counter()
        self._stages, self._network = StageTimes(), PartTimes()
        self._opened_at = perf_counter()
        self._videos: dict[str, FrameReader] = {}
        self._opened = ExitStack()

    def _planned(self, predicted: Sequence[bool]) -> list[PlannedTrack]:
        """The tracks, each with the frames of its predictions in the order of time; notes which row is at which."""
        rows: dict[tuple[str, str, str], dict[int, int]] = {}
        for row, key in enumerate(zip(*self._names, strict=True)):
            if predicted[row]:
                rows.setdefault(key, {})[int(self._frames[row])] = row
        self._rows_of = [dict(sorted(some.items())) for some in rows.values()]
        return [
            PlannedTrack(number, query, target, tuple(self._rows_of[number]), name)
            for number, (name, query, target) in enumerate(rows)
        ]

    def __enter__(self) -> TableTrips:
        start = perf_counter()
        with ExitStack() as opening:
            for camera in self._cameras():
                video = open_camera(self._take, camera, self._model.config.image_size, self._config, self._execution)
                self._videos[camera] = opening.enter_context(video)
            frames = {camera: (video.height, video.width) for camera, video in self._videos.items()}
            self._truth = TargetTruth(self._take, frames, self._config.mask_size)
            self._opened = opening.pop_all()
        self._stages.add("open and plan", perf_counter() - start)
        return self

    def __exit__(self, *exception: object) -> None:
        self._opened.close()

    def _cameras(self) -> list[str]:
        """Cameras with a prediction that is not empty, as query or target."""
        asked = (
            track
            for track, rows in zip(self.tracks, self._rows_of, strict=True)
            if self._has_pixels[list(rows.values())].any()
        )
        return sorted({camera for track in asked for camera in (track.query_camera, track.target_camera)})

    @property
    def warnings(self) -> tuple[str, ...]:
        """Predictions that were not taken back and why, for the user; complete once the trips were made."""
        return tuple(
            f"take {show(self._take.name)}: the video of camera {show(camera)} has {self._videos[camera].num_frames} "
            f"frames and lacks those of {count} predictions; they have no round trip"
            for camera, count in sorted(self.lost.items())
        )

    def profile(self) -> Profile:
        """Where the time went since this object was made."""
        return profile_of(self._opened_at, self._stages, self._network, self._videos.values())

    def trips(self) -> Iterator[list[tuple[int, Trip]]]:
        """Take the predictions back, frame by frame; decoding, network and comparison overlap.

        Yields:
            Numbers of rows, with what became of their predictions.

        Raises:
            CameraError: a frame cannot be decoded.
            DataError: a mask cannot be used, or the annotations lack a query mask.
        """
        times = self._stages
        with (
            Stage("decode", self._instants(), INSTANTS_AHEAD, times) as instants,
            Stage("network", self._returned(instants), BATCHES_AHEAD, times) as returned,
            Stage("encode masks", map(self._compared, returned), BATCHES_AHEAD, times) as compared,
        ):
            yield from compared

    def _instants(self) -> Iterator[_Instant]:
        needed: dict[str, set[int]] = {camera: set() for camera in self._videos}
        asked: list[set[int]] = []
        for track, rows in zip(self.tracks, self._rows_of, strict=True):
            frames = {frame for frame, row in rows.items() if self._has_pixels[row] and self._readable(track, frame)}
            asked.append(frames)
            for camera in (track.query_camera, track.target_camera) if frames else ():
                needed[camera] |= frames
        images = {camera: self._videos[camera].read(sorted(frames)) for camera, frames in needed.items()}
        for frame in sorted({frame for rows in self._rows_of for frame in rows}):
            rows_here = {number: rows[frame] for number, rows in enumerate(self._rows_of) if frame in rows}
            active = [number for number in rows_here if frame in asked[number]]
            cameras = {camera for i in active for camera in (self.tracks[i].query_camera, self.tracks[i].target_camera)}
            yield _Instant(
                frame=frame,
                rows=rows_here,
                empty=[number for number, row in rows_here.items() if not self._has_pixels[row]],
                images={camera: next_image(camera, images[camera]) for camera in sorted(cameras)},
                masks={number: self._query(rows_here[number]) for number in active},
            )

    def _readable(self, track: PlannedTrack, frame: int) -> bool:
        lacking = [
            camera for camera in (track.query_camera, track.target_camera) if not self._videos[camera].has_frame(frame)
        ]
        self.lost.update(lacking[:1])
        return not lacking

    def _query(self, row: int) -> Tensor:
        return query_mask(RunLengthMask.from_counts(*self._counts(row)), self._model.config.image_size)

    def _counts(self, row: int) -> tuple[str, int, int]:
        height, width, counts = (column[row] for column in self._masks)
        return counts, height, width

    def _returned(self, instants: Iterable[_Instant]) -> Iterator[_Returned]:
        """Run the network."""
        batch_tracks = self._execution.batch_tracks
        trips = RoundTrips(
            self._model,
            self.tracks,
            self._way,
            self._config.memory,
            auto_batch(self._model) if batch_tracks == "auto" else batch_tracks,
            self._network,
        )
        buffers = HostBuffers()
        for instant in instants:
            trips.skip([number for number in instant.rows if number not in instant.masks])
            batches = []
            if instant.masks:
                for batch, decoded in trips.step(trips.look(instant.images), instant.masks):
                    specs = [self.tracks[number] for number in batch]
                    sizes = [self._truth.size(spec.object, spec.query_camera) for spec in specs]
                    batches.append((batch, fetch_outputs(decoded, sizes, buffers)))
            yield _Returned(instant, batches)

    def _compared(self, returned: _Returned) -> list[tuple[int, Trip]]:
        instant = returned.instant
        trips = [(instant.rows[number], EMPTY) for number in instant.empty]
        for batch, coming in returned.batches:
            outputs = coming.get()
            values = zip(map(RunLengthMask.encode, outputs.masks), outputs.object_scores, strict=True)
            for number, (mask, score) in zip(batch, values, strict=True):
                given = self._given(self.tracks[number], instant.frame)
                trips.append((instant.rows[number], trip(mask, score, given)))
            coming.release()
        return trips

    def _given(self, track: PlannedTrack, frame: int) -> RunLengthMask:
        mask = self._truth.given(track.object, track.query_camera, frame)
        if mask is None:
            raise DataError(
                f"take {show(self._take.name)}: the annotations have no mask of object {show(track.object)} in camera "
                f"{show(track.query_camera)} at frame {frame}, where the table has a prediction from it"
            )
        return mask
