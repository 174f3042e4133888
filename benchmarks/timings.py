"""Time encodings and steps: `python -m benchmarks.timings [--threads N]`, JSON out.

For each model, in float32 on the CPU: one encoding of a camera frame, one step of one track with full memory banks
without its encodings, and the steps a second of a whole instant of several objects and cameras, encodings included.
Medians of several runs; run it while nothing else does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from typing import TYPE_CHECKING

import torch

import lmeec
from lmeec.config import PRESETS
from lmeec.inference.plan import PlannedTrack
from lmeec.inference.tracker import Tracker
from lmeec.model.cpu import optimise_for_cpu

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmeec.model.lmeec import LMEEC

FULL = 16
"""Steps after which banks and object pointers are full."""


def median(run: Callable[[], object], repeats: int) -> float:
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def step_seconds(model: LMEEC, objects: int, targets: int, repeats: int) -> float:
    """One instant, encodings included, of `objects` seen by one query camera and segmented in `targets` others."""
    cameras = [f"cam{i}" for i in range(targets)]
    tracks = [PlannedTrack(name, "ego", camera, range(100)) for name in range(objects) for camera in cameras]
    tracker = Tracker(model, tracks, lmeec.MemoryConfig(), batch_tracks=8)
    size = model.config.image_size
    frames = {camera: torch.randint(0, 256, (size, size, 3), dtype=torch.uint8) for camera in ["ego", *cameras]}
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[size // 4 : size // 2, size // 4 : size // 2] = True

    def step() -> None:
        for _ in tracker.step(range(len(tracks)), frames, dict.fromkeys(range(objects), mask)):
            pass

    for _ in range(FULL):
        step()
    return median(step, repeats)


def measure(model: LMEEC, objects: int, targets: int, repeats: int) -> dict[str, float]:
    size = model.config.image_size
    image = torch.randn(1, 3, size, size)
    with torch.inference_mode():
        encoding = median(lambda: model.encode(image), repeats)
    alone = step_seconds(model, 1, 1, repeats)
    together = step_seconds(model, objects, targets, repeats)
    return {
        "encoding_s": round(encoding, 4),
        "step_without_encodings_s": round(alone - 2 * encoding, 4),
        "steps_per_second_one_track": round(1 / alone, 2),
        "steps_per_second": round(objects * targets / together, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=sorted(PRESETS), default=sorted(PRESETS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    report: dict[str, object] = {
        "torch": torch.__version__,
        "threads": arguments.threads,
        "load_average": round(os.getloadavg()[0], 2),
        "objects": arguments.objects,
        "targets": arguments.targets,
    }
    for name in arguments.models:
        model = optimise_for_cpu(lmeec.build_model(PRESETS[name](), seed=0))
        report[name] = measure(model, arguments.objects, arguments.targets, arguments.repeats)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
