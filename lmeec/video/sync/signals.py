"""What a video lets hear and move, as numbers at equal intervals from its first frame on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from lmeec.errors import DataError
from lmeec.files.reading import check_regular, understanding
from lmeec.video.file import VideoReader
from lmeec.video.source import VideoSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from numpy.typing import NDArray

    from lmeec.files.places import Place

AUDIO_RATE = 8_000
MOTION_RATE = 60
"""Numbers a second."""

AUDIO_SECONDS = 1_800
MOTION_SECONDS = 300
"""Of so much of a video, from its beginning on; decoding frames takes much longer than sound."""

_GRID = (36, 64)  # rows and columns that frames are compared at
_FAR = 60.0  # seconds that sound may start away from the first frame


@dataclass(frozen=True)
class Signal:
    """A signal of a video.

    Attributes:
        values: float32 [n]; the first is at the video's first frame.
        rate: numbers a second.
    """

    values: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.values) / self.rate


def sound_of(path: Place, seconds: float = AUDIO_SECONDS) -> Signal | None:
    """Decode a video's sound, all channels mixed; None where it has none.

    Args:
        path: the video.
        seconds: of so much of it.

    Raises:
        DataError: it cannot be read.
    """
    check_regular(path, DataError)
    with understanding(path, DataError, "a video", "download it again"):
        source = VideoSource(path)
        try:
            with source.open() as container:
                if not container.streams.audio:
                    return None
                values = _heard(container, seconds)
        finally:
            source.close()
        source.check()
    return Signal(values, AUDIO_RATE) if values is not None else None


def _heard(container: InputContainer, seconds: float) -> NDArray[np.float32] | None:
    start = 0.0
    if container.streams.video:
        video = container.streams.video[0]
        start = float((video.start_time or 0) * (video.time_base or 0))
    resampler = av.AudioResampler("flt", "mono", AUDIO_RATE)
    heard = np.zeros(int(seconds * AUDIO_RATE), np.float32)
    end = 0
    for frame in container.decode(container.streams.audio[0]):
        for piece in resampler.resample(frame):
            # Where stamps leave a gap, nothing was heard; small differences are those of rounding.
            place = end if piece.time is None else round((piece.time - start) * AUDIO_RATE)
            if end and abs(place - end) < AUDIO_RATE // 20:
                place = end
            if abs(place) > (seconds + _FAR) * AUDIO_RATE:
                return heard[:end] if end else None
            samples = piece.to_ndarray()[0]
            first, last = max(place, 0), min(place + len(samples), len(heard))
            if first < last:
                heard[first:last] = samples[first - place : last - place]
            end = max(end, place + len(samples))
        if end >= len(heard):
            break
    heard = np.nan_to_num(heard[: min(end, len(heard))])
    return heard if heard.any() else None


def motion_of(path: Place, seconds: float = MOTION_SECONDS) -> Signal | None:
    """Measure how much a video's picture changes from frame to frame; None where nothing does.

    Args:
        path: the video.
        seconds: of so much of it.

    Raises:
        DataError: it cannot be read, or it is not known when its frames are shown.
    """
    with VideoReader(path, _GRID) as video:
        times = _times(video)
        count = int(np.searchsorted(times, seconds))
        changes = [float(change) for change in islice(_changes(video, count), count)]
    if len(changes) < 2 or not any(changes):
        return None
    middles = (times[1 : len(changes) + 1] + times[: len(changes)]) / 2
    grid = np.arange(int(times[len(changes)] * MOTION_RATE)) / MOTION_RATE
    return Signal(np.interp(grid, middles, changes).astype(np.float32), MOTION_RATE)


def _times(video: VideoReader) -> NDArray[np.float64]:
    """When frames are shown, in seconds from the first on."""
    if video.has_constant_rate and video.frame_rate is not None:
        return np.arange(video.num_frames) / float(video.frame_rate)
    times = video.frame_times()
    if times is None:
        raise DataError(f"{video.path}: does not say when its frames are shown; encode it anew")
    return times


def _changes(video: VideoReader, count: int) -> Iterator[np.float64]:
    """Mean difference of each frame to the one before, of brightness, which is evened out over the picture."""
    frames = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for _, image in video.read(range(count)))
    smooth = (np.asarray(cv2.GaussianBlur(frame, (5, 5), 0), np.float32) for frame in frames)
    for before, after in pairwise(smooth):
        difference = after - before
        yield np.abs(difference - difference.mean()).mean()
