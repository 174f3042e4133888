"""The signs of `lmeec.analysis.signs` a second time, in plain loops over decoded masks; imports nothing of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pycocotools import mask as coco

if TYPE_CHECKING:
    import numpy as np

NEAR = 3


def signs(rows: list[dict], others: list[list[dict]] = ()) -> list[dict[str, float]]:
    """Values by name of each row of one take and direction; NaN where nothing is known."""
    found = []
    for row in rows:
        track = sorted((one for one in rows if _same_track(one, row) and there(one)), key=lambda one: one["frame"])
        values = dict.fromkeys(("overlap_near", "views_mean", "views_most", "runs_mean", "runs_most", "runs_least"))
        values["largest_piece"] = largest_piece(decoded(row)) if there(row) else None
        for name in ("predicted_iou", "object_score", "cycle_iou", "cycle_score", "log_area_share"):
            values[name] = own(row, name) if there(row) else None
            values[f"{name}_near"] = None
            if there(row):
                at = track.index(row)
                some = [own(one, name) for one in track[max(at - NEAR, 0) : at + NEAR + 1]]
                values[f"{name}_near"] = mean([value for value in some if value is not None])
        if there(row):
            at = track.index(row)
            beside = [track[place] for place in (at - 1, at + 1) if 0 <= place < len(track)]
            values["overlap_near"] = mean([overlap(row, one) for one in beside])
            views = [
                overlap(row, one)
                for one in rows
                if there(one)
                and not _same_track(one, row)
                and all(one[name] == row[name] for name in ("object", "target_cam", "frame"))
            ]
            values["views_mean"], values["views_most"] = mean(views), max(views, default=None)
            runs = [
                overlap(row, one)
                for other in others
                for one in other
                if there(one) and _same_track(one, row) and one["frame"] == row["frame"]
            ]
            values["runs_mean"] = mean(runs)
            values["runs_most"], values["runs_least"] = max(runs, default=None), min(runs, default=None)
        found.append({name: math.nan if value is None else value for name, value in values.items()})
    return found


def there(row: dict) -> bool:
    return row["missing"] is None


def own(row: dict, name: str) -> float | None:
    if name == "log_area_share":
        return math.log10(max(row["area"] / (row["height"] * row["width"]), 1e-6))
    value = row[name]
    return value if value is None or not name.endswith("_score") else min(max(value, -30.0), 30.0)


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def overlap(first: dict, second: dict) -> float:
    """IoU of two rows' masks; 0 of two empty ones."""
    one, other = decoded(first), decoded(second)
    union = (one | other).sum()
    return float((one & other).sum() / union) if union else 0.0


def decoded(row: dict) -> np.ndarray:
    counts = {"size": [row["height"], row["width"]], "counts": row["mask_rle"].encode()}
    return coco.decode(counts).astype(bool)


def largest_piece(mask: np.ndarray) -> float | None:
    """The share of pixels in the largest piece, walking from pixel to pixel."""
    left = {(int(y), int(x)) for y, x in zip(*mask.nonzero(), strict=True)}
    count, largest = len(left), 0
    while left:
        waiting, size = [left.pop()], 0
        while waiting:
            y, x = waiting.pop()
            size += 1
            for place in [(y + down, x + right) for down in (-1, 0, 1) for right in (-1, 0, 1)]:
                if place in left:
                    left.remove(place)
                    waiting.append(place)
        largest = max(largest, size)
    return largest / count if count else None


def _same_track(first: dict, second: dict) -> bool:
    return all(first[name] == second[name] for name in ("object", "query_cam", "target_cam"))
