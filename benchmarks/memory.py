"""Peak memory of `lmeec predict` on takes of three lengths: `python -m benchmarks.memory`, JSON out.

The longer takes repeat the shortest, so that they have as many tracks, as many of them at once: only the length
differs. Objects are those with more masks in every camera of the shortest than a track has object pointers, or it would
end before its tracks hold all that they ever will. Each run is a process of its own, with one thread, as more lay out
the heap another way each time; its peak resident memory is what the system counted. The median of some runs counts, as
how stages that run side by side meet differs from run to run. Memory hardly depends on what else the machine does;
seconds do. The model `base_plus` has random weights and small images, as growth depends on neither.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.commands import measure
from lmeec.config import PRESETS, ModelConfig
from tests.support.repeated import repeat_takes


def checkpoint(model: str, image_size: int, folder: Path) -> str | Path:
    """What `--checkpoint` takes: the name of a built-in model, or a file with random weights."""
    if model == "nano":
        return model
    from lmeec.model.build import build_model
    from lmeec.model.checkpoint import write_safetensors

    config = dataclasses.replace(PRESETS[model](), image_size=image_size)
    path = folder / f"{model}.safetensors"
    write_safetensors(path, build_model(config, seed=0).state_dict(), config)
    return path


def steady_objects(takes: Path) -> list[str]:
    """Objects of which every camera of the take has more than 16 masks."""
    (relations,) = (takes / "annotations").glob("relations_*.json")
    (take,) = json.loads(relations.read_text())["annotations"].values()
    return [
        name
        for name, cameras in take["object_masks"].items()
        if all(len(masks["annotation"]) > ModelConfig.nano().max_object_pointers for masks in cameras.values())
    ]


def compare(takes: dict[int, Path], model: str | Path, arguments: argparse.Namespace, folder: Path) -> list[Any]:
    """Run the command on the takes by their length; peaks, and their growth over the first."""
    objects = steady_objects(next(iter(takes.values())))
    runs: list[dict[str, float]] = []
    for seconds, take in takes.items():
        call = ["predict", take, "--out", folder / "results.parquet", "--overwrite", "--checkpoint", model]
        call += ["--direction", arguments.direction, "--memory-policy", arguments.memory_policy]
        call += chain.from_iterable(("--object", name) for name in objects)
        used = [measure(call) for _ in range(arguments.repeats)]
        peaks = sorted(one["largest_memory_MiB"] for one in used)
        peak = median(peaks)
        growth = round(100 * (peak / runs[0]["peak_mib"] - 1), 1) if runs else 0.0
        runs.append({"take_seconds": seconds, "peak_mib": peak, "growth_percent": growth})
        runs[-1] |= {"lowest_mib": peaks[0], "highest_mib": peaks[-1]}
        runs[-1] |= {name: median(one[name] for one in used) for name in ("seconds", "cpu_seconds")}
        print(json.dumps({"model": str(model)} | runs[-1]), flush=True)
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=40, help="length of the shortest take; a frame a second counts")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 30], help="lengths, in lengths of the shortest")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each length, of which the median counts")
    parser.add_argument("--exo-cameras", type=int, default=1)
    parser.add_argument("--objects", type=int, default=1, help="rendered; those that are seen enough count")
    parser.add_argument("--size", type=int, default=96, help="height of the videos in pixels")
    parser.add_argument("--models", nargs="+", default=["nano", "base_plus"], choices=["nano", "base_plus"])
    parser.add_argument("--image-size", type=int, default=64, help="side of base_plus's input in pixels")
    parser.add_argument("--direction", default="exo2ego", choices=["ego2exo", "exo2ego", "both"])
    parser.add_argument("--memory-policy", default="drop")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        call = ["synth", folder / "rendered", "--takes", 1, "--seconds", arguments.seconds, "--fps", 5]
        call += ["--size", arguments.size, "--exo-cameras", arguments.exo_cameras, "--objects", arguments.objects]
        measure(call)
        takes = {
            times * arguments.seconds: repeat_takes(folder / "rendered", folder / f"takes{times}", times)
            for times in arguments.times
        }
        peaks = {
            model: compare(takes, checkpoint(model, arguments.image_size, folder), arguments, folder)
            for model in arguments.models
        }
    report = {name: value for name, value in vars(arguments).items() if name != "models"}
    print(json.dumps(report | {"peaks": peaks}, indent=2))


if __name__ == "__main__":
    main()
