"""What the parts of nano are worth, on synthetic takes it never saw: `python -m benchmarks.nano`, JSON out.

The takes are those of `benchmarks.nano_takes`, with absence annotated.
Each variant predicts all of them in both directions; the metrics are the benchmark's. Variants without a part of the
network are the same weights with that part taken out, not trained again without it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.nano_takes import SECONDS, held_out_takes
from lmeec.analysis.evaluation import evaluate
from lmeec.analysis.frames import load_frames
from lmeec.analysis.groups import score_groups
from lmeec.config import Direction, MemoryConfig, Policy, PredictConfig
from lmeec.masks import RunLengthMask
from lmeec.metrics import frame_metrics
from lmeec.runs.executor import InProcess
from lmeec.runs.predict import run_predictions
from lmeec.runs.worker import Worker
from lmeec.tables import read_results

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from lmeec.data.takes import TakeSet
    from lmeec.model.lmeec import LMEEC
    from lmeec.runs.events import Event
    from lmeec.runs.progress import Progress


def main() -> None:
    """Print the scores of all variants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--takes", type=int, default=3, help="of each length")
    parser.add_argument("--checkpoint", default="nano")
    parser.add_argument("--variants", default="", help="only these, joined by commas")
    parser.add_argument("--folder", type=Path, help="keep the takes and tables here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        takes = held_out_takes(folder / "takes", arguments.takes, "test")
        chosen = [name for name in arguments.variants.split(",") if name] or list(VARIANTS)
        report = {name: run_variant(name, takes, arguments.checkpoint, folder) for name in chosen}
    print(json.dumps({"takes": len(SECONDS) * arguments.takes, "variants": report}, indent=1))


class Silent:
    """Says nothing of a run's course."""

    def event(self, event: Event) -> None:
        """Take no notice."""

    def update(self, progress: Progress) -> None:
        """Take no notice."""


def run_variant(name: str, takes: TakeSet, checkpoint: str, folder: Path) -> dict[str, object]:
    """Scores of a variant by direction, and by take length and size of the object."""
    start = time.perf_counter()
    policy, change = VARIANTS[name]
    worker = Worker(dict.fromkeys(get_args(Direction), checkpoint), PredictConfig(memory=MemoryConfig(policy=policy)))
    change(next(iter(worker.models.values())).model)
    out = folder / f"{name.replace(' ', '_')}.parquet"
    run_predictions(InProcess(worker), takes, out, Silent(), overwrite=True)
    table = read_results(out)
    if name == COPY:
        table = copied(table, takes)
    return {
        "directions": {direction: asdict(score) for direction, score in evaluate(table).items()},
        "length": by_length(table),
        "size": by_size(table),
        "seconds": round(time.perf_counter() - start, 1),
    }


def by_length(table: pa.Table) -> dict[str, dict[str, object]]:
    """Scores by direction of the takes of each length."""
    found = {}
    for seconds in SECONDS:
        rows = table.filter(pc.starts_with(table["take_name"], f"held-out-{seconds:02d}s"))
        found[f"{seconds} s"] = {
            direction: {"iou": score.iou, "balanced_accuracy": score.balanced_accuracy}
            for direction, score in evaluate(rows).items()
        }
    return found


def by_size(table: pa.Table) -> dict[str, dict[str, float | None]]:
    """IoU by direction and size of the object in the target view."""
    found: dict[str, dict[str, float | None]] = {}
    for group in score_groups(load_frames(table, by=("size",)), by=("size",), resamples=0):
        found.setdefault(group.group["size"], {})[group.group["direction"]] = group.iou.value
    return found


def copied(table: pa.Table, takes: TakeSet) -> pa.Table:
    """The same rows with the query's mask, at the same place of the target view, as the prediction."""
    known = {take.uid: take for take in takes}
    columns: dict[str, list[float | None]] = {"iou": [], "location_error": [], "contour_accuracy": []}
    names = ("take_uid", "object", "query_cam", "frame", "gt_state", "gt_rle", "height", "width")
    for row in table.select(list(names)).to_pylist():
        metrics = dict.fromkeys(columns)
        if row["gt_state"] == "visible":
            query = known[row["take_uid"]].tracks[row["object"], row["query_cam"]].mask(row["frame"])
            assert query is not None
            size = (row["width"], row["height"])
            guess = cv2.resize(query.decode().view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            truth = RunLengthMask(row["height"], row["width"], row["gt_rle"])
            metrics = asdict(frame_metrics(RunLengthMask.encode(guess.view(bool)), truth))
        for column, values in columns.items():
            values.append(metrics[column])
    for column, values in columns.items():
        place = table.schema.get_field_index(column)
        table = table.set_column(place, table.schema.field(column), pa.array(values, table.schema.field(column).type))
    place = table.schema.get_field_index("confidence")
    always = pa.array(np.ones(len(table)), table.schema.field(place).type)
    return table.set_column(place, table.schema.field(place), always)


def whole(model: LMEEC) -> None:
    """Leave the network as it is."""


def without_moe(model: LMEEC) -> None:
    """Add the two features without gates."""
    model.MV_MoE.forward = lambda memory, view: memory + view  # type: ignore[method-assign]


def without_bank(query: bool) -> Callable[[LMEEC], None]:
    """Attend to one of the two banks only."""

    def change(model: LMEEC) -> None:
        attend = model.attend_memory

        def attend_one(
            target: object, banks: Tensor, positions: Tensor, pointers: Tensor, pointer_positions: Tensor
        ) -> Tensor:
            half = banks.shape[1] // 2
            kept = slice(half, None) if query else slice(half)
            return attend(target, banks[:, kept], positions[kept], pointers, pointer_positions)  # type: ignore[arg-type]

        model.attend_memory = attend_one  # type: ignore[method-assign, assignment]

    return change


COPY = "copy of the query mask"
VARIANTS: Mapping[str, tuple[Policy, Callable[[LMEEC], None]]] = {
    "drop": ("drop", whole),
    "merge": ("merge", whole),
    "fifo": ("fifo", whole),
    "kmeans": ("kmeans", whole),
    "iou": ("iou", whole),
    "merge without MV-MoE": ("merge", without_moe),
    "merge without the query bank": ("merge", without_bank(query=True)),
    "merge without the target bank": ("merge", without_bank(query=False)),
    COPY: ("drop", whole),
}


if __name__ == "__main__":
    main()
