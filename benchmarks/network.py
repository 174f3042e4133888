"""Steps a second of the engine against the released tool's way through the same network.

Both run on the same weights, frames and masks, in turn within one run, so that the ratio holds on a noisy machine. The
engine first fills all banks and pointers; the per-track path takes over that state, and both go on from it.

    python -m benchmarks.network --objects 5 --exo 4                     # float32 on the CPU
    python -m benchmarks.network --objects 5 --exo 4 --dtype bfloat16    # against the per-track path in float32
    python -m benchmarks.network --objects 1 --exo 1
    python -m benchmarks.network --objects 5 --exo 4 --device cuda --dtype bfloat16 --released-dtype bfloat16
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from benchmarks.released_path import ReleasedTrack
from lmeec.config import PRESETS, MemoryConfig
from lmeec.inference.part_times import PartTimes
from lmeec.inference.plan import PlannedTrack
from lmeec.inference.tracker import Tracker
from lmeec.memory.bank import CompressedMemory
from lmeec.model.build import build_model
from lmeec.model.cpu import optimise_for_cpu
from lmeec.synthetic.render import Renderer
from lmeec.synthetic.scene import SceneConfig
from lmeec.synthetic.scene_builder import make_scene
from tests.support.reference import with_named_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmeec.model.lmeec import LMEEC

WARM_UP_STEPS = 8
"""Fills the banks (6 entries); pointers, four tokens each of over 10,000, go on filling."""


@dataclass(frozen=True)
class Footage:
    """Frames by camera, uint8 [T, S, S, 3]; masks by object, bool [T, S, S]."""

    frames: dict[str, Tensor]
    masks: list[Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--exo", type=int, default=4)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="base_plus")
    parser.add_argument("--frames", type=int, default=3, help="measured frames")
    parser.add_argument("--batch-tracks", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--released-dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(json.dumps(measure(arguments), indent=2))


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    config = PRESETS[arguments.preset]()
    steps = WARM_UP_STEPS + arguments.frames
    footage = film(arguments.objects, arguments.exo, steps, config.image_size)
    exo = list(footage.frames)[1:]
    length = 1000
    specs = [PlannedTrack(i, "ego", camera, range(length)) for i in range(arguments.objects) for camera in exo]
    plain = _model(arguments.preset, arguments.device, arguments.released_dtype)
    arranged = _model(arguments.preset, arguments.device, arguments.dtype)
    if arguments.device == "cpu":
        optimise_for_cpu(arranged)
    parts = PartTimes()
    tracker = Tracker(arranged, specs, MemoryConfig(), arguments.batch_tracks)
    for k in range(WARM_UP_STEPS):
        _engine_step(tracker, footage, k)
    released = [_taken_over(plain, tracker, track, length) for track in range(len(specs))]
    tracker._times = parts
    times: dict[str, list[float]] = {"released": [], "engine": []}
    differences, agreements = [], []
    for k in range(WARM_UP_STEPS, steps):
        ours, seconds = _timed(lambda k=k: _engine_step(tracker, footage, k), arguments.device)
        times["engine"].append(seconds)
        theirs, seconds = _timed(lambda k=k: _released_step(released, specs, footage, k), arguments.device)
        times["released"].append(seconds)
        differences.append((ours - theirs).abs().max().item())
        agreements.append(_mean_iou(ours > 0, theirs > 0))
    ratios = [a / b for a, b in zip(times["released"], times["engine"], strict=True)]
    return {
        "machine": f"{platform.processor() or platform.machine()}, {arguments.threads} threads",
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu",
        "torch": torch.__version__,
        "settings": vars(arguments),
        "tracks": len(specs),
        "seconds_a_frame": times,
        "steps_a_second": {name: len(specs) / statistics.median(seconds) for name, seconds in times.items()},
        "ratio": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
        "engine_parts": parts.busy,
        "agreement": {"mean_iou": statistics.mean(agreements), "largest_logit_difference": max(differences)},
    }


def film(objects: int, exo: int, steps: int, size: int) -> Footage:
    """Film a synthetic scene, with objects that the ego camera sees at every step."""
    scene = make_scene(7, SceneConfig(seconds=float(steps), fps=2, objects=max(objects, 6), exo_cameras=(exo, exo)))
    shots = {}
    for camera in scene.cameras:
        renderer = Renderer(scene, camera, (size, size))
        shots[camera.name] = [renderer.render(k) for k in range(steps)]
    frames = {
        ("ego" if camera.is_ego else camera.name): torch.from_numpy(np.stack([f.rgb for f in shots[camera.name]]))
        for camera in sorted(scene.cameras, key=lambda camera: not camera.is_ego)
    }
    ego = next(camera.name for camera in scene.cameras if camera.is_ego)
    ids = np.stack([frame.objects for frame in shots[ego]])
    masks = [torch.from_numpy(_never_empty(ids == i + 1)) for i in range(objects)]
    return Footage(frames, masks)


def _never_empty(masks: np.ndarray) -> np.ndarray:
    # What matters here is that there is a mask, not that it is in the right place.
    middle = slice(masks.shape[1] // 3, masks.shape[1] // 2)
    for mask in masks:
        if not mask.any():
            mask[middle, middle] = True
    return masks


def _model(preset: str, device: str, dtype: str) -> LMEEC:
    model = with_named_weights(build_model(PRESETS[preset]())).to(device)
    model.compute_dtype = getattr(torch, dtype)
    return model


def _taken_over(model: LMEEC, tracker: Tracker, track: int, length: int) -> ReleasedTrack:
    assert isinstance(tracker.memory, CompressedMemory)
    banks = tracker.memory.read([track])[0].float().clone()
    taken = ReleasedTrack(model, length)
    half = len(banks) // 2
    taken.query_bank = list(banks[:half, None].unbind())
    taken.target_bank = list(banks[half:, None].unbind())
    pointers = tracker._pointers.read([track], [tracker._pointer_steps(track)])[0]
    taken.pointers = list(pointers.float().flip(0)[:, None].unbind())
    return taken


def _engine_step(tracker: Tracker, footage: Footage, k: int) -> Tensor:
    active = list(range(len(tracker.tracks)))
    frames = {camera: video[k] for camera, video in footage.frames.items()}
    logits = {}
    for batch, decoded in tracker.step(active, frames, {i: masks[k] for i, masks in enumerate(footage.masks)}):
        logits |= zip(batch, decoded.mask_logits.cpu(), strict=True)
    return torch.stack([logits[track] for track in active])


def _released_step(tracks: list[ReleasedTrack], specs: list[PlannedTrack], footage: Footage, k: int) -> Tensor:
    return torch.cat(
        [
            track.step(footage.frames["ego"][k], footage.frames[spec.target_camera][k], footage.masks[spec.stream][k])
            .mask_logits.cpu()
            for track, spec in zip(tracks, specs, strict=True)
        ]
    )  # fmt: skip


def _timed(work: Callable[[], Tensor], device: str) -> tuple[Tensor, float]:
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def _mean_iou(a: Tensor, b: Tensor) -> float:
    intersection = (a & b).flatten(1).sum(1).double()
    union = (a | b).flatten(1).sum(1).double()
    return torch.where(union > 0, intersection / union.clamp(min=1), torch.ones_like(union)).mean().item()


if __name__ == "__main__":
    main()
