"""What a process that predicts holds does not grow with a take's length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lmeec.config import ExecutionConfig, MemoryConfig, PredictConfig
from lmeec.data.takes import find_takes
from lmeec.runs.jobs import Job, Share
from lmeec.runs.worker import Worker
from tests.support.memory import peaks_of_steps
from tests.support.rendered import EGO
from tests.support.repeated import repeat_takes
from tests.support.rows import RUN

if TYPE_CHECKING:
    from pathlib import Path


def predict_one_object(takes: Path, policy: str, reverse: bool):
    """Steps of a worker that predicts one object in one target camera."""
    take = next(iter(find_takes(takes)))
    (exo, *_) = sorted(take.cameras.keys() - {EGO})
    name = next(name for name in take.objects if len(take.tracks[name, EGO].frames) == 140)
    config = PredictConfig(memory=MemoryConfig(policy=policy), objects=(name,), reverse=reverse)
    job = Job(0, take.uid, take.name, "ego2exo", (Share(exo, 140, 140, (EGO,)),))
    worker = Worker({"ego2exo": "nano"}, config, ExecutionConfig(device="cpu"))
    yield from worker.predict_part(take, job, takes.parent / policy, RUN)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_long_take_needs_no_more_memory_than_its_beginning(reverse, rendered_takes, tmp_path):
    takes = repeat_takes(rendered_takes.root, tmp_path / "takes", times=35)
    # By step 40 banks, pointers and queues are full. An entry of both banks kept a step would be 24 MB between them.
    early, late = peaks_of_steps([range(40, 60), range(120, 140)], predict_one_object, takes, "drop", reverse)
    assert late - early < 10e6
