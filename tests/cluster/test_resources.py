"""How many workers there are, and when none is needed."""

from __future__ import annotations

import pytest

from lmeec.cluster import resources
from lmeec.cluster.resources import Node, Sizes, Wanted, in_process_reason, sizes
from lmeec.errors import ConfigError

MIXED = [Node(cpus=16, gpus=0), Node(cpus=32, gpus=4), Node(cpus=32, gpus=4)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), Sizes(8, 1, 8)),
        (Wanted(gpus_per_worker=0.5), Sizes(16, 0.5, 4)),
        (Wanted(gpus_per_worker=2, cpus_per_worker=3), Sizes(4, 2, 3)),
        (Wanted(workers=3), Sizes(3, 1, 8)),
        (Wanted(device="cpu", cpus_per_worker=8), Sizes(10, 0, 8)),
    ],
)
def test_workers_of_a_cluster(wanted, expected):
    assert sizes(wanted, MIXED) == expected


@pytest.mark.parametrize(
    ("workers", "cpus", "expected"), [(1, [8, 8], 8), (2, [8, 8], 8), (3, [8, 8], 4), (4, [16, 2], 4), (9, [2, 2], 1)]
)
def test_without_gpus_every_worker_fits_on_a_node(workers, cpus, expected):
    nodes = [Node(cpus=count, gpus=0) for count in cpus]
    assert sizes(Wanted(workers=workers), nodes) == Sizes(workers, 0, expected)


def test_a_run_stays_in_its_process_only_where_one_worker_would_do(monkeypatch):
    monkeypatch.setattr(resources, "this_machine", lambda: Node(cpus=2, gpus=1))
    assert "one worker" in in_process_reason(Wanted(), needs_workers=False)
    assert in_process_reason(Wanted(workers=1), needs_workers=False) is None
    assert in_process_reason(Wanted(address="head:6379"), needs_workers=False) is None
    assert in_process_reason(Wanted(), needs_workers=True) is None
    monkeypatch.setattr(resources, "this_machine", lambda: Node(cpus=8, gpus=4))
    assert in_process_reason(Wanted(), needs_workers=False) is None
    assert in_process_reason(Wanted(workers=0), needs_workers=False) == "no workers are asked for"


@pytest.mark.parametrize("wrong", [{"workers": -1}, {"gpus_per_worker": -1}, {"cpus_per_worker": 0}])
def test_numbers_out_of_range_are_told(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Wanted(**wrong)
