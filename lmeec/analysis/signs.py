"""Signs of how good a mask is, without ground truth: what a fitted rule weighs.

A row has signs of its own (what the model says of its mask, and the round trip), of its neighbours in time, of other
query views of the same object in the same target view, and of other runs' masks of the same frame. Two masks agree by
their IoU, two empty ones not at all: emptiness tells nothing of where an object is.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lmeec.masks import RunLengthMask
from lmeec.metrics import iou

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

OWN = ("predicted_iou", "object_score", "cycle_iou", "cycle_score", "log_area_share")
"""IoU as the model estimates it; logit of the object's presence; IoU and presence of the round trip; log10 of the share
of the frame that the mask covers."""

IN_TIME = (*(f"{name}_near" for name in OWN), "overlap_near")
"""Mean of each sign over the track's rows up to `REACH` steps before and after, the row among them; mean IoU with the
masks of the row before and the one after."""

SHAPE = ("largest_piece",)
"""Share of the mask's pixels in its largest connected piece: masks in pieces are spread over things that look alike."""

VIEWS = ("views_mean", "views_most")
"""Mean and largest IoU with the masks of the same object in the same target view from other query views."""

RUNS = ("runs_mean", "runs_most", "runs_least")
"""Mean, largest and least IoU with other runs' masks of the same frame of the same track."""

SIGNS = (*OWN, *IN_TIME, *SHAPE, *VIEWS, *RUNS)

SIGN_COLUMNS = (
    "take_uid",
    "direction",
    "object",
    "query_cam",
    "target_cam",
    "frame",
    "missing",
    "height",
    "width",
    "mask_rle",
    "area",
    "object_score",
    "predicted_iou",
    "cycle_iou",
    "cycle_score",
)
"""Columns of a results table that signs are read from."""

REACH = 3
"""Steps of a track that count as near."""

LARGEST_SCORE = 30.0  # sigmoid is 0 or 1 to 13 digits there
SMALLEST_SHARE = 1e-6  # under one pixel of 480x480: stands for an empty mask

Signs = dict[str, NDArray[np.float64]]
"""Values by the names in `SIGNS`, float64 [rows]; NaN where there is no prediction, or nothing to tell."""

_TRACK = ("object", "query_cam", "target_cam")


def signs_of(rows: pa.Table, others: Sequence[pa.Table] = ()) -> Signs:
    """Compute the signs of the rows of one take in one direction.

    Args:
        rows: with `SIGN_COLUMNS`, all of the take and direction, in any order.
        others: rows of other runs of the same take and direction, likewise; those without a partner tell nothing.

    Raises:
        DataError: the counts of a mask are bad.

    Example:
        >>> from lmeec.masks import RunLengthMask
        >>> whole = RunLengthMask.encode(np.ones((4, 6), bool)).counts
        >>> names = {"take_uid": "t", "direction": "ego2exo", "object": "cup", "query_cam": "a", "target_cam": "b"}
        >>> one = names | {"frame": 0, "missing": None, "height": 4, "width": 6, "mask_rle": whole, "area": 24}
        >>> one |= dict.fromkeys(("object_score", "predicted_iou", "cycle_iou", "cycle_score"), 0.5)
        >>> signs = signs_of(pa.Table.from_pylist([one, one | {"frame": 1}]))
        >>> round(float(signs["overlap_near"][0]), 6), float(signs["log_area_share"][0]), float(signs["runs_mean"][0])
        (1.0, 0.0, nan)
    """
    masks = masks_of(rows)
    tracks, frames = _codes(rows, _TRACK), np.asarray(rows["frame"])
    signs = own_signs(rows)
    there = np.array([mask is not None for mask in masks], dtype=bool)
    walks = _walks(tracks, frames, there)
    for name in OWN:
        signs[f"{name}_near"] = _per_walk(walks, signs[name], _windowed)
    signs["overlap_near"] = _overlap_near(walks, masks)
    signs["largest_piece"] = np.array([np.nan if mask is None else largest_piece(mask) for mask in masks], np.float64)
    views = _among(masks, _others_by_key(_codes(rows, ("object", "target_cam")), frames, tracks, masks))
    signs |= {"views_mean": views[0], "views_most": views[1]}
    partners = _partners(rows, others)
    runs = _among(masks, partners)
    return signs | {"runs_mean": runs[0], "runs_most": runs[1], "runs_least": runs[2]}


def own_signs(rows: pa.Table | pa.RecordBatch) -> Signs:
    """The signs in `OWN`, which need no other rows than their own."""
    there = np.asarray(pc.is_null(rows["missing"]))
    signs = {name: np.where(there, _numbers(rows, name), np.nan) for name in OWN if name != "log_area_share"}
    pixels = np.asarray(rows["height"]).astype(np.float64) * np.asarray(rows["width"])
    share = np.maximum(_numbers(rows, "area") / np.maximum(pixels, 1), SMALLEST_SHARE)
    for name in ("object_score", "cycle_score"):
        signs[name] = np.clip(signs[name], -LARGEST_SCORE, LARGEST_SCORE)
    return signs | {"log_area_share": np.where(there, np.log10(share), np.nan)}


def masks_of(rows: pa.Table) -> list[RunLengthMask | None]:
    """The predicted masks of rows; None without a prediction."""
    columns = (rows[name].to_pylist() for name in ("height", "width", "mask_rle"))
    return [None if counts is None else RunLengthMask(h, w, counts) for h, w, counts in zip(*columns, strict=True)]


def agreement(first: RunLengthMask, second: RunLengthMask) -> float:
    """IoU of two masks, 0 of two empty ones.

    Raises:
        DataError: the counts of a mask are bad, or the masks are of different sizes.
    """
    return 0.0 if first.area == 0 and second.area == 0 else iou(first, second)


def largest_piece(mask: RunLengthMask) -> float:
    """Share of a mask's pixels in its largest piece, 0 to 1; NaN of an empty mask.

    Pixels of a piece touch each other at a side or a corner.

    Raises:
        DataError: the counts of the mask are bad.

    Example:
        >>> pieces = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 1, 0, 0]], bool)
        >>> largest_piece(RunLengthMask.encode(pieces))
        0.75
    """
    if not mask.area:
        return float("nan")
    _, _, pieces, _ = cv2.connectedComponentsWithStats(mask.decode().view(np.uint8), connectivity=8)
    areas = pieces[1:, cv2.CC_STAT_AREA]
    return float(areas.max() / areas.sum())


def _numbers(rows: pa.Table | pa.RecordBatch, name: str) -> NDArray[np.float64]:
    return np.asarray(pc.fill_null(rows[name].cast(pa.float64()), np.nan))


def _codes(rows: pa.Table, names: Sequence[str]) -> NDArray[np.int64]:
    """A number for each combination of values."""
    known: dict[Hashable, int] = {}
    values = zip(*(rows[name].to_pylist() for name in names), strict=True)
    return np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)


def _walks(tracks: NDArray[np.int64], frames: NDArray[np.int32], there: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Rows with a prediction of each track, in the order of time."""
    order = np.lexsort((frames, tracks))
    order = order[there[order]]
    if not order.size:
        return []
    return np.split(order, np.flatnonzero(np.diff(tracks[order])) + 1)


def _per_walk(
    walks: Sequence[NDArray[np.int64]],
    values: NDArray[np.float64],
    compute: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    result = np.full(values.size, np.nan)
    for walk in walks:
        result[walk] = compute(values[walk])
    return result


def _windowed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over `REACH` values to both sides; NaN where all are."""
    known = ~np.isnan(values)
    sums, counts = (np.concatenate(([0.0], np.cumsum(some))) for some in (np.nan_to_num(values), known))
    places = np.arange(values.size)
    low, high = np.maximum(places - REACH, 0), np.minimum(places + REACH + 1, values.size)
    count = counts[high] - counts[low]
    mean: NDArray[np.float64] = np.divide(sums[high] - sums[low], count, np.full(values.size, np.nan), where=count > 0)
    return mean


def _overlap_near(walks: Sequence[NDArray[np.int64]], masks: Sequence[RunLengthMask | None]) -> NDArray[np.float64]:
    result = np.full(len(masks), np.nan)
    for walk in walks:
        steps = np.array([_agreement_at(masks, *pair) for pair in itertools.pairwise(walk)])
        if steps.size:
            sides = np.stack([np.append(np.nan, steps), np.append(steps, np.nan)])
            result[walk] = np.nanmean(sides, axis=0)
    return result


def _agreement_at(masks: Sequence[RunLengthMask | None], first: int, second: int) -> float:
    one, other = masks[first], masks[second]
    return np.nan if one is None or other is None else agreement(one, other)


def _others_by_key(
    keys: NDArray[np.int64],
    frames: NDArray[np.int32],
    tracks: NDArray[np.int64],
    masks: Sequence[RunLengthMask | None],
) -> list[list[RunLengthMask]]:
    """Masks of other tracks with the same key at the same frame."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, group in enumerate(zip(keys.tolist(), frames.tolist(), strict=True)):
        groups[group].append(row)
    found: list[list[RunLengthMask]] = [[] for _ in masks]
    for rows in groups.values():
        for row in rows:
            found[row] = [mask for one in rows if tracks[one] != tracks[row] and (mask := masks[one]) is not None]
    return found


def _partners(rows: pa.Table, others: Sequence[pa.Table]) -> list[list[RunLengthMask]]:
    """Masks that other runs have at the frames of the rows' tracks."""
    known: list[Mapping[Hashable, RunLengthMask | None]] = [
        dict(zip(_frame_keys(other), masks_of(other), strict=True)) for other in others
    ]
    return [[mask for run in known if (mask := run.get(key)) is not None] for key in _frame_keys(rows)]


def _frame_keys(rows: pa.Table) -> list[Hashable]:
    return list(zip(*(rows[name].to_pylist() for name in (*_TRACK, "frame")), strict=True))


def _among(masks: Sequence[RunLengthMask | None], others: Sequence[Sequence[RunLengthMask]]) -> NDArray[np.float64]:
    """Mean, largest and least agreement of each mask with others, float64 [3, masks]; NaN where there are none."""
    result = np.full((3, len(masks)), np.nan)
    for row, (mask, some) in enumerate(zip(masks, others, strict=True)):
        if mask is not None and some:
            found = [agreement(mask, other) for other in some]
            result[:, row] = np.mean(found), max(found), min(found)
    return result
