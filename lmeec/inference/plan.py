"""What to run on a take: which tracks, at which frames, from which masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lmeec.config import VIEWS
from lmeec.data.tracks import MaskTrack
from lmeec.data.truth import has_truth
from lmeec.files.names import show
from lmeec.tables.schema import Missing

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lmeec.config import Direction, Targets
    from lmeec.data.takes import Take


class KnowsFrames(Protocol):
    """Says which frames of a camera can be read."""

    num_frames: int

    def has_frame(self, index: int) -> bool:
        """Whether the frame can be read."""
        ...


@dataclass(frozen=True)
class QueryStream:
    """An object in a query camera, with the frames at which its view memory is made.

    Tracks share a stream, and with it the view memory and the query bank, as long as they walk through the same
    frames; a track may end earlier than its stream.
    """

    masks: MaskTrack
    frames: tuple[int, ...]


@dataclass(frozen=True)
class PlannedTrack:
    """One object, one query camera, one target camera.

    Attributes:
        stream: number of the query stream (an object in a query camera) whose masks it follows.
        query_camera: camera whose masks are given.
        target_camera: camera to segment in.
        frames: its steps: the frames at which the query view has a mask and both videos have the frame, in the order in
            which they are followed.
        object: name of the object.
    """

    stream: int
    query_camera: str
    target_camera: str
    frames: Sequence[int]
    object: str = ""


@dataclass(frozen=True)
class LostFrames:
    """Frames of an object's query masks at which a target camera gets no prediction.

    Attributes:
        masks: the object's masks in the query camera.
        target_camera: the target camera.
        reasons: frame number to why, ascending.
    """

    masks: MaskTrack
    target_camera: str
    reasons: Mapping[int, Missing]


@dataclass(frozen=True)
class TakePlan:
    """All tracks of a take in one direction.

    Attributes:
        streams: query streams.
        tracks: tracks, none of them empty.
        lost: frames that no track has a step at; with the tracks', all frames of the query masks for every target.
        warnings: what could not be planned and why, for the user.
        reverse: whether tracks go from their last frame to their first.
    """

    streams: tuple[QueryStream, ...]
    tracks: tuple[PlannedTrack, ...]
    lost: tuple[LostFrames, ...]
    warnings: tuple[str, ...]
    reverse: bool = False

    @property
    def steps(self) -> int:
        """Predictions that the plan will make."""
        return sum(len(track.frames) for track in self.tracks)

    @property
    def frames(self) -> list[int]:
        """Every frame at which a track has a step, in the order of steps."""
        return self._ordered({frame for track in self.tracks for frame in track.frames})

    def frames_of(self, camera: str) -> list[int]:
        """Frames that are needed of a camera, in the order of steps."""
        used = (track.frames for track in self.tracks if camera in (track.query_camera, track.target_camera))
        return self._ordered({frame for frames in used for frame in frames})

    def _ordered(self, frames: Collection[int]) -> list[int]:
        return sorted(frames, reverse=self.reverse)


def camera_pairs(
    take: Take, direction: Direction, objects: Sequence[str], targets: Targets = "all"
) -> list[tuple[MaskTrack, str]]:
    """Query masks with each target camera, in a direction, whether or not videos are there.

    Args:
        take: the take.
        direction: `ego2exo` pairs each ego camera's masks with every exo camera, `exo2ego` the reverse.
        objects: only these objects; empty means all.
        targets: as in `PredictConfig`.
    """
    query_view, target_view = VIEWS[direction]
    cameras = sorted(name for name, camera in take.cameras.items() if camera.view == target_view)
    return [
        (masks, target)
        for (name, camera), masks in sorted(take.tracks.items())
        if camera in take.cameras and take.cameras[camera].view == query_view and (not objects or name in objects)
        for target in cameras
        if targets == "all" or has_truth(take.tracks.get((name, target)), masks.frames)
    ]


def plan_take(
    take: Take,
    direction: Direction,
    videos: Mapping[str, KnowsFrames],
    objects: Sequence[str] = (),
    *,
    targets: Targets = "all",
    reverse: bool = False,
) -> TakePlan:
    """Plan every track of a take in one direction.

    Args:
        take: the take.
        direction: which views are queries.
        videos: the cameras that can be read; frames of another that is on disk are lost to its video.
        objects: only these objects; empty means all.
        targets: as in `PredictConfig`.
        reverse: follow tracks from their last frame to their first.

    Raises:
        DataError: a query mask cannot be used.
    """
    builder = _PlanBuilder(take, videos, reverse)
    for masks, target in camera_pairs(take, direction, objects, targets):
        builder.add(masks, target)
    return builder.plan()


class _PlanBuilder:
    def __init__(self, take: Take, videos: Mapping[str, KnowsFrames], reverse: bool) -> None:
        self._take = take
        self._reverse = reverse
        self._videos = videos
        self._streams: list[QueryStream] = []
        self._tracks: list[PlannedTrack] = []
        self._nonempty: dict[tuple[str, str], set[int]] = {}
        self._lost: list[LostFrames] = []
        self._cut: dict[str, set[int]] = {}

    def add(self, masks: MaskTrack, target: str) -> None:
        reasons = self._reasons(masks, target)
        if reasons:
            self._lost.append(LostFrames(masks, target, reasons))
        frames = tuple(frame for frame in masks.frames if frame not in reasons)
        if self._reverse:
            frames = frames[::-1]
        if frames:
            stream = self._stream(masks, frames)
            self._tracks.append(PlannedTrack(stream, masks.camera, target, frames, masks.object))

    def plan(self) -> TakePlan:
        warnings = [
            f"take {show(self._take.name)}: the video of camera {show(camera)} has {self._videos[camera].num_frames} "
            f"frames and lacks {len(frames)} annotated ones (the first is {min(frames)}); they have no prediction"
            for camera, frames in sorted(self._cut.items())
        ]
        return TakePlan(tuple(self._streams), tuple(self._tracks), tuple(self._lost), tuple(warnings), self._reverse)

    def _reasons(self, masks: MaskTrack, target: str) -> dict[int, Missing]:
        """Why frames of query masks cannot be predicted; the first obstacle on the way counts."""
        cameras = [self._take.cameras[name] for name in (masks.camera, target)]
        if any(camera.source is None for camera in cameras):
            return dict.fromkeys(masks.frames, "camera")
        if any(camera.name not in self._videos for camera in cameras):
            return dict.fromkeys(masks.frames, "video")
        nonempty = self._with_pixels(masks)
        reasons: dict[int, Missing] = {}
        for frame in masks.frames:
            if frame not in nonempty:
                reasons[frame] = "empty_query"
            elif not self._readable(masks.camera, frame) & self._readable(target, frame):
                reasons[frame] = "video"
        return reasons

    def _with_pixels(self, masks: MaskTrack) -> set[int]:
        key = (masks.object, masks.camera)
        if key not in self._nonempty:
            self._nonempty[key] = {frame for frame in masks.frames if _has_pixels(masks, frame)}
        return self._nonempty[key]

    def _readable(self, camera: str, frame: int) -> bool:
        there = self._videos[camera].has_frame(frame)
        if not there:
            self._cut.setdefault(camera, set()).add(frame)
        return there

    def _stream(self, masks: MaskTrack, frames: tuple[int, ...]) -> int:
        """A stream of these masks that these frames are a beginning of; a shorter stream is extended."""
        for i, stream in enumerate(self._streams):
            if (stream.masks.object, stream.masks.camera) == (masks.object, masks.camera):
                shared = min(len(stream.frames), len(frames))
                if stream.frames[:shared] == frames[:shared]:
                    if len(frames) > len(stream.frames):
                        self._streams[i] = QueryStream(masks, frames)
                    return i
        self._streams.append(QueryStream(masks, frames))
        return len(self._streams) - 1


def _has_pixels(masks: MaskTrack, frame: int) -> bool:
    mask = masks.mask(frame)
    return mask is not None and mask.area > 0
