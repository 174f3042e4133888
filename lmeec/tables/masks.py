"""Masks out of a results table's columns."""

from __future__ import annotations

from lmeec.masks import RunLengthMask


def predicted_mask(height: int, width: int, counts: str | None) -> RunLengthMask:
    """The mask of a row; a frame without a prediction has an empty one, as it is scored.

    Args:
        height: column `height`.
        width: column `width`.
        counts: column `mask_rle`.

    Raises:
        DataError: the size of an empty mask is absurd.
    """
    return RunLengthMask.empty(height, width) if counts is None else RunLengthMask(height, width, counts)
