"""What a video looks like, for drafts of manifests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmeec.errors import DataError
from lmeec.video.file import VideoReader

if TYPE_CHECKING:
    from lmeec.files.places import Place


@dataclass(frozen=True, slots=True)
class Looks:
    """A video.

    Attributes:
        words: its size, length and rate, or why it cannot be read.
        frames: how many it has; None if it cannot be read.
        frame_rate: frames a second; None if nobody knows.
    """

    words: str
    frames: int | None = None
    frame_rate: float | None = None


def look_at(video: Place) -> Looks:
    """Open a video, without decoding it."""
    try:
        with VideoReader(video, threads=1, upright=True) as reader:
            rate = None if reader.frame_rate is None else round(float(reader.frame_rate), 5)
            how_fast = "at a rate that it does not tell" if rate is None else f"at {rate:.7g} a second"
            return Looks(
                f"{reader.width}x{reader.height}, {reader.num_frames} frames {how_fast}", reader.num_frames, rate
            )
    except DataError as error:
        return Looks(str(error))
