"""Areas of a whole column of masks at once, read from their run lengths without decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmeec.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_FIRST_CHARACTER = 48
_BITS = 5
_MASKS_AT_ONCE = 8_192


def mask_areas(counts: pa.StringArray) -> NDArray[np.int64]:
    """Count the foreground pixels of masks in COCO compressed run lengths.

    From its fourth length on, a mask stores differences to the length two before. The foreground's lengths are
    every second one, so its area is the sum of what is stored for them, each as often as lengths follow of it.

    Args:
        counts: masks, none of them null.

    Returns:
        int64 [masks].

    Raises:
        DataError: a mask has no counts, or they are cut off or give a negative area.

    Example:
        >>> import pyarrow as pa
        >>> mask_areas(pa.array(["9220003"])).tolist()
        [6]
    """
    pieces = [
        _areas(counts.slice(start, _MASKS_AT_ONCE).to_pylist()) for start in range(0, len(counts), _MASKS_AT_ONCE)
    ]
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)


def _areas(counts: list[str]) -> NDArray[np.int64]:
    lengths = np.array([len(text) for text in counts], dtype=np.int64)
    codes = np.frombuffer("".join(counts).encode("ascii", "replace"), dtype=np.uint8) - np.uint8(_FIRST_CHARACTER)
    ends = np.cumsum(lengths)
    last_of_run = codes < 32
    if not lengths.all() or not last_of_run[ends - 1].all():
        raise DataError("a ground truth mask of the table has damaged counts: predict again")
    values = _values(codes, np.flatnonzero(last_of_run))
    runs_before = np.concatenate(([0], np.cumsum(last_of_run)))
    first, runs = runs_before[ends - lengths], runs_before[ends] - runs_before[ends - lengths]
    place = np.arange(values.size) - np.repeat(first, runs)
    follow = (np.repeat(runs, runs) - place + 1) // 2  # lengths of its kind from this one on
    areas = np.add.reduceat(np.where(place % 2 == 1, values * follow, 0), first)
    if areas.min() < 0:
        raise DataError("a ground truth mask of the table has damaged counts: predict again")
    return areas


def _values(codes: NDArray[np.uint8], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers of five bits a character, least significant first, with the sign in the last one's fifth bit."""
    first = np.concatenate(([0], last[:-1] + 1))
    characters = last - first + 1
    values = (codes[first] & 31).astype(np.int64)
    for place in range(1, int(characters.max())):
        longer = np.flatnonzero(characters > place)
        values[longer] |= (codes[first[longer] + place] & 31).astype(np.int64) << (_BITS * place)
    negative = np.flatnonzero(codes[last] & 16)
    values[negative] -= np.int64(1) << (_BITS * characters[negative])
    return values
