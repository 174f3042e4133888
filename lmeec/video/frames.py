"""What every source of camera frames offers: a video file or a folder of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from lmeec.errors import DataError
from lmeec.masks import MAX_PIXELS, evaluation_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray


@dataclass
class ReadingCounts:
    """What reading frames has taken so far.

    Attributes:
        frames_decoded: Frames that the decoder gave, those on the way to the wanted ones too.
        bytes_read: Bytes of compressed frames.
    """

    frames_decoded: int = 0
    bytes_read: int = 0


class Detailed(NamedTuple):
    """A frame at two sizes, of one decoding.

    Attributes:
        image: uint8 RGB [height, width, 3], at the size that the reader was opened with.
        detail: uint8 RGB [H, W, 3], in the source's own shape (see `detail_size`).
    """

    image: NDArray[np.uint8]
    detail: NDArray[np.uint8]


class FrameReader(Protocol):
    """Frames of one camera by number; a context manager.

    Attributes:
        height: Rows of the source in pixels.
        width: Columns of the source in pixels.
        num_frames: One past the highest frame number that can be decoded. For a video, frame `i` is the i-th
            frame that decoding it from front to back gives, or the one nearest in time where the take counts frames
            of another rate (`lmeec.video.instants`); a truncated video counts what is there.
        notice: What the user should know of how frames are read, in words; None if nothing.
        counts: What reading has taken so far.
    """

    height: int
    width: int
    num_frames: int
    notice: str | None
    counts: ReadingCounts

    def has_frame(self, index: int) -> bool:
        """Say whether a frame can be read."""
        ...

    def file_frame(self, index: int) -> int:
        """Give the number that a frame has in its file or folder."""
        ...

    def decodes_from(self, index: int) -> int:
        """Tell frames apart that are not decoded at once: a number that is the same between two key frames."""
        ...

    def read(self, indices: Iterable[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Decode frames as the iterator is advanced.

        Args:
            indices: Frame numbers, strictly ascending.

        Yields:
            Frame number and image, uint8 RGB [height, width, 3], at the size that the reader was opened with.

        Raises:
            DataError: A frame does not exist or cannot be decoded; the message names file and frame.
            ValueError: The numbers are not ascending.
        """
        ...

    def read_detailed(self, indices: Iterable[int], longer_side: int) -> Iterator[tuple[int, Detailed]]:
        """Decode frames as `read` does, and give each in its own shape too.

        Args:
            indices: As of `read`.
            longer_side: See `detail_size`.

        Yields:
            Frame number, and the frame at both sizes.

        Raises:
            DataError: As `read`.
            ValueError: As `read`.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ClosedAfterUse:
    """What makes a reader a context manager: it is closed when the block ends."""

    def close(self) -> None:
        """Let go of the file."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def detail_size(height: int, width: int, longer_side: int) -> tuple[int, int]:
    """Give the height and width of a frame in its own shape that is at most `longer_side` pixels long.

    Example:
        >>> detail_size(2160, 3840, 960), detail_size(448, 796, 960)
        ((540, 960), (448, 796))
    """
    return (height, width) if max(height, width) <= longer_side else evaluation_size(height, width, longer_side)


def check_frame_size(source: object, height: int, width: int) -> None:
    """Refuse frames without pixels, or with so many that decoding them would exhaust memory.

    Raises:
        DataError: The size is absurd; the message names `source`.
    """
    if height <= 0 or width <= 0:
        raise DataError(f"{source}: declares frames of {height}x{width} pixels (height x width)")
    if height * width > MAX_PIXELS:
        raise DataError(
            f"{source}: frames of {height}x{width} pixels (height x width) are larger than the "
            f"{MAX_PIXELS:,} pixels that are accepted"
        )
