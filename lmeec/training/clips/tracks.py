"""What of a take can be trained on: its tracks with an annotated target, and the frames that they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lmeec.data.take import Take
from lmeec.data.tracks import MaskTrack
from lmeec.data.truth import state_of
from lmeec.errors import DataError
from lmeec.inference.plan import KnowsFrames, PlannedTrack, camera_pairs, plan_take

if TYPE_CHECKING:
    from lmeec.config import Direction
    from lmeec.training.clips.config import ClipConfig


@dataclass(frozen=True)
class TrainingTrack:
    """One object in one pair of cameras.

    Attributes:
        query: its masks in the query view.
        target: its masks in the target view.
        frames: what clips are cut from, ascending; both videos have them.
        annotated: of each of these, whether the target view was looked at.
        may_start: of each of these, whether a clip may begin there.
        length: steps of the track that a clip stands for; object pointers are timed by it.
    """

    query: MaskTrack
    target: MaskTrack
    frames: tuple[int, ...]
    annotated: tuple[bool, ...]
    may_start: tuple[bool, ...]
    length: int

    @property
    def pair(self) -> tuple[str, str]:
        """Query and target camera."""
        return self.query.camera, self.target.camera

    def starts(self, count: int) -> list[int]:
        """Places in `frames` at which a clip of so many successive ones may begin, with an annotated one among them."""
        last = len(self.frames) - count
        return [i for i in range(last + 1) if self.may_start[i] and any(self.annotated[i : i + count])]

    def absent_starts(self, count: int) -> list[int]:
        """Of the `starts`, those of clips with a frame in which the object is annotated as not visible.

        Raises:
            DataError: a mask cannot be used.
        """
        absent = [
            looked and not shows(self.target, frame) for looked, frame in zip(self.annotated, self.frames, strict=True)
        ]
        return [start for start in self.starts(count) if any(absent[start : start + count])]

    def covers(self, frames: Sequence[int]) -> bool:
        """Whether a clip of these frames could be one of this track."""
        return set(frames) <= set(self.frames) and self.may_start[self.frames.index(frames[0])]


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


class FindTracks(Protocol):
    """Finds what can be trained on in a take, in one direction."""

    def __call__(
        self, take: Take, direction: Direction, videos: Mapping[str, KnowsFrames], config: ClipConfig
    ) -> Iterable[TrainingTrack]:
        """Find the tracks.

        Args:
            take: the take.
            direction: which views are queries.
            videos: the cameras that can be read.
            config: how clips are cut.

        Raises:
            DataError: a mask cannot be used.
        """


def training_take(take: Take, config: ClipConfig, find: FindTracks) -> TrainingTake:
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
            tracks += find(take, direction, videos, config)
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


def predicted_tracks(
    take: Take, direction: Direction, videos: Mapping[str, KnowsFrames], config: ClipConfig
) -> Iterator[TrainingTrack]:
    """Tracks as inference has them: at all frames in which the query view shows the object.

    Those in which the target view does not show it are left out if they are not trained on.
    """
    for planned in plan_take(take, direction, videos).tracks:
        target = take.tracks.get((planned.object, planned.target_camera))
        if target is None:
            continue
        yield _track(planned, take.tracks[planned.object, planned.query_camera], target, config)


def _track(planned: PlannedTrack, query: MaskTrack, target: MaskTrack, config: ClipConfig) -> TrainingTrack:
    frames = tuple(planned.frames)
    if not config.train_absent:
        frames = tuple(frame for frame in frames if shows(target, frame))
    else:
        for frame in frames:
            shows(target, frame)  # raises now, not in the middle of the training
    annotated = tuple(state_of(target, frame) != "unannotated" for frame in frames)
    return TrainingTrack(query, target, frames, annotated, (True,) * len(frames), len(planned.frames))


def doubly_annotated_tracks(
    take: Take, direction: Direction, videos: Mapping[str, KnowsFrames], config: ClipConfig
) -> Iterator[TrainingTrack]:
    """Tracks at the frames for which both views have a mask, as the released training has them.

    A mask may be empty, and is all that is known of absence: where the target view was looked at and nothing was found,
    there is none. Only the first frame of a clip must show the object in the query view.
    """
    for query, camera in camera_pairs(take, direction, ()):
        target = take.tracks.get((query.object, camera))
        if target is None or not {query.camera, camera} <= videos.keys():
            continue
        frames = tuple(
            frame
            for frame in query.frames
            if state_of(target, frame) == "visible"
            and videos[query.camera].has_frame(frame)
            and videos[camera].has_frame(frame)
        )
        for frame in frames:
            shows(target, frame)  # raises now, not in the middle of the training
        if frames:
            shown = tuple(shows(query, frame) for frame in frames)
            yield TrainingTrack(query, target, frames, (True,) * len(frames), shown, config.frames)


def shows(masks: MaskTrack, frame: int) -> bool:
    """Whether an object has a mask with a pixel in a frame.

    Raises:
        DataError: the mask cannot be used.
    """
    mask = masks.mask(frame)
    return mask is not None and mask.area > 0
