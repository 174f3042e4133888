"""Banks of many tracks at once."""

from __future__ import annotations

import pytest
import torch

from lmeec.config import MemoryConfig
from lmeec.memory.bank import MemoryBank, dual_memory
from lmeec.memory.policies import fifo


def memory(*numbers):
    """A memory [1, 1] for each row, holding the number."""
    return torch.tensor(numbers, dtype=torch.float32)[:, None, None]


def held(bank, row):
    return bank.read([row])[0, :, 0, 0].tolist()


def test_rows_grow_on_their_own_and_full_ones_are_compressed():
    bank = MemoryBank(rows=2, size=2, compression=fifo)
    bank.add([0], memory(1))
    bank.add([0, 1], memory(2, 10))
    bank.add([0], memory(3))
    assert bank.lengths == [2, 1]
    assert held(bank, 0) == [2, 3]
    assert held(bank, 1) == [10]


def test_a_cleared_row_can_be_filled_again():
    bank = MemoryBank(rows=1, size=2, compression=fifo)
    bank.add([0], memory(1))
    bank.clear(0)
    bank.add([0], memory(5))
    assert bank.lengths == [1]
    assert held(bank, 0) == [5]


def step(banks, tracks, streams, number, iou=0.9):
    banks.add_targets(tracks, memory(*[100 * t + number for t in tracks]), torch.full((len(tracks),), iou))
    banks.add_views(streams, memory(*[-100 * s - number for s in streams]))


def both(banks, track):
    return banks.read([track])[0, :, 0, 0].tolist()


@pytest.mark.parametrize("policy", ["fifo", "iou"])
def test_tracks_of_a_stream_share_its_query_bank(policy):
    banks = dual_memory(MemoryConfig(policy=policy), 2, stream_of=[0, 0, 1])
    for number in (1, 2, 3):
        step(banks, [0, 1, 2], [0, 1], number)
    assert both(banks, 0) == [-2, -3, 2, 3]
    assert both(banks, 1) == [-2, -3, 102, 103]
    assert both(banks, 2) == [-102, -103, 202, 203]


@pytest.mark.parametrize("policy", ["fifo", "iou"])
def test_a_track_that_ends_does_not_disturb_its_streams_other_tracks(policy):
    banks = dual_memory(MemoryConfig(policy=policy), 2, stream_of=[0, 0])
    step(banks, [0, 1], [0], 1)
    banks.forget(0)
    assert banks.length(0) == 0
    step(banks, [1], [0], 2)
    assert both(banks, 1) == [-1, -2, 101, 102]


def test_iou_chooses_the_same_steps_for_both_views():
    banks = dual_memory(MemoryConfig(policy="iou"), 3, stream_of=[0])
    for number, iou in enumerate([0.9, 0.1, 0.8, 0.2], start=1):
        step(banks, [0], [0], number, iou)
    assert both(banks, 0) == [-1, -3, -4, 1, 3, 4]
    assert banks.length(0) == 3


def test_kmeans_can_choose_an_early_step_again():
    banks = dual_memory(MemoryConfig(policy="kmeans"), 2, stream_of=[0])
    for number in (1, 50, 51, 49):
        step(banks, [0], [0], number)
    query, target = both(banks, 0)[:2], both(banks, 0)[2:]
    assert query == [-number for number in target]
    assert target[0] == 1
    assert target[1] in (49, 50, 51)
