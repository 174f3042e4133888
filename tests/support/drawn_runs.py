"""Runs over the same drawn frames, whose masks are of every quality and whose signs tell some of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lmeec.masks import RunLengthMask
from lmeec.tables import SCHEMA, ResultRow
from lmeec.tables.schema import rows_to_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE = (36, 64)
STEPS = 8


def drawn_run(
    seed: int, *, takes: int = 3, truth: bool = True, cycle: bool = True, objects: Sequence[str] = ("cup", "pan 1")
) -> list[ResultRow]:
    """Rows of both directions, in the table's order; those of other seeds have other masks at the same frames."""
    frames, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    rows = []
    for take in range(takes):
        for direction, pairs in (
            ("ego2exo", [("aria01", "cam01"), ("aria01", "cam02")]),
            ("exo2ego", [("cam01", "aria01"), ("cam02", "aria01")]),
        ):
            for name in objects:
                centres = {target: frames.integers(8, 28, 2) for target in ("aria01", "cam01", "cam02")}
                for query, target in pairs:
                    for step in range(STEPS):
                        rows.append(_row(f"t{take}", direction, name, query, target, step, centres[target], rng, truth))
    return [one if cycle else replace(one, cycle_iou=None, cycle_score=None) for one in rows]


def _row(uid, direction, name, query, target, step, centre, rng, truth) -> ResultRow:
    seen = (step + len(name)) % 5 > 0
    gt = blob(centre + step, 7.0) if seen else None
    kind = rng.random()
    if kind < 0.08:
        return ResultRow(
            **_where(uid, direction, name, query, target, step),
            step=None,
            mask=None,
            object_score=None,
            predicted_iou=None,
            missing="video",
            size=SIZE,
            **_truth(gt, seen, truth),
        )
    off = rng.normal(0, 5, 2) if kind < 0.85 else np.array([999.0, 999.0])
    quality = float(np.exp(-np.abs(off).sum() / 8))
    noisy = lambda: float(np.clip(quality + rng.normal(0, 0.2), 0, 1))  # noqa: E731
    return ResultRow(
        **_where(uid, direction, name, query, target, step),
        step=step,
        mask=blob(centre + step + off, 7.0),
        object_score=float(rng.normal(1 if seen else -1, 2)),
        predicted_iou=noisy(),
        cycle_iou=noisy(),
        cycle_score=float(rng.normal()) if quality > 0.2 else None,
        **_truth(gt, seen, truth),
    )


def _where(uid, direction, name, query, target, step) -> dict:
    return {
        "take_uid": uid,
        "take_name": f"name of {uid}",
        "scenario": None,
        "object": name,
        "query_cam": query,
        "target_cam": target,
        "direction": direction,
        "frame": 30 * step,
        "target_frame": 30 * step,
    }


def _truth(gt, seen, truth) -> dict:
    return {"gt_state": ("visible" if seen else "absent") if truth else "unannotated", "gt": gt if truth else None}


def blob(centre: np.ndarray, radius: float) -> RunLengthMask:
    """A disk, empty where it lies outside."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return RunLengthMask.encode((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2)


def as_table(rows: Sequence[ResultRow]) -> pa.Table:
    return pa.Table.from_batches([rows_to_batch(rows)], SCHEMA)
