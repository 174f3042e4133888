"""Predict one take in one direction: videos and masks in, rows of the results table out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
import torch.nn.functional as F

from lmeec.config import Direction, PredictConfig
from lmeec.errors import LmeecError
from lmeec.inference.plan import TakePlan, camera_pairs, plan_take
from lmeec.inference.tracker import Tracker, TrackSpec
from lmeec.masks import RunLengthMask, evaluation_size, resize_nearest
from lmeec.tables.schema import ResultRow, rows_to_batch

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor

    from lmeec.data.frames import FrameReader
    from lmeec.data.takes import Take
    from lmeec.model.lmeec import LMEEC

ROWS_PER_BATCH = 512


def predict_take(
    model: LMEEC, take: Take, direction: Direction, config: PredictConfig | None = None
) -> Iterator[pa.RecordBatch]:
    """Predict a take in one direction.

    Args:
        model: see `lmeec.load_model`.
        take: see `lmeec.find_takes`.
        direction: which views are queries.
        config: memory, objects and batch size; the rest of it is not looked at.

    Yields:
        Rows of the results table (`lmeec.tables.SCHEMA`), in the order in which they are computed.

    Raises:
        DataError: a video or an annotation cannot be used.

    Example:
        >>> takes = lmeec.find_takes(Path("takes"))  # doctest: +SKIP
        >>> batches = list(lmeec.predict_take(model, next(iter(takes)), "ego2exo"))  # doctest: +SKIP
        >>> pyarrow.Table.from_batches(batches).to_pandas()  # doctest: +SKIP
    """
    with TakePredictor(model, take, direction, config or PredictConfig()) as predictor:
        waiting: list[ResultRow] = []
        for rows in predictor.rows():
            waiting += rows
            if len(waiting) >= ROWS_PER_BATCH:
                yield rows_to_batch(waiting)
                waiting = []
        if waiting:
            yield rows_to_batch(waiting)


class TakePredictor:
    """Owns the open videos of a take while it is predicted; a context manager.

    Args:
        model: the network.
        take: the take.
        direction: which views are queries.
        config: memory, objects and batch size.

    Attributes:
        plan: what will be predicted; there once the context is entered.

    Raises:
        DataError: on entering, when a video cannot be opened or a query mask cannot be used.
    """

    plan: TakePlan

    def __init__(self, model: LMEEC, take: Take, direction: Direction, config: PredictConfig) -> None:
        self.model = model
        self.take = take
        self.direction = direction
        self.config = config
        self._videos: dict[str, FrameReader] = {}
        self._opened = ExitStack()

    def __enter__(self) -> TakePredictor:
        with ExitStack() as opening:
            size = (self.model.config.image_size,) * 2
            for camera in self._cameras():
                self._videos[camera] = opening.enter_context(self.take.cameras[camera].open(size=size))
            self.plan = plan_take(self.take, self.direction, self._videos, self.config.objects)
            self._opened = opening.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._opened.close()

    def _cameras(self) -> list[str]:
        """Cameras that the direction needs and that are on disk."""
        pairs = camera_pairs(self.take, self.direction, self.config.objects)
        needed = {camera for masks, target in pairs for camera in (masks.camera, target)}
        return sorted(camera for camera in needed if self.take.cameras[camera].source is not None)

    def rows(self) -> Iterator[list[ResultRow]]:
        """Predict, frame by frame; holds one frame a camera however long the take is.

        Yields:
            Rows of a batch of tracks at one frame.
        """
        tracks = self.plan.tracks
        specs = [TrackSpec(t.stream, t.query_camera, t.target_camera, len(t.frames)) for t in tracks]
        tracker = Tracker(self.model, specs, self.config.memory, self.config.batch_tracks)
        truth = GroundTruth(self.take, self._videos)
        images = {camera: self._videos[camera].read(self.plan.frames_of(camera)) for camera in self._used_cameras()}
        steps = [0] * len(tracks)
        for frame in self.plan.frames:
            active = [i for i, track in enumerate(tracks) if _at(track.frames, steps[i]) == frame]
            cameras = {c for i in active for c in (tracks[i].query_camera, tracks[i].target_camera)}
            views = {camera: torch.from_numpy(next(images[camera])[1]) for camera in sorted(cameras)}
            masks = {i: self._query_mask(i, frame) for i in {tracks[i].stream for i in active}}
            for batch, decoded in tracker.step(active, views, masks):
                sizes = [truth.size(tracks[i].target_camera) for i in batch]
                predicted = masks_at_size(decoded.mask_logits, sizes)
                scores, ious = decoded.object_score.tolist(), decoded.predicted_iou.tolist()
                yield [
                    self._row(truth, i, frame, steps[i], predicted[k], scores[k], ious[k]) for k, i in enumerate(batch)
                ]
            for i in active:
                steps[i] += 1

    def _used_cameras(self) -> set[str]:
        return {camera for track in self.plan.tracks for camera in (track.query_camera, track.target_camera)}

    def _query_mask(self, stream: int, frame: int) -> Tensor:
        mask = self.plan.streams[stream].masks.mask(frame)
        if mask is None:
            raise LmeecError(f"no mask at frame {frame} of stream {stream}")
        return torch.from_numpy(mask.decode())

    def _row(
        self, truth: GroundTruth, i: int, frame: int, step: int, mask: RunLengthMask, score: float, iou: float
    ) -> ResultRow:
        track = self.plan.tracks[i]
        state, gt = truth.at(track.object, track.target_camera, frame)
        return ResultRow(
            take_uid=self.take.uid,
            take_name=self.take.name,
            scenario=self.take.scenario,
            object=track.object,
            query_cam=track.query_camera,
            target_cam=track.target_camera,
            direction=self.direction,
            frame=frame,
            step=step,
            mask=mask,
            object_score=score,
            predicted_iou=iou,
            gt_state=state,
            gt=gt,
        )


class GroundTruth:
    """What the annotations say of the target views, at the evaluation size.

    Args:
        take: the take.
        videos: the open cameras; their size counts where a camera has no masks.
    """

    def __init__(self, take: Take, videos: Mapping[str, FrameReader]) -> None:
        self._take = take
        self._sizes = {camera: evaluation_size(video.height, video.width) for camera, video in videos.items()}
        for (_, camera), masks in take.tracks.items():
            if masks.size is not None:
                self._sizes[camera] = evaluation_size(*masks.size)

    def size(self, camera: str) -> tuple[int, int]:
        """Height and width of a camera's masks in the results."""
        return self._sizes[camera]

    def at(
        self, name: str, camera: str, frame: int
    ) -> tuple[Literal["visible", "absent", "unannotated"], RunLengthMask | None]:
        """State of an object in a camera's frame, with its mask where it is visible."""
        masks = self._take.tracks.get((name, camera))
        if masks is None or frame not in masks.annotated_frames:
            return "unannotated", None
        mask = masks.mask(frame)
        if mask is None or mask.area == 0:
            return "absent", None
        return "visible", resize_nearest(mask, self._sizes[camera])


def masks_at_size(logits: Tensor, sizes: list[tuple[int, int]]) -> list[RunLengthMask]:
    """Threshold mask logits at the evaluation size.

    Args:
        logits: [B, s, s]; resized by bilinear interpolation, positive is the object.
        sizes: height and width for each of the B masks.
    """
    result: list[RunLengthMask | None] = [None] * len(sizes)
    for size in set(sizes):
        rows = [i for i, other in enumerate(sizes) if other == size]
        resized = F.interpolate(logits[rows][:, None], size, mode="bilinear", align_corners=False)[:, 0] > 0
        for i, mask in zip(rows, resized.cpu().numpy(), strict=True):
            result[i] = RunLengthMask.encode(np.asarray(mask, bool))
    return [mask for mask in result if mask is not None]


def _at(frames: tuple[int, ...], step: int) -> int | None:
    return frames[step] if step < len(frames) else None
