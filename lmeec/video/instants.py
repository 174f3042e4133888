"""Frames of a video by the instants at which its take counts frames, whatever the video's own frame rate.

Annotations count frames of one rate, 30 a second in Ego-Exo4D, and frame i means the instant i/30 s in every camera. A
video of that rate is read frame by frame: its own i-th frame is frame i. That holds for rates that are a half per cent
apart, such as 30000/1001, and whatever its time stamps say: the data set aligned the cameras by frame, and 29.97 for 30
is a label that would otherwise lead a minute astray by two frames. Of a video of another rate the frame is read that is
nearest to the instant, the earlier of two that are as near, counted from its first frame.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import groupby, takewhile, tee
from typing import TYPE_CHECKING, TypeVar

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
    path: Place, rate: Fraction, size: tuple[int, int] | None = None, threads: int = 0, *, gpu: bool = False
) -> VideoReader | VideoAtRate:
    """Open a video so that frame numbers count instants of a rate.

    Args:
        path: The video.
        rate: Frames a second that numbers count.
        size: As for `VideoReader`.
        threads: As for `VideoReader`.
        gpu: As for `VideoReader`.

    Raises:
        DataError: The video cannot be read, or it is of another rate and not known when its frames are shown.
    """
    video = VideoReader(path, size, threads, gpu=gpu)
    try:
        if same_rate(_known_rate(video), rate):
            return video
        return VideoAtRate(video, rate)
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

    Attributes:
        height: Rows of the video in pixels.
        width: Columns of the video in pixels.
        num_frames: Frames of the given rate up to the end of the video.
        frame_rate: The given rate.
        notice: That this is not the video's own rate, in words.

    Raises:
        DataError: It is not known when frames of the video are shown.
    """

    def __init__(self, video: VideoReader, rate: Fraction) -> None:
        self._video = video
        self.height, self.width = video.height, video.width
        self.frame_rate = rate
        self._nearest = _nearest_frames(video, rate)
        self.num_frames = len(self._nearest)
        own = f"{float(_known_rate(video)):.5g}"
        self.notice: str | None = (
            f"{video.path}: has {own} frames a second where the take counts {float(rate):.5g}; of each of the take's "
            f'frames the one nearest in time is read. If annotations count {own} a second, give the take "frame_rate": '
            f"{own} in takes.json"
        )

    def has_frame(self, index: int) -> bool:
        """Say whether a frame can be read."""
        return 0 <= index < self.num_frames

    def file_frame(self, index: int) -> int:
        """Give the video's own number of a frame that can be read."""
        return int(self._nearest[index])

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
                    f"{self._video.path}: frame {index} is asked for, the video has {self.num_frames} frames at "
                    f"{float(self.frame_rate):.5g} a second (0 to {self.num_frames - 1}); if it was cut short, "
                    "download it again"
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


def _nearest_frames(video: VideoReader, rate: Fraction) -> NDArray[np.int64]:
    """The video's own numbers of the frames that are nearest to the instants 0, 1/rate, 2/rate, ..."""
    own = _known_rate(video)
    if video.has_constant_rate:
        step = _meant(own) / _meant(rate)
        count = _countable(video, rate, math.floor((video.num_frames - Fraction(1, 2)) / step) + 1)
        instants = np.arange(count, dtype=np.int64)
        return -((step.denominator - 2 * step.numerator * instants) // (2 * step.denominator))
    times = video.frame_times()
    if times is None:
        raise DataError(
            f"{video.path}: its frame rate varies and its packets do not say when each frame is shown, so that its "
            f"frames have no place among the take's {float(rate):.5g} a second; encode it anew at that rate"
        )
    between = (times[1:] + times[:-1]) / 2
    count = _countable(video, rate, math.floor((times[-1] + 1 / (2 * own)) * rate) + 1)
    return np.searchsorted(between, np.arange(count) / float(rate))


def _countable(video: VideoReader, rate: Fraction, count: int) -> int:
    if count > _MOST_FRAMES:
        raise DataError(
            f"{video.path}: its time stamps make it more than {_MOST_FRAMES:,} frames at the take's {float(rate):.5g} "
            f"a second; it is damaged: download it again, or encode it anew"
        )
    return count


def _meant(rate: Fraction) -> Fraction:
    """The whole number that a rate stands for, or the rate."""
    whole = round(rate)
    return Fraction(whole) if whole > 0 and abs(rate / whole - 1) <= _LABEL else rate
