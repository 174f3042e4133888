"""Time the metrics of frames with full-size ground truth: `python -m benchmarks.frame_metrics [FRAMES]`, JSON out.

Every frame reads its ground truth's counts (1408x1408 and 2160x3840 in turn), resizes it to the evaluation size and
compares it with a prediction. The masks are those of tests/assets/reference/metrics.json, enlarged.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from lmeec.masks import RunLengthMask, evaluation_size, resize_nearest
from lmeec.metrics import FrameMetrics, frame_metrics
from tests.support.places import ASSETS

REFERENCE = ASSETS / "reference/metrics.json"
GROUND_TRUTH_SIZES = {(480, 480): (1408, 1408), (270, 480): (2160, 3840)}

Frame = tuple[RunLengthMask, str, tuple[int, int]]


def make_frames(count: int) -> list[Frame]:
    """Prediction at the evaluation size, counts and size of the ground truth."""
    pairs = json.loads(REFERENCE.read_text())["pairs"]
    made = []
    for pair in pairs:
        size = GROUND_TRUTH_SIZES.get(tuple(pair["size"]))
        if size is not None:
            truth = resize_nearest(RunLengthMask(*pair["size"], pair["gt"]), size)
            made.append((RunLengthMask(*pair["size"], pair["pred"]), truth.counts, size))
    return [made[number % len(made)] for number in range(count)]


def measure(frame: Frame) -> FrameMetrics:
    pred, counts, size = frame
    truth = RunLengthMask.from_counts(counts, *size)
    return frame_metrics(pred, resize_nearest(truth, evaluation_size(*size)))


def main() -> None:
    frames = make_frames(int(sys.argv[1]) if len(sys.argv) > 1 else 1500)
    start = time.perf_counter()
    alone = [measure(frame) for frame in frames]
    one_process = time.perf_counter() - start
    with ProcessPoolExecutor(max_workers=2) as pool:
        list(pool.map(measure, frames[:2]))
        start = time.perf_counter()
        together = list(pool.map(measure, frames, chunksize=50))
        two_processes = time.perf_counter() - start
    assert alone == together
    json.dump(
        {
            "frames": len(frames),
            "cores": os.cpu_count(),
            "seconds_one_process": round(one_process, 2),
            "seconds_two_processes": round(two_processes, 2),
            "milliseconds_a_frame": round(1000 * one_process / len(frames), 2),
        },
        sys.stdout,
        indent=2,
    )
    print()


if __name__ == "__main__":
    main()
