"""A run that is disturbed again and again: workers and once the driver killed with SIGKILL, then compared.

    python -m benchmarks.chaos --takes 12 --kills 6

Prints what was done and whether the table equals that of an undisturbed run: all but the scores exactly, scores to
1e-5, as a take may have been split and so have been computed in other batches.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import psutil

from lmeec.synthetic.scene import SceneConfig
from lmeec.synthetic.writer import DatasetConfig, write_dataset
from lmeec.tables import list_parts, parts_directory, read_results

NUMBERS = ["object_score", "confidence", "predicted_iou"]


def start(takes: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    """Start a run in a process of its own."""
    options = ["--workers", workers, "--cpus-per-worker", 1, "--retries", 50, "--log-format", "json"]
    call = [sys.executable, "-c", "from lmeec_cli.main import main; main()", "predict", takes, "--out", out, *options]
    return subprocess.Popen([str(part) for part in call], stderr=subprocess.DEVNULL)


def at_work(driver: int) -> list[psutil.Process]:
    """Workers that predict a take."""
    found = []
    for process in psutil.Process(driver).children(recursive=True):
        try:
            if "WorkerActor.predict" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def disturb(takes: Path, out: Path, kills: int, jobs: int) -> dict[str, int]:
    """Run until the table is there, killing workers at random and the driver once."""
    drawn = random.Random(0)
    done = {"workers_killed": 0, "driver_killed": 0, "processes_left": 0}
    process = start(takes, out, 2)
    while process.poll() is None:
        time.sleep(drawn.uniform(0.2, 1.0))
        workers = at_work(process.pid)
        if workers and done["workers_killed"] < kills:
            drawn.choice(workers).kill()
            done["workers_killed"] += 1
        elif not done["driver_killed"] and len(list_parts(parts_directory(out))) > jobs // 3:
            started = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
            done["driver_killed"] = 1
            done["processes_left"] = len(psutil.wait_procs(started, timeout=20)[1])
            process = start(takes, out, 2)
    return done | {"exit_status": process.returncode}


def same(one: Path, other: Path) -> bool:
    """Whether two tables are the same, scores to rounding."""
    first, second = read_results(one).to_pandas(), read_results(other).to_pandas()
    try:
        pd.testing.assert_frame_equal(first.drop(columns=NUMBERS), second.drop(columns=NUMBERS))
    except AssertionError:
        return False
    return bool((first[NUMBERS] - second[NUMBERS]).abs().max().max() < 1e-5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--takes", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--kills", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, calm, chaos = (Path(folder) / name for name in ("takes", "calm.parquet", "chaos.parquet"))
        scene = SceneConfig(seconds=options.seconds, objects=3)
        write_dataset(root, DatasetConfig(takes=options.takes, scene=scene, size=160, workers=2))
        undisturbed = start(root, calm, 2).wait()
        done = disturb(root, chaos, options.kills, 2 * options.takes)
        result = {
            "takes": options.takes,
            "undisturbed_exit_status": undisturbed,
            **done,
            "rows": read_results(chaos, ["frame"]).num_rows,
            "same_table": same(chaos, calm),
        }
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
