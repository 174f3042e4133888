"""What the round trip costs: frames with either way back against frames without one, within one run. JSON out.

Each frame is predicted once, and what was predicted is taken back in both ways, each with a clock of its own; a frame
with a way back costs the sum, as nothing of either is done twice (`lmeec.inference.predictor`). The network has random
weights, so on the way back the objects' given masks stand for what was predicted: every mask has pixels, which is the
most that a way back can cost. Masks become queries, and what comes back is fetched, as in a run. Banks are full before
anything is measured. Processor time holds on a machine that is busy otherwise too, with one thread: more would wait for
each other by spinning.

    python -m benchmarks.cycle                                # base_plus, 5 objects x 4 exo cameras, float32
    python -m benchmarks.cycle --direction exo2ego
    python -m benchmarks.cycle --preset nano --frames 20
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_args

import torch

from benchmarks.network import film
from lmeec.config import PRESETS, CycleWay, Direction, MemoryConfig
from lmeec.inference.outputs import HostBuffers, fetch_masks, fetch_outputs, sized_masks
from lmeec.inference.part_times import PartTimes
from lmeec.inference.plan import PlannedTrack
from lmeec.inference.round_trip import RoundTrips, predicted_queries
from lmeec.inference.tracker import Tracker
from lmeec.masks import evaluation_size
from lmeec.model.build import build_model
from lmeec.model.cpu import optimise_for_cpu
from tests.support.reference import with_named_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

SIZE = evaluation_size(2160, 3840)

_WARM_UP = 6
"""Frames that fill the banks; pointers, four tokens each of over 10,000, go on filling."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--exo", type=int, default=4)
    parser.add_argument("--direction", choices=get_args(Direction), default="ego2exo")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="base_plus")
    parser.add_argument("--frames", type=int, default=2, help="measured frames")
    parser.add_argument("--batch-tracks", type=int, default=4)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(json.dumps(measure(arguments), indent=2))


class Clock:
    """Seconds of wall and of processor for each kind of work, summed until they are taken."""

    def __init__(self) -> None:
        self._spent: dict[str, list[float]] = {}

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Count the time of a block as that of a kind of work."""
        before = time.perf_counter(), time.process_time()
        yield
        spent = self._spent.setdefault(name, [0.0, 0.0])
        spent[0] += time.perf_counter() - before[0]
        spent[1] += time.process_time() - before[1]

    def take(self) -> dict[str, tuple[float, float]]:
        """What was counted since the last time."""
        spent = {name: (wall, processor) for name, (wall, processor) in self._spent.items()}
        self._spent.clear()
        return spent


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each frame and way, and how much more a frame with a way back costs."""
    model = with_named_weights(build_model(PRESETS[arguments.preset]()))
    model.compute_dtype = getattr(torch, arguments.dtype)
    optimise_for_cpu(model)
    footage = film(arguments.objects, arguments.exo, _WARM_UP + arguments.frames, model.config.image_size)
    ego, *exo = footage.frames
    there = arguments.direction == "ego2exo"
    pairs = [(i, camera) for i in range(arguments.objects) for camera in exo]
    # From ego, all cameras of an object have its query; from exo, each camera gives one of its own.
    tracks = [
        PlannedTrack(i, ego, camera, range(1000)) if there else PlannedTrack(number, camera, ego, range(1000))
        for number, (i, camera) in enumerate(pairs)
    ]
    given = {track.stream: footage.masks[i] for track, (i, _) in zip(tracks, pairs, strict=True)}
    predicted = {number: footage.masks[i] for number, (i, _) in enumerate(pairs)}
    parts = {name: PartTimes() for name in ("none", *get_args(CycleWay))}
    tracker = Tracker(model, tracks, MemoryConfig(), arguments.batch_tracks)
    trips = {way: RoundTrips(model, tracks, way, MemoryConfig(), arguments.batch_tracks) for way in get_args(CycleWay)}
    clock, buffers = Clock(), HostBuffers()
    measured: list[dict[str, tuple[float, float]]] = []
    for k in range(_WARM_UP + arguments.frames):
        warm = k >= _WARM_UP
        if k == _WARM_UP:
            _count_parts(tracker, trips, parts)
        _frame(
            {camera: video[k] for camera, video in footage.frames.items()},
            tracker,
            {way: one for way, one in trips.items() if warm or way == "tracked"},
            {stream: masks[k] for stream, masks in given.items()},
            {number: masks[k] for number, masks in predicted.items()},
            clock,
            buffers,
        )
        spent = clock.take()
        if warm:
            measured.append(spent)
    return {
        "machine": f"{platform.processor() or platform.machine()}, {arguments.threads} threads",
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "settings": vars(arguments),
        "tracks": len(tracks),
        "seconds_a_frame": {
            kind: {name: [round(one[name][place], 2) for one in measured] for name in parts}
            for place, kind in enumerate(("wall", "processor"))
        },
        "more_than_without": {
            way: {kind: _more(measured, way, place) for place, kind in enumerate(("wall", "processor"))}
            for way in get_args(CycleWay)
        },
        "seconds_of_parts": {name: {part: round(s, 2) for part, s in one.busy.items()} for name, one in parts.items()},
    }


def _count_parts(tracker: Tracker, trips: Mapping[CycleWay, RoundTrips], parts: Mapping[str, PartTimes]) -> None:
    tracker._times = parts["none"]
    for way, one in trips.items():
        one._tracker._times = parts[way]


def _frame(
    frames: Mapping[str, Tensor],
    tracker: Tracker,
    trips: Mapping[CycleWay, RoundTrips],
    given: Mapping[int, Tensor],
    stand_ins: Mapping[int, Tensor],
    clock: Clock,
    buffers: HostBuffers,
) -> None:
    """One frame there, and back in each way."""
    predicted = []
    with clock.running("none"):
        views = tracker.look(frames)
        for batch, decoded in tracker.advance(range(len(tracker.tracks)), views, given):
            masks = sized_masks(decoded, [SIZE] * len(batch))
            fetch_masks(decoded, masks, buffers).get()
            predicted.append((batch, masks))
    for way, trip in trips.items():
        with clock.running(way):
            predicted_queries(tracker.model, predicted)
            for batch, decoded in trip.step(views, stand_ins):
                fetch_outputs(decoded, [SIZE] * len(batch), buffers).get()


def _more(measured: Sequence[Mapping[str, tuple[float, float]]], way: CycleWay, place: int) -> dict[str, float]:
    """How much more a frame costs with a way back, as a share of one without: over the frames."""
    shares = [one[way][place] / one["none"][place] for one in measured]
    return {"median": round(statistics.median(shares), 3), "min": round(min(shares), 3), "max": round(max(shares), 3)}


if __name__ == "__main__":
    main()
