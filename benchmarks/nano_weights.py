"""Make the built-in model's file of a training: `python -m benchmarks.nano_weights TRAINING/last.safetensors OUT`.

A training's share of invisible objects is not that of takes, and its object score says "visible" too easily. The score
is moved by one number, the same for both directions, chosen on synthetic takes that are neither trained on nor scored:
the one with the largest sum of balanced accuracy and IoU, where frames below it count as empty. Weights are written in
float16.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.nano import Silent
from benchmarks.nano_takes import held_out_takes
from lmeec.config import Direction, MemoryConfig, PredictConfig
from lmeec.model.checkpoint import config_of, read_checkpoint, write_safetensors
from lmeec.runs.executor import InProcess
from lmeec.runs.predict import run_predictions
from lmeec.runs.worker import Worker
from lmeec.tables import read_results

if TYPE_CHECKING:
    from lmeec.data.takes import TakeSet

CANDIDATES = np.arange(-2.0, 8.01, 0.25)
_BIAS = "sam_mask_decoder.pred_obj_score_head.layers.2.bias"


def main() -> None:
    """Choose the threshold, write the file and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("training", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--takes", type=int, default=1, help="of each length")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        takes = held_out_takes(Path(scratch) / "takes", arguments.takes, "validation")
        table = predicted(takes, str(arguments.training), Path(scratch) / "results.parquet")
    values = [worth(table, threshold) for threshold in CANDIDATES]
    threshold = float(CANDIDATES[int(np.argmax(values))])
    checkpoint = read_checkpoint(arguments.training)
    weights = {name: value.clone() for name, value in checkpoint.tensors.items()}
    weights[_BIAS] -= threshold
    write_safetensors(arguments.out, {name: value.half() for name, value in weights.items()}, config_of(checkpoint))
    print(json.dumps({"threshold": threshold, "worth": max(values), "worth at 0": worth(table, 0.0)}, indent=1))


def predicted(takes: TakeSet, checkpoint: str, out: Path) -> pa.Table:
    """Results of both directions."""
    worker = Worker(dict.fromkeys(get_args(Direction), checkpoint), PredictConfig(memory=MemoryConfig(policy="merge")))
    run_predictions(InProcess(worker), takes, out, Silent(), overwrite=True)
    return read_results(out)


def worth(table: pa.Table, threshold: float) -> float:
    """Mean over both directions of balanced accuracy plus IoU, if scores up to the threshold meant invisible."""
    found = []
    for direction in get_args(Direction):
        rows = table.filter(pc.equal(table["direction"], direction))
        said = rows["object_score"].to_numpy() > threshold
        visible = np.array(rows["gt_state"].to_pylist()) == "visible"
        iou = rows["iou"].to_numpy()
        balanced = (said[visible].mean() + (~said[~visible]).mean()) / 2
        found.append(balanced + (iou * said)[visible].mean())
    return float(np.mean(found))


if __name__ == "__main__":
    main()
