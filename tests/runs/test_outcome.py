"""What workers tell of jobs."""

from __future__ import annotations

import subprocess
import sys

import torch

from lmeec.runs.outcome import JobError


def test_who_sends_and_receives_it_needs_no_torch():
    ask = "import sys, lmeec.cluster.actor, lmeec.runs.ledger; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask], check=False).returncode == 0


def test_a_full_gpu_is_said_to_be_one_and_its_worker_is_replaced():
    judged = JobError.of(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore"))
    assert judged.reason.startswith("out of GPU memory with one track at a time")
    assert judged.reason.endswith("(CUDA out of memory. Tried to allocate 2 GiB)")
    assert judged.fresh_worker
    assert judged.retry
