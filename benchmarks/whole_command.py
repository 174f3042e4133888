"""A whole prediction run on synthetic takes, from finding them to the sorted table: the share outside the network.

The network is base_plus with random weights on the CPU, so the share is that of decoding, masks, metrics and writing
as far as they do not overlap with it.

    python -m benchmarks.whole_command
    python -m benchmarks.whole_command --objects 3 --exo 2 --seconds 6
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch

from lmeec.config import PRESETS, ExecutionConfig, PredictConfig
from lmeec.data.takes import find_takes
from lmeec.model.build import build_model
from lmeec.model.checkpoint import write_safetensors
from lmeec.runs.executor import InProcess
from lmeec.runs.predict import run_predictions
from lmeec.runs.worker import Worker
from lmeec.synthetic.scene import SceneConfig
from lmeec.synthetic.writer import DatasetConfig, write_dataset
from tests.support.reference import with_named_weights


class Silent:
    """A reporter that shows nothing."""

    def event(self, event: object) -> None:
        """See `Reporter`."""

    def update(self, progress: object) -> None:
        """See `Reporter`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="base_plus")
    parser.add_argument("--objects", type=int, default=3)
    parser.add_argument("--exo", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--size", type=int, default=1080, help="height of the videos")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments, Path(folder)), indent=2))


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    exo = (arguments.exo, arguments.exo)
    scene = SceneConfig(seconds=arguments.seconds, objects=arguments.objects, exo_cameras=exo)
    write_dataset(folder / "takes", DatasetConfig(1, 3, scene, arguments.size, "val", False, 2))
    checkpoint = folder / "weights.safetensors"
    config = PRESETS[arguments.preset]()
    write_safetensors(checkpoint, with_named_weights(build_model(config)).state_dict(), config)
    start = time.perf_counter()
    worker = Worker({"ego2exo": str(checkpoint)}, PredictConfig(directions=("ego2exo",)), ExecutionConfig(profile=True))
    loaded = time.perf_counter()
    takes = find_takes(folder / "takes")
    summary = run_predictions(InProcess(worker), takes, folder / "results.parquet", Silent())
    wall = time.perf_counter() - loaded
    network = summary.profile.stages["network"]
    return {
        "settings": vars(arguments),
        "predictions": summary.rows,
        "seconds": {"load model": loaded - start, "run": wall, "network": network},
        "share_outside_network": 1 - network / wall,
        "profile": asdict(summary.profile),
    }


if __name__ == "__main__":
    main()
