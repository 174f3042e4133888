"""Time `import_predictions` with full-size ground truth: `python -m benchmarks.import_predictions [FRAMES]`, JSON out.

A prediction file and the benchmark's processed ground truth (1408x1408 and 2160x3840 in turn) of several takes go in, a
scored results table comes out: reading, checking, resizing, the metrics and writing are all timed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.frame_metrics import make_frames
from lmeec.analysis.evaluation import evaluate
from lmeec.importing import import_predictions

EGO, EXO = "aria01_214-1", "cam01"
INSTANTS_A_TAKE = 100


def write_files(frames: int, folder: Path) -> tuple[Path, Path]:
    """Instants that both cameras see, each predicted in both directions."""
    made = make_frames(2 * frames)
    ego = [frame for frame in made if frame[2][0] == frame[2][1]]
    exo = [frame for frame in made if frame[2][0] != frame[2][1]]
    truth: dict[str, dict] = {}
    results: dict[str, dict] = {"ego-exo": {}, "exo-ego": {}}
    for number in range(frames // 2):
        take, frame = f"take-{number // INSTANTS_A_TAKE}", 30 * number
        for camera, other, direction, (pred, counts, size) in (
            (EGO, EXO, "exo-ego", ego[number % len(ego)]),
            (EXO, EGO, "ego-exo", exo[number % len(exo)]),
        ):
            one = truth.setdefault(take, {"masks": {"cup_0": {}}, "annotated_frames": {"cup_0": {}}})
            one["masks"]["cup_0"].setdefault(camera, {})[str(frame)] = {"size": size, "counts": counts}
            one["annotated_frames"]["cup_0"].setdefault(camera, []).append(frame)
            predicted = results[direction].setdefault(take, {"masks": {"cup_0": {f"{other}_{camera}": {}}}})
            predicted["masks"]["cup_0"][f"{other}_{camera}"][str(frame)] = {
                "pred_mask": {"size": [pred.height, pred.width], "counts": pred.counts},
                "confidence": 0.9,
            }
    predictions, annotations = folder / "predictions.json", folder / "truth.json"
    predictions.write_text(json.dumps({name: {"results": takes} for name, takes in results.items()}))
    annotations.write_text(json.dumps({"annotations": truth}))
    return predictions, annotations


def main() -> None:
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        predictions, annotations = write_files(frames, folder)
        seconds = {}  # by processes; "auto" takes one where that is quicker
        for workers in (1, None):
            start = time.perf_counter()
            summary = import_predictions(
                predictions, annotations, folder / "peers.parquet", overwrite=True, workers=workers
            )
            evaluate(folder / "peers.parquet")
            seconds[workers or "auto"] = round(time.perf_counter() - start, 2)
    report = {"frames": summary.rows, "cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 2)}
    print(json.dumps(report | {"seconds_by_processes": seconds}, indent=2))


if __name__ == "__main__":
    main()
