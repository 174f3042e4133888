"""Frames of a video by the instants at which its take counts frames, whatever the video's own frame rate.

Annotations count frames of one rate, 30 a second in Ego-Exo4D, and frame i means the instant i/30 s in every camera. A
video of that rate is read frame by frame: its own i-th frame is frame i. That holds for rates that are a half per cent
apart, such as 30000/1001, and whatever its time stamps say: the data set aligned the cameras by frame, and 29.97 for 30
is a label that would otherwise lead a minute astray by two frames. Of a video of another rate the frame is read that is
nearest to the instant, the earlier of two that are as near, counted from its first frame.

A camera that did not start with its take has an offset: the instant of the take at which its first frame is shown. A
rate that is given for a video in place of the one that its file tells is meant to the last digit, so that drift of a
clock can be said as a rate.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import groupby, takewhile, tee
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from lmeec.errors import DataError
from lmeec.video.decoding import Wanted
from lmeec.video.file import VideoReader
from lmeec.video.frames import ClosedAfterUse, Detailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from lmeec.files.places import Place

USUAL_RATE = Fraction(30)
"""Frames a second that the annotations of Ego-Exo4D count."""

T = TypeVar("T")

_SAME = Fraction(5, 1000)
"""Rates that differ by no more, relatively, are taken as the same."""

_LABEL = Fraction(2, 1000)
"""How far a rate may be from a whole number that it stands for, relatively, as 60000/1001 does for 60."""


_MOST_FRAMES = 10_000_000
"""Of a video at its take's rate, almost four days of 30 a second; an array has a number for each."""


def open_video(
    path: Place,
    rate: Fraction,
    size: tuple[int, int] | None = None,
    threads: int = 0,
    *,
    gpu: bool = False,
    offset: Fraction = Fraction(0),
    own_rate: Fraction | None = None,
    upright: bool = False,
) -> VideoReader | VideoAtRate:
    """Open a video so that frame numbers count instants of a rate.

    Args:
        path: The video.
        rate: Frames a second that numbers count.
        size: As for `VideoReader`.
        threads: As for `VideoReader`.
        gpu: As for `VideoReader`.
        offset: Seconds of the take at which the video's first frame is shown; negative if it started before the take.
        own_rate: The video's frames a second where the file does not tell it or is wrong.
        upright: As for `VideoReader`.

    Raises:
        DataError: The video cannot be read, or it is of another rate and not known when its frames are shown.
    """
    video = VideoReader(path, size, threads, gpu=gpu, upright=upright)
    try:
        counts_so = own_rate == rate if own_rate is not None else same_rate(_known_rate(video), rate)
        if counts_so and not offset:
            return video
        return VideoAtRate(video, rate, offset, own_rate)
    except BaseException:
        video.close()
        raise


def same_rate(one: Fraction, other: Fraction) -> bool:
    """Say whether frames of two rates have the same numbers.

    Example:
        >>> same_rate(Fraction(30000, 1001), Fraction(30)), same_rate(Fraction(25), Fraction(30))
        (True, False)
    """
    return abs(one / other - 1) <= _SAME


class VideoAtRate(ClosedAfterUse):
    """A video read at the instants of another frame rate than its own; a `FrameReader`.

    Args:
        video: The video; is closed with this.
        rate: Frames a second that numbers count.
        offset: As for `open_video`.
        own_rate: As for `open_video`.

    Attributes:
        height: Rows of the video in pixels.
        width: Columns of the video in pixels.
        num_frames: Frames of the given rate up to the end of the video.
        frame_rate: The given rate.
        own_rate: The video's, as the file tells it.
        notice: That this is not the video's own rate, in words.
        counts: As the video has them.

    Raises:
        DataError: It is not known when frames of the video are shown.
    """

    def __init__(
        self, video: VideoReader, rate: Fraction, offset: Fraction = Fraction(0), own_rate: Fraction | None = None
    ) -> None:
        self._video = video
        self.height, self.width = video.height, video.width
        self.frame_rate, self.counts = rate, video.counts
        self._first, self._nearest = _nearest_frames(video, rate, offset, own_rate)
        self.num_frames = self._first + len(self._nearest)
        if not len(self._nearest):
            raise DataError(
                f"{video.path}: ends before its take begins, as it started {float(-offset):.5g} s before; correct its "
                "offset"
            )
        self.own_rate = _known_rate(video)
        own = f"{float(self.own_rate):.5g}"
        said = own_rate is not None or same_rate(self.own_rate, rate)  # by who gave rate or offset
        self.notice: str | None = None
        if not said:
            self.notice = (
                f"{video.path}: has {own} frames a second where the take counts {float(rate):.5g}; of each of the "
                f"take's frames the one nearest in time is read. If annotations count {own} a second, give the take "
                f'"frame_rate": {own}, in takes.json or the manifest'
            )

    def has_frame(self, index: int) -> bool:
        """Say whether a frame can be read."""
        return self._first <= index < self.num_frames

    def file_frame(self, index: int) -> int:
        """Give the video's own number of a frame that can be read."""
        return int(self._nearest[index - self._first])

    def decodes_from(self, index: int) -> int:
        """Give the place in the file of the key packet at which decoding starts for a frame that can be read."""
        return self._video.decodes_from(self.file_frame(index))

    def read(self, indices: Iterable[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Decode frames as the iterator is advanced, each frame of the video once; see `FrameReader.read`.

        Raises:
            DataError: A frame is past the end or cannot be decoded; the message names file and frame.
            ValueError: The numbers are negative or not ascending.
        """
        # Whoever got a frame before may have drawn on it.
        return self._at_instants(indices, self._video.read, np.copy)

    def read_detailed(self, indices: Iterable[int], longer_side: int) -> Iterator[tuple[int, Detailed]]:
        """Decode frames at both sizes, each frame of the video once; see `FrameReader.read_detailed`."""
        return self._at_instants(
            indices,
            lambda numbers: self._video.read_detailed(numbers, longer_side),
            lambda frame: Detailed(frame.image.copy(), frame.detail.copy()),
        )

    def _at_instants(
        self, indices: Iterable[int], read: Callable[[Iterable[int]], Iterator[tuple[int, T]]], copied: Callable[[T], T]
    ) -> Iterator[tuple[int, T]]:
        ours, theirs = tee(iter(Wanted(indices).next, None))
        there = takewhile(self.has_frame, theirs)  # what comes before a frame that is not there is read all the same
        frames = read(number for number, _ in groupby(map(self.file_frame, there)))
        latest: tuple[int, T] | None = None
        for index in ours:
            if not self.has_frame(index):
                raise DataError(
                    f"{self._video.path}: frame {index} is asked for, the video has {len(self._nearest)} frames at "
                    f"{float(self.frame_rate):.5g} a second ({self._first} to {self.num_frames - 1}); if it was cut "
                    "short, download it again"
                )
            if latest is not None and self.file_frame(index) == latest[0]:
                latest = latest[0], copied(latest[1])
            else:
                latest = next(frames)
            yield index, latest[1]

    def close(self) -> None:
        """Close the video."""
        self._video.close()


def _known_rate(video: VideoReader) -> Fraction:
    if video.frame_rate is None:
        raise DataError(
            f"{video.path}: neither the file nor its packets say how many frames a second it has; encode it anew"
        )
    return video.frame_rate


def _nearest_frames(
    video: VideoReader, rate: Fraction, offset: Fraction, own_rate: Fraction | None
) -> tuple[int, NDArray[np.int64]]:
    """The first frame of the take that the video has, and the video's own number of that one and those that follow."""
    if own_rate is not None or video.has_constant_rate or same_rate(_known_rate(video), rate):
        step = _step(video, rate, own_rate)
        start = offset * rate  # in frames of the take
        first = max(0, math.floor(start - 1 / (2 * step)) + 1)
        end = _countable(video, rate, math.floor(start + (video.num_frames - Fraction(1, 2)) / step) + 1)
        kind = np.int64 if start.denominator == 1 else object  # whose numbers have no bounds
        indices = np.arange(first, end, dtype=np.int64).astype(kind)
        return first, nearest_frame(indices, start, step).astype(np.int64)
    times = video.frame_times()
    if times is None:
        raise DataError(
            f"{video.path}: its frame rate varies and its packets do not say when each frame is shown, so that its "
            f"frames have no place among the take's {float(rate):.5g} a second; encode it anew at that rate"
        )
    half = 1 / (2 * _known_rate(video))
    between = (times[1:] + times[:-1]) / 2
    first = max(0, math.floor((offset - half) * rate) + 1)
    end = _countable(video, rate, math.floor((times[-1] + half + offset) * rate) + 1)
    return first, np.searchsorted(between, np.arange(first, end) / float(rate) - float(offset))


@overload
def nearest_frame(index: int, start: Fraction, step: Fraction) -> int: ...
@overload
def nearest_frame(index: NDArray[Any], start: Fraction, step: Fraction) -> NDArray[Any]: ...
def nearest_frame(index: int | NDArray[Any], start: Fraction, step: Fraction) -> int | NDArray[Any]:
    """The frame of a video that is nearest in time to one of its take, the earlier of two that are as near.

    Args:
        index: the take's frame, or several.
        start: frames of the take, not always whole ones, before the video's first.
        step: frames of the video from one of the take to the next.

    Example:
        >>> [nearest_frame(index, Fraction(2), Fraction(25, 30)) for index in range(2, 9)]
        [0, 1, 2, 2, 3, 4, 5]
    """
    unit = step.denominator * start.denominator
    return -((unit - 2 * step.numerator * (index * start.denominator - start.numerator)) // (2 * unit))


def _step(video: VideoReader, rate: Fraction, own_rate: Fraction | None) -> Fraction:
    if own_rate is not None:
        return own_rate / rate
    own = _known_rate(video)
    return Fraction(1) if same_rate(own, rate) else meant_rate(own) / meant_rate(rate)


def _countable(video: VideoReader, rate: Fraction, count: int) -> int:
    if count > _MOST_FRAMES:
        raise DataError(
            f"{video.path}: its time stamps make it more than {_MOST_FRAMES:,} frames at the take's {float(rate):.5g} "
            f"a second; it is damaged: download it again, or encode it anew"
        )
    return count


def meant_rate(rate: Fraction) -> Fraction:
    """The whole number that a rate stands for, or the rate."""
    whole = round(rate)
    return Fraction(whole) if whole > 0 and abs(rate / whole - 1) <= _LABEL else rate
