"""The whole way after decoding on torch's meta device: no tensor left on the host, no transfer that hides."""

from __future__ import annotations

import pytest
import torch

import lmeec
from lmeec.config import MemoryConfig
from lmeec.inference.outputs import fetch_outputs
from lmeec.inference.plan import PlannedTrack
from lmeec.inference.tracker import Tracker
from lmeec.model.build import build_model
from tests.support.meta import META, OneDevice
from tests.support.tiny import TINY

POLICIES = ("drop", "merge", "fifo", "kmeans", "iou")
STEPS = 9
SIZES = {"q": (64, 64), "t": (36, 64)}


@pytest.fixture(scope="module")
def meta_model():
    return build_model(TINY, seed=1).to(META)


def ramp(tensor):
    """Numbers that differ from row to row, so that policies choose among them."""
    return torch.linspace(0, 1, tensor.numel()).view(tensor.shape).to(tensor.dtype)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_take_crosses_to_the_host_once_a_batch(policy, meta_model, monkeypatch):
    """Two cameras, three tracks of two streams, batches of two."""
    specs = [
        PlannedTrack(0, "q", "t", range(STEPS)),
        PlannedTrack(0, "q", "q", range(STEPS)),
        PlannedTrack(1, "t", "q", range(STEPS - 2)),
    ]
    chooses, offloads = policy in ("kmeans", "iou"), policy == "kmeans"
    with OneDevice(ramp).seam(monkeypatch) as device:
        tracker = Tracker(meta_model, specs, MemoryConfig(policy=policy), batch_tracks=2)
        for k in range(STEPS):
            active = [i for i, spec in enumerate(specs) if k < len(spec.frames)]
            frames = {camera: torch.zeros(64, 64, 3, dtype=torch.uint8) for camera in SIZES}
            masks = {stream: torch.ones(64, 64, dtype=torch.bool) for stream in {specs[i].stream for i in active}}
            before, batches = len(device.brought), 0
            for batch, decoded in tracker.step(active, frames, masks):
                outputs = fetch_outputs(decoded, [SIZES[specs[i].target_camera] for i in batch])
                assert len(outputs.get().masks) == len(batch)
                batches += 1
            crossed = device.brought[before:]
            facts = [shape for shape in crossed if shape == (len(active), TINY.memory_dim + 1)]
            memories = [shape for shape in crossed if shape[1:] == (TINY.grid**2, TINY.memory_dim)]
            assert len(facts) == chooses, "one small copy a frame for all tracks where the host chooses"
            assert len(memories) <= 2 * offloads, "what is moved to the host, a copy for each view"
            assert len(crossed) == batches + len(facts) + len(memories)
    assert (64, 64, 3) in {shape[1:] for shape in device.sent}


def test_track_crosses_once_a_step(meta_model, monkeypatch):
    clip, masks = torch.zeros(STEPS, 64, 64, 3, dtype=torch.uint8), torch.ones(STEPS, 64, 64, dtype=torch.bool)
    with OneDevice().seam(monkeypatch) as device:
        track = lmeec.track(meta_model, clip, clip, masks)
    assert len(device.brought) == STEPS
    assert track.mask_logits.device.type == "cpu"


@pytest.mark.parametrize(
    "hidden",
    [
        lambda x: x[torch.tensor([1, 0])],
        lambda x: x + torch.ones(2),
        lambda x: x.index_select(0, torch.tensor([0])),
        lambda x: torch.tensor([0, 1], device=x.device),
        lambda x: torch.asarray([0, 1], device=x.device),
        lambda x: x.new_tensor([0, 1]),
        lambda x: x[[1, 0]],
        lambda x: x.__setitem__([1, 0], 2.0),
        lambda x: x.__setitem__(0, torch.ones(1)),
        lambda x: torch.ones(2).to(x.device),
        lambda x: torch.tensor(1.0).to(x.device),
        lambda x: x.cpu(),
        lambda x: x.sum().item(),
        lambda x: x.nonzero(),
    ],
)
def test_the_watch_sees_transfers_that_hide(hidden, monkeypatch):
    x = torch.ones(2, device=META)
    with (
        OneDevice().seam(monkeypatch),
        pytest.raises((AssertionError, NotImplementedError, RuntimeError), match=r"hidden|meta|Cannot|device"),
    ):
        hidden(x)
