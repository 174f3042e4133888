"""Two `lmeec predict` on one output: one of them does it, and no table is ever of a part of the takes."""

from __future__ import annotations

import signal
import time

import pytest

from lmeec.config import PredictConfig
from lmeec.data.takes import find_takes
from lmeec.errors import OutputError
from lmeec.runs import heartbeat, predict, work
from lmeec.runs.events import JobFinished
from lmeec.runs.executor import InProcess
from lmeec.runs.worker import Worker
from lmeec.tables import list_parts, parts_directory, read_results
from tests.support.command import start_lmeec
from tests.support.drivers import at_once
from tests.support.tables import assert_same_but_for_the_calls, names_left
from tests.support.watching import Watcher

PREPARE = """
import lmeec_cli.main, lmeec.runs.predict, lmeec.runs.worker, lmeec.data.takes
import torch
torch.set_num_threads(1)
"""
PREDICT = """
sys.argv = ["lmeec", "predict", *sys.argv[1:]]
lmeec_cli.main.main()
"""


@pytest.fixture
def out(tmp_path):
    return tmp_path / "results.parquet"


def test_of_two_drivers_that_start_at_the_same_instant_one_makes_the_whole_table(takes, tiny, out, tmp_path):
    takes.add_copies(3)
    call = [takes.root, "--checkpoint", tiny, "--workers", 0, "--out"]
    one, other = sorted(at_once(2, PREPARE, PREDICT, [*call, out]))
    assert one[0] == 0, one[2]
    assert other[0] == 1, other[2]
    assert f"error: {parts_directory(out)}: another run (process " in other[2]
    assert "wait until it ends, stop it, or name another output" in other[2]
    assert "Traceback" not in other[2]
    ((status, _, _),) = at_once(1, PREPARE, PREDICT, [*call, tmp_path / "alone.parquet"])
    assert status == 0
    assert_same_but_for_the_calls(out, tmp_path / "alone.parquet")
    assert names_left(tmp_path) == ["alone.parquet", "results.parquet", "takes"]


def test_a_killed_driver_is_followed_at_once(takes, tiny, out):
    takes.add_copies(3)
    call = ["predict", takes.root, "--out", out, "--checkpoint", tiny, "--workers", 0]
    killed = start_lmeec(*call)
    while len(list_parts(parts_directory(out))) < 2:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    start = time.monotonic()
    rerun = start_lmeec(*call)  # while the killed one is not even waited for
    _, err = rerun.communicate(timeout=200)
    killed.communicate()
    assert rerun.returncode == 0, err
    assert "done before" in err
    assert time.monotonic() - start < heartbeat.SILENT_AFTER_S / 2


@pytest.fixture
def drive(takes, tiny, out):
    def run_it(watcher, **options):
        worker = Worker({"ego2exo": str(tiny), "exo2ego": str(tiny)}, PredictConfig())
        return predict.run_predictions(InProcess(worker), find_takes(takes.root), out, watcher, **options)

    return run_it


def test_a_part_that_vanishes_is_an_error_that_names_it(drive, takes, out):
    def lose_the_first(event):
        if isinstance(event, JobFinished) and len(watcher.of(JobFinished)) == 4:
            parts = list_parts(parts_directory(out))
            next(part for part in parts if takes.uids[1] in part.name and "exo2ego" in part.name).unlink()

    watcher = Watcher(lose_the_first)
    with pytest.raises(OutputError, match=rf"finished are gone or damaged in .*\('{takes.names[1]} exo2ego'\)"):
        drive(watcher)
    assert not out.exists()
    again = Watcher()
    assert drive(again).resumed == 3
    assert len(again.of(JobFinished)) == 1
    assert read_results(out).num_rows > 0


def test_beats_go_on_during_the_join(drive, out, monkeypatch):
    seen = set()
    join = work.merge_parts

    def slowly(*arguments, **options):
        for _ in range(20):
            time.sleep(0.05)
            seen.add((parts_directory(out) / heartbeat.HEARTBEAT_FILE).read_bytes())
        return join(*arguments, **options)

    monkeypatch.setattr(heartbeat, "_BEAT_EVERY_S", {True: 0.05})
    monkeypatch.setattr(work, "merge_parts", slowly)
    drive(Watcher())
    assert len(seen) > 5
