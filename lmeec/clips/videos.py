"""How long videos are, found out for many at once."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from lmeec.errors import DataError
from lmeec.files.reading import check_regular
from lmeec.video.boxes import check_samples
from lmeec.video.instants import open_video, same_rate
from lmeec.video.packets import can_decode
from lmeec.video.source import VideoSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lmeec.files.places import Place

_READERS = 8
"""Files that are opened at once, for storage that takes its time to answer."""


@dataclass(frozen=True, slots=True)
class VideoLength:
    """How long one video is.

    Attributes:
        frames: Frames that can be read, as the take counts them; 0 if the video cannot be read.
        rate: Frames a second of these: the video's own, unless it is read at the take's.
        problem: Why the video cannot be read, in words that name the file; None if it can.
        notice: That it is read at another rate than its own, in words that name the file.
    """

    frames: int
    rate: Fraction
    problem: str | None = None
    notice: str | None = None

    @property
    def seconds(self) -> float:
        """Its length."""
        return float(self.frames / self.rate)


def video_lengths(
    videos: Mapping[Place, Fraction], on_progress: Callable[[int, int], None] | None = None
) -> dict[Place, VideoLength]:
    """Open videos and count their frames, without decoding them.

    Args:
        videos: Video file to the frames a second that its take counts.
        on_progress: Called with how many are done, and how many there are.
    """
    found: dict[Place, VideoLength] = {}
    with ThreadPoolExecutor(_READERS) as pool:
        for path, length in zip(videos, pool.map(_length, videos, videos.values()), strict=True):
            found[path] = length
            if on_progress is not None:
                on_progress(len(found), len(videos))
    return found


def _length(path: Place, rate: Fraction) -> VideoLength:
    try:
        check_regular(path, DataError)
        known = _from_header(path)
        if known is not None and same_rate(known.rate, rate):
            return known
        with open_video(path, rate, threads=1) as video:
            return VideoLength(video.num_frames, video.frame_rate or rate, notice=video.notice)
    except DataError as error:
        return VideoLength(0, rate, str(error))


def _from_header(path: Place) -> VideoLength | None:
    """The length as an MP4 file's header has it; None unless all of its frames are there and shown.

    That is so of nearly all files, and takes a fifth of the time of looking at each of their frames.
    """
    try:
        with contextlib.closing(VideoSource(path)) as source:
            check_samples(source)
            return _length_in_header(source)
    except Exception:  # whatever FFmpeg makes of a broken header
        return None  # the reader says what is wrong


def _length_in_header(source: VideoSource) -> VideoLength | None:
    with source.open() as container:
        stream = container.streams.video[0]
        if not can_decode(stream):
            return None
        frames, rate, index = stream.frames, stream.average_rate, stream.index_entries
        if "mp4" not in container.format.name or not rate or not 0 < frames == len(index):
            return None
        first, last = index[0], index[frames - 1]
        whole = first.is_keyframe and last.pos + last.size <= source.size
        return VideoLength(frames, rate) if whole and not (first.is_discard or last.is_discard) else None
