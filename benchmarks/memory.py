"""Peak memory of `lmeec predict` on takes of three lengths: `python -m benchmarks.memory`, JSON out.

Each run is a process of its own; its peak resident memory is what the system counted. Takes are rendered first, at a
size at which that does not take long: what grows with a take's length does not depend on the size of its frames.
Figures of memory do not depend on what else the machine does; seconds do.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.commands import measure


def render(folder: Path, seconds: int, size: int) -> Path:
    call = ["synth", folder, "--takes", 1, "--seconds", seconds, "--size", size, "--exo-cameras", 2, "--objects", 4]
    measure(call)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, nargs="+", default=[12, 120, 360], help="lengths of the takes")
    parser.add_argument("--size", type=int, default=96, help="height of the videos in pixels")
    parser.add_argument("--checkpoint", default="nano")
    parser.add_argument("--direction", default="both", choices=["ego2exo", "exo2ego", "both"])
    parser.add_argument("--memory-policy", default="drop")
    arguments = parser.parse_args()
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seconds in arguments.seconds:
            takes = render(Path(folder) / f"takes{seconds}", seconds, arguments.size)
            call = ["predict", takes, "--out", Path(folder) / f"{seconds}.parquet"]
            call += ["--checkpoint", arguments.checkpoint, "--direction", arguments.direction]
            call += ["--memory-policy", arguments.memory_policy]
            used = measure(call)
            first = runs[0]["peak_mib"] if runs else used["largest_memory_MiB"]
            growth = round(100 * (used["largest_memory_MiB"] / first - 1), 1)
            runs.append({"take_seconds": seconds, "peak_mib": used["largest_memory_MiB"], "growth_percent": growth})
            runs[-1] |= {"seconds": used["seconds"], "cpu_seconds": used["cpu_seconds"]}
    report = {name: getattr(arguments, name) for name in ("checkpoint", "direction", "memory_policy", "size")}
    print(json.dumps(report | {"runs": runs}, indent=2))


if __name__ == "__main__":
    main()
