"""`lmeec predict --workers N` as a user has it: a cluster of its own that is gone afterwards."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time

import psutil
import pytest

from lmeec.tables import Output, list_parts, parts_directory, read_results
from lmeec.tables.trace import read_trace
from tests.support.command import lmeec, start_lmeec
from tests.support.tables import assert_same, names_left
from tests.support.traces import listeners


@pytest.fixture
def arguments(many_takes, tiny, tmp_path):
    options = ["--checkpoint", tiny, "--cpus-per-worker", 1, "--retries", 20]
    return ["predict", many_takes.root, "--out", tmp_path / "results.parquet", *options]


def ray_processes(pid):
    """Processes of Ray that a driver started."""
    return [child for child in psutil.Process(pid).children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]


def work_and_kill(process, out, *, parts, kills):
    """Kill workers at random until there are some parts."""
    deadline = time.monotonic() + 200
    while len(list_parts(parts_directory(out))) < parts and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        at_work = [p for p in ray_processes(process.pid) if "WorkerActor.predict" in " ".join(p.cmdline())]
        if kills and at_work:
            at_work[0].kill()
            kills.pop()
        time.sleep(0.3)


def test_killed_workers_and_a_killed_driver_do_not_change_the_table(arguments, tmp_path, traces):
    out = tmp_path / "results.parquet"
    process = start_lmeec(*arguments, "--workers", 2)
    work_and_kill(process, out, parts=8, kills=[1, 2])
    traces.look()
    assert traces.memory
    process.kill()
    process.communicate()
    assert 8 <= len(list_parts(parts_directory(out))) < 24
    assert not out.exists()

    status = lmeec("status", out, "--trace")
    assert "trace: 1 driver" in status.out

    again = start_lmeec(*arguments, "--workers", 2)
    _, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    # Ray's agents of the killed run try for a minute to report that their node is dead.
    traces.wait_until_nothing_is_left(within=90)
    assert not list(traces.folder.glob("*/*"))
    undisturbed = tmp_path / "undisturbed.parquet"
    assert lmeec(*arguments[:3], undisturbed, *arguments[4:], "--workers", 0).status == 0
    assert_same(read_results(out), read_results(undisturbed))
    trace = read_trace(Output.of(out))
    assert [one.ended is None for one in trace.sessions] == [True, False]
    # What the killed driver did not hear of may have had its part all the same.
    lost = {(one.take_uid, one.direction) for one in trace.attempts if one.outcome == "lost"}
    done = [one for one in trace.attempts if one.outcome == "done" and (one.take_uid, one.direction) not in lost]
    rows = [row for row in read_results(out).to_pylist() if (row["take_uid"], row["direction"]) not in lost]
    assert len({(one.take_uid, one.direction) for one in done}) == 24 - len(lost)
    assert sum(one.predictions for one in done) == len(rows)
    assert names_left(tmp_path) == ["results.parquet", "takes", "undisturbed.parquet"]


def test_interrupt_finishes_the_takes_at_hand_and_leaves_nothing(arguments, tmp_path, traces, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    out = tmp_path / "results.parquet"
    killed = traces.folder / f"lmeec-ray-{os.getuid()}" / "killed"
    killed.mkdir(parents=True)
    (killed / "lock").touch()  # that nobody holds
    process = start_lmeec(*arguments, "--workers", 2)
    work_and_kill(process, out, parts=2, kills=[])
    traces.look()
    assert listeners(traces.processes) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert stat.S_IMODE((home / ".ray/auth_token").stat().st_mode) == 0o600
    assert not killed.exists()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "run the same command again to go on" in err
    assert "Traceback" not in err
    traces.wait_until_nothing_is_left(within=30)
    assert not list(killed.parent.iterdir())
    status = lmeec("status", out)
    assert status.status == 0
    assert f"{len(list_parts(parts_directory(out)))} of 24" in status.out


def test_workers_follow_a_take_from_its_end_as_one_process_does(arguments, tmp_path):
    one = [*arguments, "--take", "copy_000", "--reverse"]
    on_ray = start_lmeec(*one, "--workers", 2)
    _, err = on_ray.communicate(timeout=120)
    assert on_ray.returncode == 0, err
    other = tmp_path / "other.parquet"
    assert lmeec(*one[:3], other, *one[4:], "--workers", 0).status == 0
    rows = read_results(other)
    assert_same(read_results(tmp_path / "results.parquet"), rows)
    first = [row["step"] for row in rows.to_pylist() if row["frame"] == 0]
    assert max(first) > 0


def test_without_ray_a_run_stays_in_its_process(arguments, tmp_path):
    """Nothing but lmeec.cluster may import ray."""
    code = "import sys; sys.modules['ray'] = None; from lmeec_cli.main import main; main()"
    call = [sys.executable, "-c", code, *map(str, arguments), "--take", "copy_000", "--workers"]
    done = subprocess.run([*call, "0"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    other = [*call[:6], str(tmp_path / "other.parquet"), *call[7:], "2"]
    refused = subprocess.run(other, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "'.[ray]'" in refused.stderr
    assert "--workers 0" in refused.stderr
    assert "Traceback" not in refused.stderr
