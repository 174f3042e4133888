"""Whether a checkpoint is better than the shipped nano: `python -m benchmarks.nano_compare CHECKPOINT...`, JSON out.

Both predict the same held-out takes, and the difference comes with a paired 95% interval over takes: weights are worth
shipping where it lies above zero in both directions. Choose on `--split validation`; `--split test` are the nine takes
of `benchmarks.nano`, for what is published. Several checkpoints are averaged: snapshots of one training whose learning
rate is still high are better together. `nano --refine colours` is what `lmeec predict --refine colours` brings to the
shipped weights. `--folder` keeps takes and the shipped weights' table for the next time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import torch

from benchmarks.nano import Silent
from benchmarks.nano_takes import SEEDS, held_out_takes
from lmeec.analysis.compare import common_frames, compare_groups
from lmeec.analysis.frames import load_frames
from lmeec.config import Direction, PredictConfig, Refine
from lmeec.model.checkpoint import config_of, read_checkpoint, write_safetensors
from lmeec.runs.executor import InProcess
from lmeec.runs.predict import run_predictions
from lmeec.runs.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmeec.analysis.compare import Compared
    from lmeec.data.takes import TakeSet

SHIPPED = "nano"


def main() -> None:
    """Predict, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--split", choices=sorted(SEEDS), default="validation")
    parser.add_argument("--takes", type=int, help="of each length; 2 of validation and 3 of test without")
    parser.add_argument("--refine", choices=get_args(Refine), default="none", help="of what is judged only")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--average-to", type=Path, help="keep the averaged weights here")
    arguments = parser.parse_args()
    each = arguments.takes or {"validation": 2, "test": 3}[arguments.split]
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        takes = held_out_takes(folder / "takes" / arguments.split, each, arguments.split)
        judged = arguments.checkpoints[0]
        if len(arguments.checkpoints) > 1:
            judged = averaged(arguments.checkpoints, arguments.average_to or Path(scratch) / "averaged.safetensors")
        before = folder / f"shipped-{arguments.split}-{each}.parquet"
        if not before.exists():
            predict(takes, SHIPPED, before, "none")
        after = Path(scratch) / "judged.parquet"
        predict(takes, str(judged), after, arguments.refine)
        report = compared(before, after)
    print(json.dumps({"split": arguments.split, "takes": len(takes), "directions": report}, indent=1))


def averaged(checkpoints: Sequence[Path], out: Path) -> Path:
    """Write the mean of the checkpoints' weights."""
    read = [read_checkpoint(path) for path in checkpoints]
    means = {name: torch.stack([one.tensors[name] for one in read]).mean(0) for name in read[0].tensors}
    write_safetensors(out, means, config_of(read[0]))
    return out


def predict(takes: TakeSet, checkpoint: str, out: Path, refine: Refine) -> None:
    """Results of both directions, with the settings that users have but for edges."""
    worker = Worker(dict.fromkeys(get_args(Direction), checkpoint), PredictConfig(refine=refine))
    run_predictions(InProcess(worker), takes, out, Silent(), overwrite=True)


def compared(before: Path, after: Path) -> dict[str, object]:
    """Scores of both tables by direction, and by size of the object, with paired intervals."""
    found: dict[str, dict[str, object]] = {}
    for by in ((), ("size",)):
        tables = [load_frames(path, by=by, numbers=True) for path in (before, after)]
        for group in compare_groups(common_frames(*tables), by=by):
            name = group.group.get("size", "all")
            metrics = {"iou": group.iou}
            if not by:
                metrics |= {
                    "location_error": group.location_error,
                    "contour_accuracy": group.contour_accuracy,
                    "balanced_accuracy": group.balanced_accuracy,
                }
            shown = {metric: plain(value) for metric, value in metrics.items()}
            found.setdefault(group.group["direction"], {})[name] = {"visible": group.visible} | shown
    return dict(found)


def plain(value: Compared) -> dict[str, object]:
    """Before, after, and the difference with its interval."""
    return {"before": value.first.value, "after": value.second.value, "difference": asdict(value.difference)}


if __name__ == "__main__":
    main()
