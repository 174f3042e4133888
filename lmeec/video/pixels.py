"""Frames resized as the released code does it, from JPEG files or, without files, from full-size video.

The released scripts reduce every full-size frame by a half (ego) or a quarter (exo) with OpenCV's bilinear filter,
store it as a JPEG file of quality 95 (OpenCV's default, chroma halved both ways), and squash that to the network's
square with Pillow's default filter, the bicubic one.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from lmeec.video.frames import ClosedAfterUse, Detailed, detail_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from lmeec.video.frames import FrameReader

EGO_REDUCTION, EXO_REDUCTION = 2, 4
"""By how much the released scripts reduce the sides of a full-size frame before they store it."""


BICUBIC, BILINEAR = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR
"""Pillow's filters that squash a picture to the network's square: in the released inference, and in its training."""


def resize_picture(
    picture: Image.Image, size: tuple[int, int], resampling: Image.Resampling = BICUBIC
) -> NDArray[np.uint8]:
    """Resize a decoded JPEG file as the released code does.

    Args:
        picture: RGB.
        size: Height and width of the result.
        resampling: `BICUBIC` or `BILINEAR`.

    Returns:
        uint8 RGB [height, width, 3].
    """
    height, width = size
    return np.array(picture.resize((width, height), resampling))


def released_pixels(
    frame: NDArray[np.uint8], reduction: int, size: tuple[int, int], resampling: Image.Resampling = BICUBIC
) -> NDArray[np.uint8]:
    """Take a frame through the released chain.

    Args:
        frame: uint8 RGB [H, W, 3], at the video's full size.
        reduction: `EGO_REDUCTION` or `EXO_REDUCTION`.
        size: Height and width of the result.
        resampling: See `resize_picture`.

    Returns:
        uint8 RGB [height, width, 3].
    """
    height, width = (max(1, side // reduction) for side in frame.shape[:2])
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
    _, file = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    with Image.open(io.BytesIO(file.tobytes()), formats=["JPEG"]) as picture:
        return resize_picture(picture, size, resampling)


def reduced(frame: NDArray[np.uint8], longer_side: int) -> NDArray[np.uint8]:
    """Make a frame smaller by the means of its pixels where it is longer than that; see `detail_size`."""
    height, width = detail_size(frame.shape[0], frame.shape[1], longer_side)
    if frame.shape[:2] == (height, width):
        return frame
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


class ReleasedPixels(ClosedAfterUse):
    """Frames of a full-size video that went through the released chain; a `FrameReader`.

    Args:
        video: The video, which gives frames at its own size; is closed with this.
        reduction: `EGO_REDUCTION` or `EXO_REDUCTION`.
        size: Height and width that frames come at.
        resampling: See `resize_picture`.

    Attributes:
        height: Rows of the video in pixels.
        width: Columns of the video in pixels.
        num_frames: As the video has it.
        notice: As the video has it.
        counts: As the video has them.
    """

    def __init__(
        self, video: FrameReader, reduction: int, size: tuple[int, int], resampling: Image.Resampling = BICUBIC
    ) -> None:
        self._video, self._reduction, self._size, self._resampling = video, reduction, size, resampling
        self.height, self.width, self.num_frames = video.height, video.width, video.num_frames
        self.notice, self.counts = video.notice, video.counts

    def has_frame(self, index: int) -> bool:
        """Say whether a frame can be read."""
        return self._video.has_frame(index)

    def file_frame(self, index: int) -> int:
        """Give the number that a frame has in the video's file."""
        return self._video.file_frame(index)

    def decodes_from(self, index: int) -> int:
        """Give what the video gives."""
        return self._video.decodes_from(index)

    def read(self, indices: Iterable[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Decode frames as the iterator is advanced; see `FrameReader.read`."""
        for index, frame in self._video.read(indices):
            yield index, self._squashed(frame)

    def read_detailed(self, indices: Iterable[int], longer_side: int) -> Iterator[tuple[int, Detailed]]:
        """Decode frames as the iterator is advanced; see `FrameReader.read_detailed`."""
        for index, frame in self._video.read(indices):
            yield index, Detailed(self._squashed(frame), reduced(frame, longer_side))

    def _squashed(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return released_pixels(frame, self._reduction, self._size, self._resampling)

    def close(self) -> None:
        """Close the video."""
        self._video.close()
