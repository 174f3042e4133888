"""What a second worker brings: one and two workers of one thread each, with the nano model on synthetic takes.

    python -m benchmarks.workers --takes 6 --seconds 20

Times are of the runs themselves: both start when all workers have loaded the model.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lmeec.cluster.executor import RayExecutor
from lmeec.cluster.resources import Sizes, Wanted
from lmeec.cluster.session import ray_session
from lmeec.config import PredictConfig
from lmeec.data.takes import TakeSet, find_takes
from lmeec.runs.predict import run_predictions
from lmeec.runs.worker import Worker
from lmeec.synthetic.scene import SceneConfig
from lmeec.synthetic.writer import DatasetConfig, write_dataset

if TYPE_CHECKING:
    from lmeec.runs.events import Event
    from lmeec.runs.progress import Progress
    from lmeec.runs.work import RunSummary

CONFIG = PredictConfig()


class Silent:
    """Shows nothing."""

    def event(self, event: Event) -> None:
        """See `Reporter`."""

    def update(self, progress: Progress) -> None:
        """See `Reporter`."""


def timed(takes: TakeSet, workers: int, out: Path) -> RunSummary:
    """Predict with workers of one thread each."""
    make_worker = partial(Worker, {"ego2exo": "nano", "exo2ego": "nano"}, CONFIG)
    wanted = Wanted(workers=workers, cpus_per_worker=1, device="cpu")
    with ray_session(wanted), RayExecutor(make_worker, CONFIG, Sizes(workers, 0, 1)) as executor:
        executor.wait_for_all()
        return run_predictions(executor, takes, out, Silent(), overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--takes", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "takes"
        scene = SceneConfig(seconds=options.seconds)
        write_dataset(root, DatasetConfig(takes=options.takes, scene=scene, size=240, workers=2))
        takes = find_takes(root)
        one, two = (timed(takes, workers, Path(folder) / f"{workers}.parquet") for workers in (1, 2))
    result = {
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "predictions": one.rows,
        "seconds_one_worker": round(one.seconds, 2),
        "seconds_two_workers": round(two.seconds, 2),
        "speedup": round(one.seconds / two.seconds, 2),
    }
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
