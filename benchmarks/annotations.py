"""Time and memory of reading a large relations file: `python -m benchmarks.annotations [--takes N] [--bytes N]`.

The file has as many takes as the published ones and is a gigabyte, 90% of it click data that lmeec does not need. It is
written as a stream and removed afterwards. Each step runs in the process that read the file: `look` finds the takes and
their cameras, `digest` is what the results keep of the file, `masks` decodes the tracks of every take in turn, as a run
does to know its jobs. Memory is what the process has of its own (RssAnon), beside the pages of the file that the system
keeps as long as it has room for them.

    python -m benchmarks.annotations
    python -m benchmarks.annotations --takes 13000 --bytes 10000000000   # 20 GB of disk
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

OBJECTS, CAMERAS = 4, ("aria01_214-1", "cam01", "cam02", "cam03", "cam04")
CLICKS = 0.9
CLICK = {"x": 1234.5678, "y": 987.6543, "isPositive": True, "timestamp": 1_650_000_000_123, "modelUsed": "segmenter"}


def write_relations(path: Path, takes: int, size: int) -> None:
    """Write a relations file of about so many bytes, a take at a time."""
    a_camera = size // (takes * OBJECTS * len(CAMERAS))
    texts = random.Random(0).choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-$", k=4000)
    mask_bytes = int(a_camera * (1 - CLICKS))
    frames = max(mask_bytes // 400, 1)
    text = "".join(texts)[: max(mask_bytes // frames - 60, 10)]
    masks = {str(30 * frame): {"width": 1408, "height": 1408, "encodedMask": text} for frame in range(frames)}
    clicks = [CLICK] * (int(a_camera * CLICKS) // len(json.dumps(CLICK)))
    camera = {
        "annotation": {frame: mask | {"clicks": []} for frame, mask in masks.items()},
        "annotated_frames": [int(frame) for frame in masks],
        "annotation_fps": 1,
        "clicks": clicks,
    }
    masked = json.dumps({f"object {number}_0": dict.fromkeys(CAMERAS, camera) for number in range(OBJECTS)})
    with path.open("w") as file:
        file.write('{"annotations": {')
        for take in range(takes):
            head = f'"take_name": "lab_cooking_{take:06d}", "scenario": "Cooking"'
            file.write(f'{", " if take else ""}"{take:08x}-0": {{{head}, "object_masks": {masked}}}')
        file.write("}}")


def own_memory() -> float:
    """MiB that this process has of its own now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024, 1)


def read_all(path: Path) -> dict[str, object]:
    """Read a file as a run does, step by step."""
    from lmeec.data.relations import RelationsFile
    from lmeec.tables.metadata import digest_of_files

    report: dict[str, object] = {"MiB_before": own_memory()}
    most = 0.0

    def step(name: str, work: Callable[[], object]) -> None:
        start, used = time.perf_counter(), time.process_time()
        work()
        seconds, cpu = time.perf_counter() - start, time.process_time() - used
        report[name] = {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "own_MiB": own_memory()}

    files: list[RelationsFile] = []
    step("look", lambda: files.append(RelationsFile(path)))
    step("digest", lambda: digest_of_files([path]))

    def masks() -> None:
        nonlocal most
        for uid in files[0].heads:
            files[0].tracks(uid)
            most = max(most, own_memory())

    step("masks", masks)
    return report | {"takes": len(files[0].heads), "most_own_MiB": most}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=int, default=1300)
    parser.add_argument("--bytes", type=int, default=10**9)
    parser.add_argument("--folder", type=Path, help="where the file is made; default the usual one for such files")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read is not None:
        print(json.dumps(read_all(arguments.read)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder, "relations_train.json")
        write_relations(path, arguments.takes, arguments.bytes)
        report: dict[str, object] = {"takes": arguments.takes, "MB": round(path.stat().st_size / 1e6, 1)}
        for turn in ("first", "second"):
            call = [sys.executable, "-m", "benchmarks.annotations", "--read", str(path)]
            report[turn] = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
    print(json.dumps(report | {"load_average": round(os.getloadavg()[0], 2)}, indent=2))


if __name__ == "__main__":
    main()
