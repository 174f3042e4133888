"""Numbers of frames in files of masks, as frames of the take."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.video.instants import nearest_frame

_LAST_DIGITS = re.compile(r"([0-9]{1,9})[^0-9]*$")


@dataclass(frozen=True, slots=True)
class Numbering:
    """How a file numbers the frames of a camera.

    Attributes:
        first: the number of the video's first frame.
        start: frames of the take, not always whole ones, before the video's first.
        step: frames of the video from one of the take to the next.
        every: only frames of the take that are multiples of it are asked for.

    Example:
        >>> own = Numbering(first=1, start=Fraction(2), step=Fraction(2))
        >>> [own.frame(number) for number in (1, 2, 3, 5)]
        [2, None, 3, 4]
    """

    first: int = 0
    start: Fraction = Fraction(0)
    step: Fraction = Fraction(1)
    every: int = 1

    def frame(self, number: int) -> int | None:
        """The take's frame at which a frame is read; None where no frame of the take reads it.

        Raises:
            DataError: the number is before the first.
        """
        own = number - self.first
        if own < 0:
            raise DataError(f"frame {number} is before the first, which `first_frame` says is {self.first}")
        frame = max(0, math.ceil(self.start + own / self.step - Fraction(1, 2)))
        return frame if nearest_frame(frame, self.start, self.step) == own else None

    def is_asked_for(self, frame: int) -> bool:
        """Whether a frame of the take is one of those that are asked for."""
        return frame % self.every == 0


def number_in(name: str, source: object) -> int:
    """The number at the end of a file's name.

    Raises:
        DataError: there is none; names `source`.

    Example:
        >>> number_in("head/frame_00012.png", "masks")
        12
    """
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0] if "." in name else name.rsplit("/", 1)[-1]
    found = _LAST_DIGITS.search(stem)
    if found is None:
        raise DataError(f"{source}: {show(name)} has no frame number at the end of its name, as frame_00012.png has")
    return int(found[1])
