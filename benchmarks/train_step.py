"""Peak memory and time of one training step: `python -m benchmarks.train_step [--frames N] [--dtype D]`, JSON out.

One clip of one object, with the optimiser's step, in a process of its own whose peak resident memory is what the
system counted; `--only presence` trains the object-score head alone. A process that grows past `--limit` GiB is ended,
and reported as such.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch

from lmeec.config import PRESETS
from lmeec.model.build import build_model, resolve_dtype
from lmeec.training.clips.clip import Clip
from lmeec.training.config import Only, TrainConfig, presence
from lmeec.training.group import Group
from lmeec.training.optimiser import make_optimiser
from lmeec.training.presence import PresenceTask
from lmeec.training.step import accumulate_gradients
from lmeec.training.task import Pass

if TYPE_CHECKING:
    from lmeec.model.lmeec import LMEEC

_PAGE = os.sysconf("SC_PAGE_SIZE")


def clip_of(frames: int, objects: int, size: int) -> Clip:
    """Noise with a square in it, of the sizes of a real clip."""
    rng = np.random.default_rng(0)
    views = [rng.integers(0, 256, (frames, size, size, 3), np.uint8) for _ in range(2)]
    masks = np.zeros((objects, frames, size, size), bool)
    masks[..., size // 4 : size // 2, size // 4 : size // 2] = True
    return Clip(views[0], views[1], masks, masks, np.ones((objects, frames), bool), frames)


def step(arguments: argparse.Namespace) -> dict[str, float]:
    """One step, timed; twice where `--repeats` says so."""
    model = build_model(PRESETS[arguments.model](), seed=0).train()
    model.compute_dtype = resolve_dtype(arguments.dtype, model.device)
    if arguments.only is not None:
        return presence_step(model, arguments)
    config = replace(TrainConfig(), recompute=not arguments.keep)
    optimiser = make_optimiser(model, config.optimiser)
    clip = clip_of(arguments.frames, arguments.objects, model.config.image_size)
    times = []
    for number in range(arguments.repeats):
        start = time.perf_counter()
        optimiser.zero_grad()
        measured = accumulate_gradients(model, [clip], config, Pass(number, Group(), lambda: False))
        optimiser.step()
        times.append(time.perf_counter() - start)
        assert measured is not None
        assert np.isfinite(measured["loss"])
    return {"seconds": round(min(times), 1), "cpu_seconds": round(time.process_time(), 1)}


def presence_step(model: LMEEC, arguments: argparse.Namespace) -> dict[str, float]:
    """A step that reads a clip, and one that learns from what was kept of it."""
    task = PresenceTask(model, presence())
    clip = clip_of(arguments.frames, arguments.objects, model.config.image_size)
    found = {}
    for number, (name, clips) in enumerate({"reading": [clip], "learning": []}.items()):
        start, busy = time.perf_counter(), time.process_time()
        task.optimiser.zero_grad()
        assert task.gradients(clips, Pass(number, Group(), lambda: False)) is not None
        task.optimiser.step()
        found[f"{name}_seconds"] = round(time.perf_counter() - start, 3)
        found[f"{name}_cpu_seconds"] = round(time.process_time() - busy, 3)
    return found


def watched(call: list[str], limit: float) -> tuple[str, float, bool]:
    """Run a process and end it past a limit in GiB; its output, its peak in GiB, and whether it was ended."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(call, stdout=output)
        ended = False
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            resident = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * _PAGE / 2**30
            if resident > limit and not ended:
                ended = True
                process.kill()
            time.sleep(0.2)
        if status and not ended:
            raise SystemExit(f"the step failed with status {status}")
        output.seek(0)
        return output.read(), usage.ru_maxrss / 2**20, ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=sorted(PRESETS), default="base_plus")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--objects", type=int, default=1)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--keep", action="store_true", help="keep activations instead of computing them again")
    parser.add_argument("--only", choices=get_args(Only), help="train this part alone")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--limit", type=float, default=14, help="GiB")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(step(arguments)))
        return
    call = [sys.executable, "-m", "benchmarks.train_step", *sys.argv[1:], "--inside"]
    output, peak, ended = watched(call, arguments.limit)
    about = {name: getattr(arguments, name) for name in ("model", "only", "frames", "objects", "dtype")}
    about |= {"recompute": not arguments.keep, "threads": torch.get_num_threads(), "peak_gib": round(peak, 2)}
    print(json.dumps(about | ({"ended_at_limit": arguments.limit} if ended else json.loads(output)), indent=2))


if __name__ == "__main__":
    main()
