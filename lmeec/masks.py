"""Binary masks as COCO run lengths: reading, writing, area, box and nearest-neighbour resizing.

A mask is stored column by column (Fortran order) as the lengths of alternating runs of background and
foreground, the first of background. The compressed string writes each length, from the fourth on as the
difference to the length two before, in groups of five bits, least significant first, in the characters `0`
to `o` (the format of COCO's `maskApi`).

Strings come from files that nobody checked, and readers in C may run past their buffers on a bad one.
Everything here is computed from lengths that were parsed and checked in this module.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from lmeec.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SQUARE_SIZE = (480, 480)
"""Height and width at which the paper's own protocol compares masks, whatever the frame's shape."""

MAX_PIXELS = 64_000_000
"""Largest height * width of a mask; eight times a 4K frame."""

_BITS = 5
_MAX_CHARACTERS = 6  # of one length: 30 bits with the sign, and MAX_PIXELS needs 27
_FIRST_CHARACTER = 48


@dataclass(frozen=True, slots=True)
class RunLengthMask:
    """One binary mask as COCO compressed run lengths.

    Use `encode` or `from_counts`; the constructor itself takes the counts unchecked, and then every reading
    method raises `DataError` where they do not fit the size.

    Attributes:
        height: rows of the mask.
        width: columns of the mask.
        counts: COCO compressed counts (ASCII).

    Example:
        >>> import numpy as np
        >>> mask = np.zeros((4, 6), dtype=bool)
        >>> mask[1:3, 2:5] = True
        >>> encoded = RunLengthMask.encode(mask)
        >>> encoded.counts
        '9220003'
        >>> encoded.area, encoded.bbox
        (6, (2.0, 1.0, 3.0, 2.0))
        >>> bool((encoded.decode() == mask).all())
        True
    """

    height: int
    width: int
    counts: str

    @classmethod
    def encode(cls, mask: NDArray[np.bool_]) -> RunLengthMask:
        """Encode a boolean mask.

        Args:
            mask: bool [height, width]; other types count as true where they are not zero.

        Raises:
            DataError: the array has not two dimensions, or is empty or larger than `MAX_PIXELS`.
        """
        if mask.ndim != 2:
            raise DataError(f"a mask has two dimensions (height, width), this array has shape {mask.shape}")
        height, width = _checked_size(*mask.shape)
        pixels = np.asarray(mask, dtype=bool).ravel(order="F")
        toggles = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
        if pixels[0]:
            toggles = np.concatenate(([0], toggles))
        return cls(height, width, _compress(_lengths_between(toggles, pixels.size)))

    @classmethod
    def from_counts(cls, counts: str, height: int, width: int) -> RunLengthMask:
        """Take COCO compressed counts after checking them against the size.

        Args:
            counts: COCO compressed counts.
            height: rows of the mask.
            width: columns of the mask.

        Raises:
            DataError: the size is not positive or over `MAX_PIXELS`, a character is illegal, a length is
                negative or unfinished, or the lengths do not sum to height * width.
        """
        height, width = _checked_size(height, width)
        mask = cls(height, width, counts)
        mask.run_lengths()
        return mask

    @classmethod
    def from_lengths(cls, lengths: Sequence[int], height: int, width: int) -> RunLengthMask:
        """Take COCO run lengths that are not compressed, after checking them against the size.

        Args:
            lengths: pixels of background, foreground, background, and so on, column by column.
            height: rows of the mask.
            width: columns of the mask.

        Raises:
            DataError: the size is not positive or over `MAX_PIXELS`, a length is negative, or the lengths do not sum to
                height * width.

        Example:
            >>> RunLengthMask.from_lengths([2, 3, 1], 2, 3).area
            3
        """
        height, width = _checked_size(height, width)
        if not lengths or min(lengths) < 0 or sum(lengths) != height * width:
            raise DataError(
                f"{len(lengths)} run lengths do not cover the {height * width} pixels of a mask of {height}x{width} "
                "(height x width)"
            )
        return cls(height, width, _compress(np.array(lengths, dtype=np.int64)))

    @classmethod
    def empty(cls, height: int, width: int) -> RunLengthMask:
        """A mask without foreground.

        Raises:
            DataError: the size is not positive or over `MAX_PIXELS`.

        Example:
            >>> RunLengthMask.empty(270, 480).area
            0
        """
        height, width = _checked_size(height, width)
        return cls(height, width, _compress(np.array([height * width])))

    def run_lengths(self) -> NDArray[np.int64]:
        """Return the lengths of the runs, int64 [runs]: background, foreground, background, and so on.

        Raises:
            DataError: as for `from_counts`.
        """
        height, width = _checked_size(self.height, self.width)
        pixels = height * width
        lengths = _parse(self.counts, pixels)
        if lengths.min() < 0:
            raise DataError(f"mask counts hold a run of negative length ({int(lengths.min())})")
        # A single length over the size is looked for first: the sum cannot overflow then.
        total = int(lengths.max())
        if total <= pixels:
            total = int(lengths.sum())
        if total != pixels:
            raise DataError(
                f"mask counts cover {total} pixels, a mask of {height}x{width} (height x width) has {pixels}"
            )
        return lengths

    def toggles(self) -> NDArray[np.int64]:
        """Return the column-major positions at which the mask changes value, int64, strictly increasing.

        The first one is where foreground starts (0 if the mask starts with it), the second where it stops,
        and so on; a run that reaches the last pixel has no stop. Run lengths may be zero, so a mask can be
        written in several ways; its toggles are always the same.

        Raises:
            DataError: as for `from_counts`.
        """
        return _merge_equal(np.cumsum(self.run_lengths())[:-1], self.height * self.width)

    def decode(self) -> NDArray[np.bool_]:
        """Return the mask as bool [height, width], column-major in memory as the format is.

        Raises:
            DataError: as for `from_counts`.
        """
        lengths = self.run_lengths()
        values = np.zeros(lengths.size, dtype=bool)
        values[1::2] = True
        return np.repeat(values, lengths).reshape(self.width, self.height).T

    @property
    def area(self) -> int:
        """Foreground pixels."""
        return int(self.run_lengths()[1::2].sum())

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """Bounding box (x, y, width, height) in pixels, as COCO has it; all zeros for an empty mask."""
        box = bounding_box(self.toggles(), self.height, self.width)
        if box is None:
            return (0.0, 0.0, 0.0, 0.0)
        left, top, right, bottom = box
        return (float(left), float(top), float(right - left + 1), float(bottom - top + 1))


def bounding_box(toggles: NDArray[np.int64], height: int, width: int) -> tuple[int, int, int, int] | None:
    """Return (left, top, right, bottom), all inclusive, of a mask given by its toggles; None when empty.

    Args:
        toggles: int64, as `RunLengthMask.toggles` returns them.
        height: rows of the mask.
        width: columns of the mask.
    """
    if toggles.size == 0:
        return None
    starts = toggles[0::2]
    last = toggles[1::2] - 1
    if last.size < starts.size:
        last = np.append(last, height * width - 1)
    first_columns, last_columns = starts // height, last // height
    left, right = int(first_columns[0]), int(last_columns[-1])
    if (first_columns != last_columns).any():  # a run that goes on in the next column touches both borders
        return left, 0, right, height - 1
    return left, int((starts % height).min()), right, int((last % height).max())


def evaluation_size(height: int, width: int, longer_side: int = 480) -> tuple[int, int]:
    """Return (height, width) of the size at which masks are compared: the longer side fixed, the aspect kept.

    The shorter side is cut to whole pixels, as the benchmark does.

    Args:
        height: rows of the frame or mask.
        width: columns of the frame or mask.
        longer_side: pixels of the longer side of the result.

    Raises:
        DataError: a side is not positive.

    Example:
        >>> evaluation_size(2160, 3840), evaluation_size(1408, 1408)
        ((270, 480), (480, 480))
    """
    if height < 1 or width < 1 or longer_side < 1:
        raise DataError(f"sizes are at least 1 pixel a side, not {height}x{width} to {longer_side}")
    longer = max(height, width)
    return max(1, height * longer_side // longer), max(1, width * longer_side // longer)


@overload
def resize_nearest(mask: RunLengthMask, size: tuple[int, int]) -> RunLengthMask: ...
@overload
def resize_nearest(mask: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]: ...
def resize_nearest(mask: RunLengthMask | NDArray[Any], size: tuple[int, int]) -> RunLengthMask | NDArray[Any]:
    """Resize a mask with nearest neighbour, exactly as OpenCV's INTER_NEAREST does.

    Run lengths are resized as run lengths: the time depends on the number of runs, not of pixels.

    Args:
        mask: a `RunLengthMask` or an array [height, width].
        size: (height, width) of the result.

    Returns:
        The same kind of mask as was given.

    Raises:
        DataError: a size is not positive or over `MAX_PIXELS`, or the run lengths are bad.

    Example:
        >>> import numpy as np
        >>> resize_nearest(np.arange(6).reshape(1, 6), (1, 3))
        array([[0, 2, 4]])
    """
    height, width = _checked_size(*size)
    if isinstance(mask, RunLengthMask):
        return _resize_runs(mask, height, width)
    rows = _sampled(mask.shape[0], height)
    columns = _sampled(mask.shape[1], width)
    return mask[rows[:, None], columns]


def _resize_runs(mask: RunLengthMask, height: int, width: int) -> RunLengthMask:
    if (height, width) == (mask.height, mask.width):
        return mask
    if width > mask.width:  # columns repeat, so that samples are no longer in the order of the source's pixels
        return RunLengthMask.encode(resize_nearest(mask.decode(), (height, width)))
    rows = _sampled(mask.height, height)
    columns = _sampled(mask.width, width)
    # A toggle moves to the number of sampled pixels before it.
    column, row = np.divmod(mask.toggles(), mask.height)
    columns_before = np.searchsorted(columns, column)
    in_sampled_column = columns[columns_before % width] == column
    before = columns_before * height + in_sampled_column * np.searchsorted(rows, row)
    toggles = _merge_equal(before, height * width)
    return RunLengthMask(height, width, _compress(_lengths_between(toggles, height * width)))


def _sampled(source: int, target: int) -> NDArray[np.int64]:
    """Indices of the `source` rows or columns that make up the `target` ones."""
    # OpenCV inverts the scale twice; source / target rounds differently for some sizes (1408 to 480 is one).
    scale = 1.0 / (target / source)
    indices: NDArray[np.int64] = np.minimum(np.floor(np.arange(target) * scale).astype(np.int64), source - 1)
    return indices


def _checked_size(height: int, width: int) -> tuple[int, int]:
    try:
        height, width = operator.index(height), operator.index(width)
    except TypeError:
        raise DataError(f"a mask's height and width are whole numbers, not {height!r} and {width!r}") from None
    size = f"{_in_short(height)}x{_in_short(width)} (height x width)"
    if height < 1 or width < 1:
        raise DataError(f"a mask is at least one pixel high and wide, not {size}")
    if height * width > MAX_PIXELS:
        raise DataError(f"a mask of {size} is over the limit of {MAX_PIXELS} pixels")
    return height, width


def _in_short(number: int) -> str:
    """A number of a file, which may have thousands of digits; Python writes none of over 4,300."""
    return str(number) if abs(number) < 10**12 else f"10^{int(abs(number).bit_length() * 0.30103)}"


def _merge_equal(positions: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    """Drop pairs of toggles at the same position (they enclose nothing) and those at the end."""
    positions = positions[: np.searchsorted(positions, end)]
    if positions.size == 0 or (positions[1:] != positions[:-1]).all():
        return positions
    first = np.flatnonzero(np.concatenate(([True], positions[1:] != positions[:-1])))
    times = np.diff(np.append(first, positions.size))
    kept: NDArray[np.int64] = positions[first[times % 2 == 1]]
    return kept


def _lengths_between(toggles: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    lengths: NDArray[np.int64] = np.diff(toggles, prepend=0, append=end)
    return lengths


def _parse(counts: str, pixels: int) -> NDArray[np.int64]:
    """Read compressed counts to lengths; nothing is known of the lengths but that each fits 30 bits."""
    if not isinstance(counts, str):
        raise DataError(f"mask counts are text (COCO compressed run lengths), not {type(counts).__name__}")
    if not counts:
        raise DataError("mask counts are empty")
    if len(counts) > _MAX_CHARACTERS * (pixels + 2):
        raise DataError(f"mask counts of {len(counts)} characters are too long for {pixels} pixels")
    try:
        codes = np.frombuffer(counts.encode("ascii"), dtype=np.uint8) - np.uint8(_FIRST_CHARACTER)
    except UnicodeEncodeError:
        raise DataError("mask counts hold characters that are not ASCII") from None
    if codes.max() > 63:
        at = int(np.argmax(codes > 63))
        raise DataError(f"mask counts hold an illegal character {counts[at]!r} at position {at}")
    if codes[-1] & 32:
        raise DataError("mask counts end in the middle of a run length")
    last = np.flatnonzero(codes < 32)
    first = np.concatenate(([0], last[:-1] + 1))
    characters = last - first + 1
    if characters.max() > _MAX_CHARACTERS:
        raise DataError(f"mask counts hold a run length of more than {_MAX_CHARACTERS} characters")
    values = (codes[first] & 31).astype(np.int64)
    for place in range(1, int(characters.max())):
        longer = np.flatnonzero(characters > place)
        values[longer] |= (codes[first[longer] + place] & 31).astype(np.int64) << (_BITS * place)
    negative = np.flatnonzero(codes[last] & 16)
    values[negative] -= np.int64(1) << (_BITS * characters[negative])
    # The first two of each kind are given as they are, then differences to the one before of the same kind.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _compress(lengths: NDArray[np.int64]) -> str:
    values = lengths.astype(np.int64, copy=True)
    values[3:] -= lengths[1:-2]
    codes = np.zeros((values.size, _MAX_CHARACTERS), dtype=np.uint8)
    used = np.zeros((values.size, _MAX_CHARACTERS), dtype=bool)
    unfinished = np.ones(values.size, dtype=bool)
    for place in range(_MAX_CHARACTERS):
        used[:, place] = unfinished
        digit = values & 31
        values >>= _BITS
        # Finished when the remaining bits are all equal to this group's highest, which the reader extends.
        unfinished &= values != -(digit >> (_BITS - 1))
        codes[:, place] = digit + 32 * unfinished + _FIRST_CHARACTER
        if not unfinished.any():
            break
    return codes[used].tobytes().decode("ascii")
