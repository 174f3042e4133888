"""The clocks of a take's cameras, as their sound and motion tell them: who started when, and whose clock drifts."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.video.file import VideoReader
from lmeec.video.instants import meant_rate, same_rate
from lmeec.video.sync.delay import Delay, delay_between
from lmeec.video.sync.signals import Signal, motion_of, sound_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmeec.data.take import Camera, Take

By = Literal["sound", "motion"]

CERTAIN = 0.5
"""Certainty from which an estimate is believed."""

_LEAST_WINDOWS = 4
_LARGE = 0.5  # frames of the take; less is no fault


@dataclass(frozen=True)
class CameraClock:
    """How the clock of a camera goes.

    Attributes:
        camera: its name.
        offset: seconds of the take at which its first frame is shown, as estimated; None where nothing tells.
        frame_rate: its frames a second of the take, as estimated; differs from what is assumed where its clock drifts.
        drift: how much slower the take's clock goes than the camera's, in parts; 0 where none is to be seen.
        by: what told: sound or motion; None of the camera that the others are compared with.
        certainty: share of parts of the videos that agree, 0 to 1, the least on the way from that camera.
        windows: how many parts were compared.
        assumed_offset: the offset that is known so far.
        assumed_rate: the frame rate that is known so far.
        off: by how many frames of the take it starts, or at its end is, later than is known so far: what is read of it
            at an instant happened so much later than what is read of the reference. The larger of both counts.
        problem: why nothing is known.
    """

    camera: str
    offset: Fraction | None
    frame_rate: Fraction | None
    drift: float
    by: By | None
    certainty: float
    windows: int
    assumed_offset: Fraction
    assumed_rate: Fraction | None
    off: float
    problem: str | None = None

    @property
    def is_certain(self) -> bool:
        """Whether the estimate is to be believed."""
        return self.by is not None and self.certainty >= CERTAIN and self.windows >= _LEAST_WINDOWS

    @property
    def is_wrong(self) -> bool:
        """Whether what is known so far is off by half a frame or more, for certain."""
        return self.is_certain and abs(self.off) >= _LARGE


@dataclass(frozen=True)
class _Clock:
    """An instant of the take, by a camera's own time: `start + own * pace`."""

    start: float
    pace: float

    def behind(self, delay: Delay) -> _Clock:
        """The clock of a camera that goes so by this one."""
        return _Clock(self.start + self.pace * delay.seconds, self.pace * (1 + delay.drift))


@dataclass
class _Video:
    """A camera's video while it is compared."""

    camera: Camera
    rate: Fraction
    assumed_rate: Fraction
    seconds: float
    sound: Signal | None
    motion: Signal | None = None
    looked: bool = False

    @property
    def assumed(self) -> _Clock:
        return _Clock(float(self.camera.offset), float(self.rate / self.assumed_rate))


@dataclass
class _Edge:
    delay: Delay
    by: By


@dataclass
class _Comparison:
    """The cameras of a take that can be compared, and what was found."""

    videos: dict[str, _Video]
    problems: dict[str, str] = field(default_factory=dict)
    _edges: dict[tuple[str, str], _Edge | None] = field(default_factory=dict)

    def edge(self, first: str, second: str) -> _Edge | None:
        """How the second's clock goes by the first's: by sound where both have it and it is certain, else by motion."""
        if (first, second) not in self._edges:
            self._edges[first, second] = self._compared(self.videos[first], self.videos[second])
        return self._edges[first, second]

    def _compared(self, one: _Video, other: _Video) -> _Edge | None:
        found = []
        if one.sound is not None and other.sound is not None:
            delay = delay_between(one.sound, other.sound, sound=True)
            if delay is not None:
                found.append(_Edge(delay, "sound"))
                if _tells(delay):
                    return found[0]
        first, second = self._motion(one), self._motion(other)
        if first is not None and second is not None:
            delay = delay_between(first, second, sound=False)
            if delay is not None:
                found.append(_Edge(delay, "motion"))
        return max(found, key=lambda edge: edge.delay.certainty, default=None)

    def _motion(self, video: _Video) -> Signal | None:
        if not video.looked:
            video.looked = True
            assert video.camera.source is not None
            video.motion = motion_of(video.camera.source)
        return video.motion


def check_sync(take: Take, reference: str | None = None) -> list[CameraClock]:
    """Estimate how the clocks of a take's cameras go, by sound where there is any, else by motion.

    Each camera is compared with those of which most is certain already. The take's clock stays that of the reference,
    as it is known.

    Args:
        take: the take.
        reference: camera whose offset is taken as it is; None takes the first ego camera, or the first.

    Returns:
        The cameras, in their order.

    Raises:
        DataError: there is no such camera, or it has no video that can be read.
    """
    comparison = _opened(take)
    names = list(comparison.videos)
    if reference is None:
        egos = [name for name in names if take.cameras[name].is_ego]
        reference = next(iter(egos or names), None)
    if reference is None or reference not in comparison.videos:
        wanted = f"camera {show(reference)}" if reference is not None else "any camera"
        raise DataError(f"take {show(take.name)}: there is no video of {wanted} that can be read")
    clocks: dict[str, tuple[_Clock, float, _Edge | None]] = {
        reference: (comparison.videos[reference].assumed, 1.0, None)
    }
    while len(clocks) < len(names):
        ways = [
            (min(clocks[one][1], edge.delay.certainty), one, other, edge)
            for one in clocks
            for other in names
            if other not in clocks and (edge := comparison.edge(one, other)) is not None
        ]
        if not ways:
            break
        certainty, one, other, edge = max(ways, key=lambda way: way[0])
        clocks[other] = (clocks[one][0].behind(edge.delay), certainty, edge)
    return [_told(camera, comparison, clocks) for camera in take.cameras.values()]


def _tells(delay: Delay) -> bool:
    return delay.certainty >= CERTAIN and delay.windows >= _LEAST_WINDOWS


def _opened(take: Take) -> _Comparison:
    comparison = _Comparison({})
    for camera in take.cameras.values():
        if camera.source is None:
            comparison.problems[camera.name] = camera.problem or "it has no video"
            continue
        try:
            if camera.source.is_dir():
                raise DataError(f"{camera.source}: is a folder of frames, which has the take's numbers")
            with VideoReader(camera.source) as video:
                if video.frame_rate is None:
                    raise DataError(f"{camera.source}: does not say how many frames a second it has; encode it anew")
                rate, frames = video.frame_rate, video.num_frames
            assumed = camera.own_rate or (camera.frame_rate if same_rate(rate, camera.frame_rate) else meant_rate(rate))
            comparison.videos[camera.name] = _Video(
                camera, rate, assumed, frames / float(rate), sound_of(camera.source)
            )
        except (DataError, OSError) as error:
            comparison.problems[camera.name] = str(error)
    return comparison


def _told(
    camera: Camera, comparison: _Comparison, clocks: Mapping[str, tuple[_Clock, float, _Edge | None]]
) -> CameraClock:
    video = comparison.videos.get(camera.name)
    if video is None or camera.name not in clocks:
        problem = comparison.problems.get(camera.name, "neither sound nor motion tells, or it is too short")
        rate = None if video is None else video.assumed_rate
        return CameraClock(camera.name, None, None, 0.0, None, 0.0, 0, camera.offset, rate, 0.0, problem)
    clock, certainty, edge = clocks[camera.name]
    assumed = video.assumed
    drift = clock.pace / assumed.pace - 1
    ends = [(clock.start + clock.pace * own) - (assumed.start + assumed.pace * own) for own in (0.0, video.seconds)]
    off = max(ends, key=abs) * float(camera.frame_rate)
    rate = video.assumed_rate
    if edge is not None and abs(drift) * video.seconds * float(camera.frame_rate) >= _LARGE:
        rate = Fraction(float(video.rate) / clock.pace).limit_denominator(10**7)
    else:
        drift = 0.0
    return CameraClock(
        camera=camera.name,
        offset=camera.offset if edge is None else Fraction(round(clock.start, 4)).limit_denominator(10**4),
        frame_rate=rate,
        drift=drift,
        by=None if edge is None else edge.by,
        certainty=certainty,
        windows=0 if edge is None else edge.delay.windows,
        assumed_offset=camera.offset,
        assumed_rate=video.assumed_rate,
        off=off,
    )
