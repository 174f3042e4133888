"""The batch that `--batch-tracks auto` takes on a GPU, against what shapes say that a step needs."""

from __future__ import annotations

import pytest
import torch

from lmeec.config import ModelConfig
from lmeec.inference.batch_size import bytes_per_track, gpu_batch
from lmeec.model.build import build_model
from tests.support.meta import META
from tests.support.peak_of_shapes import peaks_of_step

GIB = 2**30
CARDS = {"24 GB": 22 * GIB, "80 GB": 78 * GIB}
"""Free memory, less what the weights and CUDA take."""

RULED = 3 * GIB
"""So little free memory that it decides."""


@pytest.fixture(scope="module")
def base_plus():
    return build_model(ModelConfig.base_plus(), seed=1).to(META)


@pytest.mark.parametrize(
    ("objects", "cameras", "batches", "dtype"),
    [(5, 4, (4, 64), torch.bfloat16), (20, 5, (gpu_batch(ModelConfig.base_plus(), RULED), 64), torch.float32)],
)
def test_a_step_needs_what_the_rule_reckons_with(objects, cameras, batches, dtype, base_plus):
    config = base_plus.config
    peaks = peaks_of_step(base_plus, objects, cameras, batches, dtype=dtype)
    few, many = (min(batch, objects * cameras) for batch in batches)
    growth = (peaks[batches[1]].step - peaks[batches[0]].step) / (many - few)
    share = {torch.float32: (0.9, 1.0), torch.bfloat16: (0.6, 1.0)}[dtype]
    assert share[0] <= growth / bytes_per_track(config) <= share[1]
    for name, free in CARDS.items():
        assert gpu_batch(config, free) == 64
        assert peaks[64].step <= free / 2, f"64 tracks do not fit half of a card of {name}"
    if dtype == torch.float32:
        assert 1 < few < 64
        assert peaks[few].step - peaks[few].held <= 1.1 * RULED / 2, "half, and a tenth for what all tracks share"


def test_a_batch_is_never_empty():
    assert gpu_batch(ModelConfig.base_plus(), 0) == 1
