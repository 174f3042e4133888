"""Frames from the last to the first, of readers that decode forwards.

H.264 can be decoded forwards only, from a key frame on. So frames are decoded in stretches between key frames, the last
stretch first, and each stretch is handed out from its end. While that is done, the stretch before it is decoded, a
frame for each that is handed out, so that the work is spread as evenly as forwards, and two stretches are all that is
held, however long the video is.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from lmeec.video.frames import FrameReader

T = TypeVar("T")

LONGEST_STRETCH = 64
"""Frames of a stretch, of those that are wanted. Where more are between two key frames, what is between the key frame
and a stretch is decoded again for each: two and a half times as much in all where all of 250 are wanted."""


def read_backwards(
    reader: FrameReader, indices: Sequence[int], *, longest: int = LONGEST_STRETCH
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Decode frames in descending order, as the iterator is advanced.

    Args:
        reader: where the frames come from.
        indices: frame numbers, strictly descending.
        longest: at most so many frames are in a stretch, and twice as many are held.

    Yields:
        Frame number and image, as `FrameReader.read` gives them.

    Raises:
        DataError: a frame does not exist or cannot be decoded; the message names file and frame.
        ValueError: the numbers are not descending.
    """
    return backwards(reader, indices, reader.read, longest=longest)


def backwards(
    reader: FrameReader,
    indices: Sequence[int],
    read: Callable[[Iterable[int]], Iterator[tuple[int, T]]],
    *,
    longest: int = LONGEST_STRETCH,
) -> Iterator[tuple[int, T]]:
    """Give what one of a reader's ways to read gives, in descending order; as `read_backwards`.

    Args:
        reader: where the frames come from.
        indices: frame numbers, strictly descending.
        read: gives what is wanted of frames with ascending numbers.
        longest: as of `read_backwards`.
    """
    stretches = _stretches(reader, indices, longest)
    held = list(read(next(stretches, ())))
    while held:
        coming = read(next(stretches, ()))
        decoded: list[tuple[int, T]] = []
        while held:
            yield held.pop()
            decoded += itertools.islice(coming, 1)
        decoded += coming
        held = decoded


def _stretches(reader: FrameReader, indices: Sequence[int], longest: int) -> Iterator[list[int]]:
    """Divide descending numbers into lists of ascending ones that are decoded at once, the last list first.

    A list has all wanted frames between some key frames, or a part of those between two.
    """
    waiting = list(indices)[::-1]
    while waiting:
        stretch = waiting[-longest:]
        if len(stretch) < len(waiting):
            cut = reader.decodes_from(waiting[-longest - 1])
            later = [index for index in stretch if reader.decodes_from(index) != cut]
            stretch = later or stretch
        del waiting[-len(stretch) :]
        yield stretch
