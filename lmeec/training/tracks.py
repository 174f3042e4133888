"""What of a take can be trained on: its tracks with an annotated target, and the frames that they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmeec.data.take import Take
from lmeec.data.tracks import MaskTrack
from lmeec.data.truth import state_of
from lmeec.errors import DataError
from lmeec.inference.plan import KnowsFrames, PlannedTrack, camera_pairs, plan_take

if TYPE_CHECKING:
    from lmeec.config import Direction
    from lmeec.training.config import ClipConfig


@dataclass(frozen=True)
class TrainingTrack:
    """One object in one pair of cameras.

    Attributes:
        query: its masks in the query view.
        target: its masks in the target view.
        frames: what clips are cut from: where the query view has a mask and both videos have the frame; without
            those in which the target view does not show the object, if they are not trained on.
        annotated: of each of these, whether the target view was looked at.
        length: steps of the track at inference.
    """

    query: MaskTrack
    target: MaskTrack
    frames: tuple[int, ...]
    annotated: tuple[bool, ...]
    length: int

    @property
    def pair(self) -> tuple[str, str]:
        """Query and target camera."""
        return self.query.camera, self.target.camera

    def starts(self, count: int) -> list[int]:
        """Places in `frames` at which so many successive ones begin with an annotated one among them."""
        return [i for i in range(len(self.frames) - count + 1) if any(self.annotated[i : i + count])]


@dataclass(frozen=True)
class TrainingTake:
    """A take with its tracks.

    Attributes:
        take: the take.
        tracks: those that a clip can be cut from.
        too_short: how many tracks no clip can be cut from.
        frames: needed of each camera, ascending.
        notices: what to know of how videos are read, for the user.
    """

    take: Take
    tracks: tuple[TrainingTrack, ...]
    too_short: int
    frames: Mapping[str, tuple[int, ...]]
    notices: tuple[str, ...] = ()


def training_take(take: Take, config: ClipConfig) -> TrainingTake:
    """Find what of a take can be trained on.

    Raises:
        DataError: a video or a mask cannot be used.
    """
    if take.problems and not (take.tracks and take.cameras):
        raise DataError("; ".join(take.problems))
    tracks: list[TrainingTrack] = []
    with ExitStack() as opened:
        videos = {name: opened.enter_context(take.cameras[name].open()) for name in _cameras(take, config.directions)}
        notices = tuple(video.notice for video in videos.values() if video.notice is not None)
        for direction in config.directions:
            tracks += _tracks(take, direction, videos, config)
    long = tuple(track for track in tracks if track.starts(config.frames))
    frames: dict[str, set[int]] = {}
    for track in long:
        for camera in track.pair:
            frames.setdefault(camera, set()).update(track.frames)
    needed = {camera: tuple(sorted(seen)) for camera, seen in frames.items()}
    return TrainingTake(take, long, len(tracks) - len(long), needed, notices)


def _cameras(take: Take, directions: Sequence[Direction]) -> set[str]:
    """Cameras on disk that a track needs."""
    pairs = [pair for direction in directions for pair in camera_pairs(take, direction, ())]
    needed = {camera for masks, target in pairs for camera in (masks.camera, target)}
    return {camera for camera in needed if take.cameras[camera].source is not None}


def _tracks(
    take: Take, direction: Direction, videos: Mapping[str, KnowsFrames], config: ClipConfig
) -> Iterator[TrainingTrack]:
    for planned in plan_take(take, direction, videos).tracks:
        target = take.tracks.get((planned.object, planned.target_camera))
        if target is None:
            continue
        yield _track(planned, take.tracks[planned.object, planned.query_camera], target, config)


def _track(planned: PlannedTrack, query: MaskTrack, target: MaskTrack, config: ClipConfig) -> TrainingTrack:
    frames = planned.frames
    if not config.train_absent:
        frames = tuple(frame for frame in frames if shows(target, frame))
    else:
        for frame in frames:
            shows(target, frame)  # raises now, not in the middle of the training
    annotated = tuple(state_of(target, frame) != "unannotated" for frame in frames)
    return TrainingTrack(query, target, frames, annotated, len(planned.frames))


def shows(masks: MaskTrack, frame: int) -> bool:
    """Whether an object has a mask with a pixel in a frame.

    Raises:
        DataError: the mask cannot be used.
    """
    mask = masks.mask(frame)
    return mask is not None and mask.area > 0
