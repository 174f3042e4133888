"""Peak memory of `lmeec predict` on takes of one length and of ten times that: `python -m benchmarks.memory`, JSON out.

Each run is a process of its own; its peak resident memory is what the system counted. Takes are rendered first, at a
size at which that does not take long: what grows with a take's length does not depend on the size of its frames.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.commands import measure

SHORT_SECONDS = 12


def render(folder: Path, seconds: int, size: int) -> Path:
    call = ["synth", folder, "--takes", 1, "--seconds", seconds, "--size", size, "--exo-cameras", 2, "--objects", 4]
    measure(call)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=224, help="height of the videos in pixels")
    parser.add_argument("--checkpoint", default="nano")
    arguments = parser.parse_args()
    peaks: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for factor in (1, 10):
            takes = render(Path(folder) / f"takes{factor}", factor * SHORT_SECONDS, arguments.size)
            out = Path(folder) / f"results{factor}.parquet"
            call = ["predict", takes, "--out", out, "--checkpoint", arguments.checkpoint]
            peaks[f"{factor}x"] = measure(call)["largest_memory_MiB"]
    report = {
        "seconds of the short take": SHORT_SECONDS,
        "checkpoint": arguments.checkpoint,
        "peak_mib": {name: round(peak, 1) for name, peak in peaks.items()},
        "growth_percent": round(100 * (peaks["10x"] / peaks["1x"] - 1), 1),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
