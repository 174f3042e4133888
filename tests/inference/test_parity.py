"""Agreement with the released model, step by step, for every memory policy that there are reference vectors for."""

from functools import cache

import numpy as np
import pytest
import torch

import lmeec
from lmeec.config import MemoryConfig
from lmeec.inference.plan import PlannedTrack
from lmeec.inference.tracker import Tracker
from tests.support.reference import small_model

POLICY_OF = {"drop": "drop", "mean": "merge", "fifo": "fifo", "kmeans": "kmeans", "absent": "drop"}
OUTPUTS = {"logits": "mask_logits", "object_score": "object_score", "iou": "predicted_iou", "obj_ptr": "object_pointer"}


@pytest.fixture(scope="module")
def models(model):
    return dict.fromkeys(POLICY_OF, model) | {"absent": small_model("|15")}


@pytest.mark.parametrize("group", POLICY_OF)
def test_outputs_equal_the_released_models(group, models, reference):
    memory = MemoryConfig(policy=POLICY_OF[group])
    track = lmeec.track(models[group], reference["query"], reference["target"], reference["masks"], memory)
    for key, attribute in OUTPUTS.items():
        np.testing.assert_allclose(getattr(track, attribute), reference[f"{group}/{key}"], atol=1e-3, rtol=0)


@pytest.mark.parametrize("group", [group for group in POLICY_OF if group != "fifo"])
def test_banks_equal_the_released_models(group, models, reference):
    tracker = Tracker(models[group], [PlannedTrack(0, "q", "t", range(12))], MemoryConfig(policy=POLICY_OF[group]), 1)
    for k in range(11):
        _advance(tracker, [0], reference, k)
    expected = np.concatenate([reference[f"{group}/query_bank"], reference[f"{group}/target_bank"]])[:, :, 0]
    np.testing.assert_allclose(tracker.memory.read([0])[0], expected, atol=1e-3, rtol=0)


def test_absent_object_gives_no_mask(models, reference):
    assert (reference["absent/object_score"] <= 0).any(), "the group covers the absent branch"
    track = lmeec.track(models["absent"], reference["query"], reference["target"], reference["masks"])
    absent = track.object_score <= 0
    assert (track.mask_logits[absent] == -1024).all()
    assert (track.mask_logits[~absent] > -1024).all()


# Tracks of different lengths, starts and cameras, two of them sharing a query stream: (stream, target camera, steps).
TRACKS = [(0, "t", range(12)), (0, "q", range(12)), (1, "t", range(3, 12)), (2, "q", range(1, 5)), (1, "q", [7])]


@pytest.fixture(scope="module")
def streams(reference):
    """Query cameras and their masks."""
    masks = reference["masks"]
    return [("q", masks), ("q", masks[::-1].copy()), ("t", masks)]


@pytest.fixture(scope="module")
def alone(model, reference, streams):
    """Logits of each track alone with some memory, computed once for all batch sizes."""

    @cache
    def tracks(memory):
        videos = {"q": reference["query"], "t": reference["target"]}
        logits = []
        for stream, target, steps in TRACKS:
            (camera, masks), index = streams[stream], list(steps)
            track = lmeec.track(model, videos[camera][index], videos[target][index], masks[index], memory)
            logits.append(track.mask_logits)
        return logits

    return tracks


@pytest.mark.parametrize("policy", ["drop", "merge", "fifo", "kmeans", "iou"])
@pytest.mark.parametrize("batch", [1, 2, 16])
def test_a_batch_gives_each_track_what_it_gets_alone(policy, batch, model, reference, streams, alone):
    memory = MemoryConfig(policy=policy, iou_threshold=0.43)
    specs = [PlannedTrack(stream, streams[stream][0], target, steps) for stream, target, steps in TRACKS]
    tracker = Tracker(model, specs, memory, batch)
    together: dict[int, list] = {i: [] for i in range(len(TRACKS))}
    videos = {"q": reference["query"], "t": reference["target"]}
    for k in range(12):
        active = [i for i, (_, _, steps) in enumerate(TRACKS) if k in steps]
        frames = {camera: torch.from_numpy(video[k]) for camera, video in videos.items()}
        current = {s: torch.from_numpy(streams[s][1][k]) for s in {TRACKS[i][0] for i in active}}
        for tracks, decoded in tracker.step(active, frames, current):
            for row, i in enumerate(tracks):
                together[i].append(decoded.mask_logits[row])
    for i, logits in enumerate(alone(memory)):
        np.testing.assert_allclose(torch.stack(together[i]), logits, atol=1e-4, rtol=0)


def _advance(tracker, active, reference, k):
    frames = {"q": torch.from_numpy(reference["query"][k]), "t": torch.from_numpy(reference["target"][k])}
    list(tracker.step(active, frames, {0: torch.from_numpy(reference["masks"][k])}))


def test_out_of_memory_halves_the_batch_and_changes_nothing(model, reference, monkeypatch):
    specs = [PlannedTrack(0, "q", "t", range(12)) for _ in range(5)]
    decode, tried = model.decode, []

    def scarce(fused, target, *prototype):
        tried.append(len(fused))
        if len(fused) > 2:
            raise torch.OutOfMemoryError("no room")
        return decode(fused, target)

    monkeypatch.setattr(model, "decode", scarce)
    tracker = Tracker(model, specs, MemoryConfig(), 5)
    for k in range(9):
        frames = {"q": torch.from_numpy(reference["query"][k]), "t": torch.from_numpy(reference["target"][k])}
        done = list(tracker.step(range(5), frames, {0: torch.from_numpy(reference["masks"][k])}))
        assert [track for batch, _ in done for track in batch] == list(range(5))
        for _, decoded in done:
            for logits in decoded.mask_logits:
                np.testing.assert_allclose(logits, reference["drop/logits"][k], atol=1e-3, rtol=0)
    assert tried[:2] == [5, 2], "tried once with all, then with half"
    assert max(tried[1:]) == 2


def test_out_of_memory_with_one_track_is_an_error(model, reference, monkeypatch):
    def never(*_):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(model, "encode", never)
    tracker = Tracker(model, [PlannedTrack(0, "q", "t", range(12))], MemoryConfig(), 4)
    with pytest.raises(torch.OutOfMemoryError):
        _advance(tracker, [0], reference, 0)
