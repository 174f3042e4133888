"""Fusion of runs and curves of risk a second time, in plain loops; imports nothing of the package."""

from __future__ import annotations

import math
from fractions import Fraction

TRACK = ("take_uid", "direction", "object", "query_cam", "target_cam")


def fused(runs: dict[str, list[dict]], value) -> list[dict]:
    """Rows by name of run in, one row a frame out: that of the highest value, of which None is the least."""
    frames: dict[tuple, list] = {}
    for name, rows in runs.items():
        for row in rows:
            frames.setdefault((*(row[column] for column in TRACK), row["frame"]), []).append((name, row))
    chosen = []
    for _, candidates in sorted(frames.items()):
        best = None
        for name, row in candidates:  # in the order of the runs, so that the first of equals stays
            rank = (row["missing"] is None, row["missing"] is None and value(name, row) is not None)
            number = value(name, row) if all(rank) else 0.0
            if best is None or (rank, number) > best[0]:
                best = ((rank, number), {**row, "source_run": name})
        chosen.append(best[1])
    return chosen


def risk_coverage(signs: list[float | None], ious: list[float]) -> list[Fraction]:
    """Mean IoU of the best 1, 2, ... masks; among equal signs every mask is as likely to come first."""
    ranked = sorted(set(signs), key=lambda sign: math.inf if sign is None else -sign)
    curve, taken, total = [], 0, Fraction(0)
    for sign in ranked:
        block = [Fraction(iou) for one, iou in zip(signs, ious, strict=True) if one == sign]
        for count in range(1, len(block) + 1):
            expected = total + count * sum(block) / len(block)
            curve.append(expected / (taken + count))
        taken, total = taken + len(block), total + sum(block)
    return curve


def aurc(signs: list[float | None], ious: list[float]) -> float:
    """Mean over all k of the risk of the best k."""
    curve = risk_coverage(signs, ious)
    return float(sum(1 - iou for iou in curve) / len(curve))
