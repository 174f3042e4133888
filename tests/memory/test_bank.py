"""Banks of many tracks at once."""

from __future__ import annotations

import gc

import pytest
import torch

from lmeec.config import MemoryConfig
from lmeec.memory.bank import MemoryBank, dual_memory
from lmeec.memory.policies import drop, fifo


def memory(*numbers):
    """A memory [1, 1] for each row, holding the number."""
    return torch.tensor(numbers, dtype=torch.float32)[:, None, None]


def held(bank, row):
    return bank.read([row])[0, :, 0, 0].tolist()


def add(bank, rows, *numbers):
    bank.open(rows)
    bank.add(rows, memory(*numbers))()


def test_rows_grow_on_their_own_and_full_ones_are_compressed():
    bank = MemoryBank(size=2, compression=fifo)
    add(bank, [0], 1)
    add(bank, [0, 1], 2, 10)
    add(bank, [0], 3)
    assert bank.lengths == {0: 2, 1: 1}
    assert held(bank, 0) == [2, 3]
    assert held(bank, 1) == [10]


def test_a_cleared_row_can_be_filled_again():
    bank = MemoryBank(size=2, compression=fifo)
    add(bank, [0], 1)
    bank.clear(0)
    add(bank, [0], 5)
    assert bank.lengths == {0: 1}
    assert held(bank, 0) == [5]


def test_what_was_not_committed_is_not_there():
    bank = MemoryBank(size=2, compression=drop)
    for number in (1, 5):
        add(bank, [0], number)
    bank.open([0, 1])
    bank.add([0, 1], memory(6, 7))
    assert held(bank, 0) == [1, 5]
    assert bank.lengths[1] == 0


def allocated(call):
    """Bytes of the tensors that a call makes and leaves behind in storages of their own."""
    gc.collect()
    before = {id(tensor) for tensor in tensors()}
    kept = call()
    gc.collect()
    storages = {tensor.untyped_storage().data_ptr(): tensor for tensor in tensors() if id(tensor) not in before}
    return kept, sum(tensor.untyped_storage().nbytes() for tensor in storages.values())


def tensors():
    return [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]


def run(policy, ends, size=6, batch=16):
    """Tracks that are there one after the other, `batch` at a time, each for so many steps; their memory."""
    count = batch * ends
    torch.manual_seed(0)
    banks = dual_memory(MemoryConfig(policy=policy), size, list(range(count)), [11] * count)
    for first in range(0, count, batch):
        tracks = list(range(first, first + batch))
        for _ in range(12):
            banks.begin(tracks)
            some = torch.rand(batch, 10, 4)
            banks.add_targets(tracks, some, torch.rand(batch))()
            banks.add_views(tracks, some)()
            banks.finish()
        if first + batch < count:
            for track in tracks:
                banks.forget(track)
    return banks


@pytest.mark.parametrize("policy", ["drop", "merge", "fifo", "iou"])
def test_banks_take_the_memory_of_the_tracks_alive_however_many_there_were(policy):
    _, once = allocated(lambda: run(policy, 1))
    _, often = allocated(lambda: run(policy, 5))
    places = {"iou": 9}.get(policy, 6)
    assert once <= 2 * 16 * places * 10 * 4 * 4 + 16 * 5 * 4, "entries, and one frame's facts"
    assert often <= 1.05 * once, "`iou` holds more or fewer steps, as it finds them"


def test_a_selection_that_never_forgets_has_on_the_device_what_banks_hold_alone():
    banks = run("kmeans", 1)
    assert banks._targets._rows.tensor.shape == (16 * 7, 10, 4)
    assert banks._views._rows.tensor.shape == (16 * 7, 10, 4)
    banks.begin(list(range(16)))
    assert len(banks._targets._host) >= 16 * (12 - 6)
    storages = {memory.untyped_storage().nbytes() for memory in banks._targets._host.values()}
    assert storages == {10 * 4 * 4}, "none keeps the rows that it came with"


def step(banks, tracks, streams, number, iou=0.9):
    banks.begin(tracks)
    banks.add_targets(tracks, memory(*[100 * t + number for t in tracks]), torch.full((len(tracks),), iou))()
    banks.add_views(streams, memory(*[-100 * s - number for s in streams]))()
    banks.finish()


def both(banks, track):
    return banks.read([track])[0, :, 0, 0].tolist()


@pytest.mark.parametrize("policy", ["fifo", "iou"])
def test_tracks_of_a_stream_share_its_query_bank(policy):
    banks = dual_memory(MemoryConfig(policy=policy), 2, [0, 0, 1], [15, 15, 15])
    for number in (1, 2, 3):
        step(banks, [0, 1, 2], [0, 1], number)
    assert both(banks, 0) == [-2, -3, 2, 3]
    assert both(banks, 1) == [-2, -3, 102, 103]
    assert both(banks, 2) == [-102, -103, 202, 203]


@pytest.mark.parametrize("policy", ["fifo", "iou"])
def test_a_track_that_ends_does_not_disturb_its_streams_other_tracks(policy):
    banks = dual_memory(MemoryConfig(policy=policy), 2, [0, 0], [15, 15])
    step(banks, [0, 1], [0], 1)
    banks.forget(0)
    assert banks.length(0) == 0
    step(banks, [1], [0], 2)
    in_order = slice(None, None, -1 if policy == "iou" else 1)  # the first step is no candidate, so it comes last
    assert both(banks, 1) == [*[-1, -2][in_order], *[101, 102][in_order]]


def test_iou_chooses_the_same_steps_for_both_views():
    banks = dual_memory(MemoryConfig(policy="iou"), 3, [0], [15])
    for number, iou in enumerate([0.9, 0.1, 0.8, 0.2], start=0):
        step(banks, [0], [0], number + 1, iou)
    assert both(banks, 0) == [-3, -4, 3, 4]
    assert banks.length(0) == 2, "the first step is confident, but is never a candidate"
    assert banks.pointer_steps(0) == [3, 2]
    for number, iou in enumerate([0.9, 0.1, 0.2], start=5):
        step(banks, [0], [0], number, iou)
    assert banks.pointer_steps(0) == [5, 6, 4, 2], "the last is missing, then the one before it"
    assert both(banks, 0) == [-5, -7, -6, 5, 7, 6]


def test_kmeans_can_choose_an_early_step_again():
    banks = dual_memory(MemoryConfig(policy="kmeans"), 2, [0], [15])
    for number in (1, 50, 51, 49):
        step(banks, [0], [0], number)
    query, target = both(banks, 0)[:2], both(banks, 0)[2:]
    assert query == [-number for number in target]
    assert target[0] == 1
    assert target[1] in (49, 50, 51)
