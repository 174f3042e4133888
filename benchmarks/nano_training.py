"""Pairs a second that nano trains on, on whole pictures: `python -m benchmarks.nano_training [--steps N]`, JSON out.

Three ways in one run: clips of scenes that are drawn on the fly, each pair of views by itself, as before; all pairs of
a scene together from scenes on disk, with as many objects followed; and the recipe's, which follows two objects of a
view and learns from all pixels instead. Steps of the ways take turns, so that a busy machine is busy for all of them;
a step is everything from the batch to the optimiser, and processor seconds are those of all threads. A pair is one
instant of a query view and a target view. `--crops` measures squares cut around an object besides, which share nothing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from lmeec.config import ModelConfig
from lmeec.model.build import build_model
from lmeec.training.clips.synthetic import Phase, SyntheticClips, SyntheticConfig
from lmeec.training.config import OptimiserConfig, ScratchConfig, TrainConfig
from lmeec.training.losses import LossWeights
from lmeec.training.trainer import Trainer

BEFORE = LossWeights(focal=6, dice=4, iou=1, object_score=2, balanced=0.3, correspondence=1)
NOW = LossWeights(focal=6, dice=4, iou=1, object_score=2, near=3, correspondence=1, dense=0.5)
DRAWN = SyntheticConfig(
    objects=(4, 8), followed=4, frames_kept=3, window=4, renewal=1, absent=0.35, phases=(Phase(frames=1),)
)


@dataclass
class Way:
    """A way to train, and what it took so far."""

    model: ModelConfig
    losses: LossWeights
    scenes: SyntheticConfig
    pairs: int = 0
    objects: int = 0
    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def report(self) -> dict[str, float]:
        """Rates over all steps."""
        wall, processor = sum(self.wall), sum(self.processor)
        return {
            "pairs": self.pairs,
            "objects": self.objects,
            "pairs_a_second": round(self.pairs / wall, 2),
            "pairs_a_processor_second": round(self.pairs / processor, 2),
            "objects_a_processor_second": round(self.objects / processor, 2),
        }


def ways(frames: int, stored: int, crops: bool) -> dict[str, Way]:
    """The ways to compare, by name."""
    apart = Phase(frames=frames, clips=4)
    together = replace(apart, clips=8, together=True)
    on_disk = replace(DRAWN, scenes=stored, phases=(together,))
    found = {
        "drawn, apart": Way(ModelConfig.nano(), BEFORE, replace(DRAWN, phases=(apart,))),
        "on disk, together": Way(ModelConfig.nano(), BEFORE, on_disk),
        "recipe": Way(ModelConfig.nano_fine(), NOW, replace(on_disk, followed=2)),
    }
    if crops:
        squares = Phase(frames=frames, clips=12, crop=192)
        found["crops of 192"] = Way(ModelConfig.nano(), BEFORE, replace(DRAWN, phases=(squares,)))
        found["crops of 192, on disk"] = Way(ModelConfig.nano(), BEFORE, replace(on_disk, phases=(squares,)))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--frames", type=int, default=1, help="instants of a clip")
    parser.add_argument("--crops", action="store_true")
    arguments = parser.parse_args()
    steps, stored = arguments.steps + 1, 16
    compared = ways(arguments.frames, stored, arguments.crops)
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        running = []
        for way in compared.values():
            size = way.model.image_size
            source = opened.enter_context(SyntheticClips(way.scenes, size, 1, steps, folder))
            if way.scenes.scenes is not None:
                for step in range(stored):
                    source.batch(step)
            config = TrainConfig(
                micro_batch=12,
                recompute=False,
                mask_stride=2,
                drop_path=0,
                losses=way.losses,
                optimiser=OptimiserConfig(lr=1e-4, encoder_lr=1e-4, layer_decay=1),
                scratch=ScratchConfig(annotated_memory=0.5),
            )
            running.append((way, source, Trainer(build_model(way.model, seed=0), config, steps)))
        for step in range(steps):
            for way, source, trainer in running:
                advance(way, source, trainer, step)
    first = compared["drawn, apart"].report()
    report = {name: way.report() for name, way in compared.items()}
    for _name, rates in report.items():
        rates["times"] = round(rates["pairs_a_processor_second"] / first["pairs_a_processor_second"], 2)
        rates["times_by_wall"] = round(rates["pairs_a_second"] / first["pairs_a_second"], 2)
    about = {"steps": arguments.steps, "frames": arguments.frames, "threads": torch.get_num_threads()}
    print(json.dumps(about | {"ways": report}, indent=1))


def advance(way: Way, source: SyntheticClips, trainer: Trainer, step: int) -> None:
    """One step, with the scene that it makes the source draw or read; the first is to warm up."""
    start, busy = time.perf_counter(), time.process_time()
    clips = source.batch(step)
    trainer._update(clips, lambda: False)
    for scene in source._scenes.values():
        scene.result()
    if step:
        way.wall.append(time.perf_counter() - start)
        way.processor.append(time.process_time() - busy)
        way.pairs += sum(clip.query.shape[0] for clip in clips)
        way.objects += sum(clip.annotated.size for clip in clips)


if __name__ == "__main__":
    main()
