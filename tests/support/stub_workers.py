"""Workers that misbehave."""

from __future__ import annotations

import os
import signal
import sys
import time

import ray.cloudpickle

from lmeec.config import PredictConfig
from lmeec.errors import DiskFullError
from lmeec.runs.outcome import ModelInfo, PartResult
from lmeec.tables import PartWriter
from lmeec.tables.coverage import Coverage

# Workers cannot import test modules.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


class StubWorker:
    """Writes parts without rows; does as the take's uid says."""

    def __init__(self, config: PredictConfig | None = None) -> None:
        self.config = config or PredictConfig()

    def describe(self):
        info = ModelInfo("stub", "0" * 64, "cpu", "float32")
        return dict.fromkeys(self.config.directions, info)

    def predict_part(self, take, job, directory, run):
        if take.uid.endswith("-deadly"):
            os.kill(os.getpid(), signal.SIGKILL)
        if take.uid.endswith("-broken"):
            raise RuntimeError("a bug")
        if take.uid.endswith("-endless"):
            time.sleep(1000)
        with PartWriter(directory, run, take.uid, job.direction, job.piece, Coverage(tuple(sorted(job.pairs)))) as part:
            yield 1
        return PartResult(part.rows, 1, 0.1, ())


class FullDisk(StubWorker):
    """Finds no room for its parts."""

    def predict_part(self, take, *arguments):
        raise DiskFullError("cannot write parts: No space left on device")
        yield
