"""Whether fusing runs of nano pays: `python -m benchmarks.trust_fusion --folder FOLDER`, JSON out.

Runs with the memory policies drop and merge, and from the last frame to the first, over the held-out takes of
`benchmarks.trust_takes`, each with its round trip, are fused by each sign and by the rule, which is cross-validated
over takes. Each fused table is compared with the best of the runs, chosen by its IoU in that direction on these takes:
the paired difference comes with a 95% interval over takes. A vote of the runs on each pixel is beside them.

Tables in the folder are kept for the next time, and those that are there are taken as they are.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pyarrow.compute as pc

from benchmarks.nano import Silent
from benchmarks.trust_takes import trust_takes
from lmeec.analysis.compare import common_frames, compare_groups
from lmeec.analysis.expected_iou import fit_iou_rule
from lmeec.analysis.frames import load_frames
from lmeec.analysis.fusion import fuse
from lmeec.analysis.risk import RANKED
from lmeec.config import Direction, FuseBy, MemoryConfig, PredictConfig
from lmeec.masks import RunLengthMask
from lmeec.metrics import iou
from lmeec.runs.executor import InProcess
from lmeec.runs.predict import run_predictions
from lmeec.runs.worker import Worker
from lmeec.tables import read_results
from lmeec.tables.together import take_by_take

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmeec.data.takes import TakeSet

RUNS = {
    "drop": PredictConfig(cycle="frame"),
    "merge": PredictConfig(cycle="frame", memory=MemoryConfig(policy="merge")),
    "reverse": PredictConfig(cycle="frame", reverse=True),
}


def main() -> None:
    """Predict what is not there, fuse, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    takes = trust_takes(arguments.folder / "takes" / "trust", "trust")
    runs = {name: arguments.folder / f"trust-{name}.parquet" for name in RUNS}
    for name, path in runs.items():
        if not path.exists():
            predict(takes, RUNS[name], path)
    print(json.dumps(fusion(runs, arguments.folder), indent=1))


def predict(takes: TakeSet, config: PredictConfig, out: Path) -> None:
    """A table of both directions."""
    run_predictions(InProcess(Worker(dict.fromkeys(get_args(Direction), "nano"), config)), takes, out, Silent())


def fusion(runs: Mapping[str, Path], folder: Path) -> dict[str, Any]:
    """IoU of each run, and of what they are fused to, by direction; with the difference to the best of the runs.

    Args:
        runs: tables of the same takes, by name.
        folder: where to write the fused tables.
    """
    paths = list(runs.values())
    single = {name: ious(path) for name, path in runs.items()}
    known = [name for name in RANKED if all(has(path, name) for path in paths)]
    fused = {by: folder / f"fused-{by}.parquet" for by in get_args(FuseBy) if by in [*known, "rule"]}
    rule = fit_iou_rule(paths)
    for by, path in fused.items():
        fuse(paths, path, by=by, rule=rule if by == "rule" else None, names=list(runs), overwrite=True)
    votes = voted(paths)
    report: dict[str, Any] = {}
    for direction in get_args(Direction):
        best = max(single, key=lambda name: single[name][direction])
        report[direction] = {
            "runs": {name: round(100 * values[direction], 2) for name, values in single.items()},
            "best_run": best,
            "fused": {by: gain(runs[best], path, direction) for by, path in fused.items()},
            "best_possible": round(100 * votes[direction]["oracle"], 2),
            "vote": round(100 * votes[direction]["vote"], 2),
        }
    return report


def has(path: Path, sign: str) -> bool:
    """Whether a table has values of a sign."""
    return pc.count(read_results(path, [sign])[sign]).as_py() > 0


def ious(path: Path) -> dict[str, float]:
    """Mean IoU over visible frames, by direction."""
    rows = read_results(path, ["direction", "gt_state", "iou"]).to_pandas()
    means = rows[rows.gt_state == "visible"].groupby("direction").iou.mean()
    return {str(direction): float(value) for direction, value in means.items()}


def gain(before: Path, after: Path, direction: str) -> dict[str, Any]:
    """IoU of the fused table, and by how much it is above the run, in percent, with the interval over takes."""
    groups = compare_groups(common_frames(*(load_frames(path, numbers=True) for path in (before, after))))
    compared = next(one.iou for one in groups if one.group["direction"] == direction)
    difference = {name: round(100 * value, 2) for name, value in asdict(compared.difference).items()}
    return {"iou": round(100 * (compared.second.value or 0.0), 2), "difference": difference}


def voted(paths: list[Path]) -> dict[str, dict[str, float]]:
    """IoU of what most runs say of each pixel, and of the best mask by its IoU, which no choice can beat."""
    found: dict[str, list[tuple[float, float]]] = {}
    columns = ("object", "query_cam", "target_cam", "frame", "height", "width", "mask_rle", "gt_state", "gt_rle")
    for _, direction, tables in take_by_take(paths, columns):
        for rows in zip(*(table.to_pylist() for table in tables if table is not None), strict=True):
            first = rows[0]
            if first["gt_state"] == "visible" and all(row["mask_rle"] is not None for row in rows):
                masks = [RunLengthMask(row["height"], row["width"], row["mask_rle"]) for row in rows]
                truth = RunLengthMask(first["height"], first["width"], first["gt_rle"])
                most = np.mean([mask.decode() for mask in masks], axis=0) > 0.5
                best = max(iou(mask, truth) for mask in masks)
                found.setdefault(direction, []).append((iou(RunLengthMask.encode(most), truth), best))
    return {
        direction: dict(zip(("vote", "oracle"), np.mean(values, axis=0).tolist(), strict=True))
        for direction, values in found.items()
    }


if __name__ == "__main__":
    main()
