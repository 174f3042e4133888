"""Memory policies on cases small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmeec.memory.policies import Confident, KeyFrames, drop, fifo, merge


def bank(*positions):
    """Entries [1, n, P, 1] from the values over time of each position."""
    return torch.tensor(positions, dtype=torch.float32).T[None, :, :, None]


def values(entries):
    return entries[0, :, :, 0].T.tolist()


def test_drop_removes_the_later_of_the_nearest_two_at_each_position_by_itself():
    entries = bank([0, 5, 6, 20], [0, 10, 20, 21], [3, 3, 9, 30])
    assert values(drop(entries)) == [[0, 5, 20], [0, 10, 20], [3, 9, 30]]


def test_merge_replaces_the_nearest_two_by_their_mean():
    entries = bank([0, 5, 6, 20], [0, 10, 20, 21], [3, 3, 9, 30])
    assert values(merge(entries)) == [[0, 5.5, 20], [0, 10, 20.5], [3, 9, 30]]


def test_fifo_drops_the_oldest():
    assert values(fifo(bank([0, 5, 6], [3, 2, 1]))) == [[5, 6], [2, 1]]


@pytest.mark.parametrize("policy", [drop, merge])
def test_of_equal_distances_the_earliest_counts(policy):
    assert values(policy(bank([4, 4, 4, 4])))[0] == [4, 4, 4]
    assert values(drop(bank([0, 1, 2, 3])))[0] == [0, 2, 3]


def test_nearness_is_the_distance_over_all_channels():
    entries = torch.tensor([[[0.0, 0.0]], [[3.0, 4.0]], [[3.0, 8.5]], [[9.0, 8.5]]])[None]
    assert drop(entries)[0, :, 0].tolist() == [[0, 0], [3, 4], [9, 8.5]]


@pytest.mark.parametrize("policy", [drop, merge, fifo])
def test_rows_of_a_batch_are_compressed_alone(policy):
    first, second = bank([0, 5, 6, 20]), bank([0, 10, 20, 21])
    together = policy(torch.cat([first, second]))
    assert values(together[:1]) == values(policy(first))
    assert values(together[1:]) == values(policy(second))


def test_kmeans_keeps_a_step_of_each_cluster_in_time_order():
    summaries = np.array([[0.0], [100.0], [1.0], [2.0], [101.5], [200.0]], np.float32)
    assert KeyFrames()(summaries, [0.0] * 6, 3, 15) == [1, 2, 5]


def test_kmeans_keeps_everything_while_there_is_room():
    assert KeyFrames()(np.zeros((3, 4), np.float32), [0.0] * 3, 6, 15) == [0, 1, 2]


def test_kmeans_of_a_still_video_neither_fails_nor_warns(recwarn):
    chosen = KeyFrames()(np.ones((9, 4), np.float32), [0.0] * 9, 6, 15)
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= 6
    assert not list(recwarn)


@pytest.mark.parametrize(
    ("ious", "reach", "chosen"),
    [
        ([0.1], 15, [0]),
        ([0.9, 0.9], 15, [1, 0]),
        ([0.9, 0.1], 15, [1, 0]),
        ([0.9, 0.9, 0.1], 15, [1, 2]),
        ([0.9, 0.9, 0.1, 0.1], 15, [1, 3, 2]),
        ([0.9, 0.9, 0.1, 0.9], 15, [1, 3, 2]),
        ([0.9, 0.9, 0.8, 0.7, 0.2, 0.9], 3, [3, 5, 4]),
        ([0.9, 0.3, 0.31, 0.9, 0.9], 4, [2, 3, 4]),
    ],
)
def test_iou_lists_confident_steps_and_then_the_last_two(ious, reach, chosen):
    """No released vector exists for this policy: the lists are worked out from DESIGN 3 by hand."""
    assert Confident(0.3)(np.zeros((len(ious), 2), np.float32), ious, 6, reach) == chosen
