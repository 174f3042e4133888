"""Frames of a clip by number, out of a video or a folder of pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lmeec.errors import DataError
from lmeec.files.reading import reading, understanding
from lmeec.mllm.pixels import frame_indices
from lmeec.video.file import VideoReader
from lmeec.video.frames import check_frame_size
from lmeec.video.instants import open_video

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from numpy.typing import NDArray

PICTURES = (".jpg", ".jpeg", ".png")
"""What the frames of a folder may be."""

LONGEST_SIDE = 1024
"""Of a clip's pictures, in pixels: three times what the largest encoder looks at; larger ones are reduced."""

_ROUNDING = 1e-6
_SHORTEST = 2


def clip_frames(start: float | None, end: float | None, rate: float, frames: int) -> tuple[int, int]:
    """First frame of a clip and one past its last: those shown from its start to before its end, two at least.

    None, as two equal numbers, where the clip begins after the video's end.

    Args:
        start: Seconds; None for the video's beginning.
        end: Seconds; None for the video's end.
        rate: Frames a second.
        frames: Of the video.

    Example:
        >>> clip_frames(1.0, 2.0, 30, 300), clip_frames(1.01, 1.02, 30, 300), clip_frames(9.99, None, 30, 300)
        ((30, 60), (30, 32), (298, 300))
    """
    first = 0 if start is None else math.ceil(start * rate - _ROUNDING)
    past = frames if end is None else min(math.ceil(end * rate - _ROUNDING), frames)
    if past - first < _SHORTEST and start is not None:
        first = math.floor(start * rate + _ROUNDING)
        if first >= frames:
            return first, first
        past = max(past, first + _SHORTEST)
    past = min(past, frames)
    return max(0, min(first, past - _SHORTEST)), past


def read_clip(
    video: Path,
    wanted: int,
    *,
    start: float | None = None,
    end: float | None = None,
    frames: tuple[int, int] | None = None,
    rate: Fraction | None = None,
) -> NDArray[np.uint8]:
    """Read the frames of a clip that are looked at.

    Args:
        video: A video file, or a folder whose pictures, sorted by name, are the frames.
        wanted: How many frames.
        start: Seconds; None for the video's beginning.
        end: Seconds; None for the video's end.
        frames: First frame and one past the last, in place of seconds.
        rate: Frames a second that `frames` counts; None for the video's own.

    Returns:
        RGB, uint8 [wanted, H, W, 3]; the longer side at most `LONGEST_SIDE`.

    Raises:
        DataError: The video is missing, cannot be read, or has no frames within the clip.
    """
    if video.is_dir():
        return _read_folder(video, wanted, start, end, frames)
    if not video.exists():
        raise DataError(f"{video}: does not exist; name the folder that the videos are in, or download it again")
    # One thread decodes: clips are short, and several are read at once.
    with VideoReader(video, threads=1) if rate is None else open_video(video, rate, threads=1) as reader:
        if frames is None:
            if reader.frame_rate is None:
                raise DataError(f"{video}: its frame rate is not known, so that seconds have no frames; encode it anew")
            frames = clip_frames(start, end, float(reader.frame_rate), reader.num_frames)
        first, past = frames[0], min(frames[1], reader.num_frames)
        _check(video, first, past, reader.num_frames)
        places = first + np.array(frame_indices(past - first, wanted))
        unique, inverse = np.unique(places, return_inverse=True)
        pictures = [_reduced(image) for _, image in reader.read(unique.tolist())]
    return np.stack(pictures)[inverse]


def _read_folder(
    folder: Path, wanted: int, start: float | None, end: float | None, frames: tuple[int, int] | None
) -> NDArray[np.uint8]:
    with understanding(folder, DataError, "a folder of pictures", "extract them again"):
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if frames is None and (start is not None or end is not None):
        raise DataError(f"{folder}: is a folder of pictures, whose rate is not known: give frames in place of seconds")
    first, past = frames or (0, len(files))
    past = min(past, len(files))
    _check(folder, first, past, len(files))
    places = first + np.array(frame_indices(past - first, wanted))
    unique, inverse = np.unique(places, return_inverse=True)
    pictures = [_picture(files[place]) for place in unique.tolist()]
    if len({picture.shape for picture in pictures}) > 1:
        raise DataError(f"{folder}: its pictures are of several sizes; extract them anew")
    return np.stack(pictures)[inverse]


def _picture(path: Path) -> NDArray[np.uint8]:
    with reading(path, DataError, "a picture", "extract it again"):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise DataError(f"{path}: is not a picture that can be read; extract it again")
    check_frame_size(path, *picture.shape[:2])
    return _reduced(np.asarray(picture[..., ::-1], np.uint8))


def _reduced(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture, made smaller if it is very large: a clip of 4K frames would take hundreds of megabytes."""
    height, width = picture.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _check(video: Path, first: int, past: int, frames: int) -> None:
    if past <= first:
        raise DataError(
            f"{video}: no frame of the clip is there (frames {first} to {past - 1}): it has {frames} frames; if it was "
            "cut short, download it again, else mend the clip's bounds"
        )
