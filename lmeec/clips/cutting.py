"""Cutting many clips out of one video while it is decoded once."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import av

from lmeec.errors import DataError
from lmeec.video.encoding import video_writer
from lmeec.video.instants import open_video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from fractions import Fraction
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from lmeec.files.places import Place


@dataclass(frozen=True, slots=True)
class Cut:
    """One clip of a video.

    Attributes:
        start: The first frame.
        end: One past the last frame.
        path: The file to write.
    """

    start: int
    end: int
    path: Path


def count_frames(cuts: Sequence[Cut]) -> int:
    """Frames to read of a video.

    Example:
        >>> count_frames([Cut(10, 20, Path("a.mp4")), Cut(15, 25, Path("b.mp4"))])
        15
    """
    return sum(1 for _ in _frames(cuts))


def cut_video(
    video: Place,
    cuts: Sequence[Cut],
    short_side: int,
    rate: Fraction,
    *,
    threads: int = 0,
    on_frame: Callable[[], None] = lambda: None,
) -> None:
    """Write clips of one video as H.264 in MP4, each with just its frames.

    The video is decoded from front to back, past gaps between clips by the nearest key frame; clips that overlap are
    encoded side by side. Each file appears when it is whole. Where the video is damaged, the clips that are left are
    cut one by one, so that only those are missing that the damage is in.

    Args:
        video: The video.
        cuts: The clips, in any order.
        short_side: Pixels of the shorter side of the clips; smaller videos keep their size.
        rate: Frames a second that the cuts count, and of the clips; a video of another rate is read at the frames
            nearest in time.
        threads: Threads that decode; 0 takes one a core.
        on_frame: Called for each frame that was read.

    Raises:
        DataError: The video cannot be read, or lacks a frame of a clip; the other clips are there.
        OutputError: A clip cannot be written.
    """
    with open_video(video, rate, threads=1) as reader:
        size = clip_size(reader.height, reader.width, short_side)
    try:
        _cut_in_one_pass(video, cuts, size, rate, threads, on_frame)
    except (DataError, av.FFmpegError):
        for cut in cuts:
            if not cut.path.exists():
                with contextlib.suppress(DataError, av.FFmpegError):
                    _cut_in_one_pass(video, [cut], size, rate, threads, lambda: None)
        raise


def clip_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Height and width of a video's clips: even, in the video's shape, not larger than it.

    Example:
        >>> clip_size(2160, 3840, 256), clip_size(1408, 1408, 256), clip_size(101, 64, 256)
        ((256, 456), (256, 256), (100, 64))
    """
    scale = min(1.0, short_side / min(height, width))
    return max(2, 2 * int(height * scale / 2 + 0.5 - 1e-9)), max(2, 2 * int(width * scale / 2 + 0.5 - 1e-9))


def _cut_in_one_pass(
    video: Place,
    cuts: Sequence[Cut],
    size: tuple[int, int],
    rate: Fraction,
    threads: int,
    on_frame: Callable[[], None],
) -> None:
    with open_video(video, rate, size, threads) as reader, _OpenClips(cuts, size, rate) as clips:
        for number, image in reader.read(_frames(cuts)):
            clips.add(number, image)
            on_frame()


def _frames(cuts: Sequence[Cut]) -> Iterator[int]:
    """Yield the frames of all clips, ascending, each once."""
    past = 0
    for cut in sorted(cuts, key=lambda cut: cut.start):
        yield from range(max(cut.start, past), cut.end)
        past = max(past, cut.end)


class _OpenClips:
    """The clips that a frame is in; owns their files until they are whole."""

    def __init__(self, cuts: Sequence[Cut], size: tuple[int, int], rate: Fraction) -> None:
        self._size, self._rate = size, rate
        self._beginning: dict[int, list[Cut]] = defaultdict(list)
        for cut in cuts:
            self._beginning[cut.start].append(cut)
        self._open: list[tuple[Cut, contextlib.ExitStack, Callable[[NDArray[np.uint8]], None]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what there is of clips that are not whole."""
        for _, stack, _ in self._open:
            with contextlib.suppress(Exception):
                stack.__exit__(kind, error, trace)

    def add(self, number: int, image: NDArray[np.uint8]) -> None:
        """Add a frame to the clips that it is in."""
        for cut in self._beginning.pop(number, ()):
            stack = contextlib.ExitStack()
            add = stack.enter_context(video_writer(cut.path, self._size, self._rate, reproducible=True))
            self._open.append((cut, stack, add))
        for _, _, add in self._open:
            add(image)
        whole = [stack for cut, stack, _ in self._open if cut.end == number + 1]
        self._open = [one for one in self._open if one[0].end != number + 1]
        for stack in whole:
            stack.close()
