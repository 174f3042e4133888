"""One driver owns an output, whoever starts when, and whoever dies where."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import msgspec
import pytest

from lmeec.errors import OutputError
from lmeec.runs import claim, heartbeat
from lmeec.runs.claim import HEARTBEAT_FILE, Claim, Owner, find_owner, is_alive
from lmeec.runs.heartbeat import RunRecord
from lmeec.runs.progress import Progress
from lmeec.tables import list_parts, parts_directory
from tests.support.drivers import at_once, owner_process


@pytest.fixture
def parts(tmp_path):
    return tmp_path / "results.parquet.parts"


@pytest.fixture
def told():
    return []


def write_owner(parts, number=1, **changes):
    mine = Owner("token", "elsewhere", "another machine", 12345)
    parts.mkdir(exist_ok=True)
    path = parts / f"owner-{number:06d}.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(mine, **changes)))
    return path


def test_an_owner_keeps_others_away_until_it_lets_go(parts, told):
    mine = Claim(parts, told.append)
    assert mine.held()
    with pytest.raises(OutputError, match=rf"another run \(process {os.getpid()} on .*\) is writing there"):
        Claim(parts, told.append)
    mine.release()
    assert not parts.exists()
    Claim(parts, told.append).release()
    assert told == []


TAKE_OVER = """
try:
    Claim(Path(sys.argv[1]), print)
    print("owns it", flush=True)
    time.sleep(4)
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("dead", [False, True], ids=["free", "left by a killed driver"])
def test_of_many_that_start_at_once_one_wins(dead, parts):
    if dead:
        with owner_process(parts):
            pass
        assert find_owner(parts) is not None
    prepare = "from lmeec.runs.claim import Claim\nfrom lmeec.errors import OutputError"
    done = at_once(6, prepare, TAKE_OVER, [parts])
    said = [out for _, out, _ in done]
    assert [out for out in said if out == "owns it\n"] == ["owns it\n"]
    assert sum("is writing there" in out for out in said) == 5
    assert len(list(parts.iterdir())) == 1


def test_one_of_many_in_one_process_wins(parts, told):
    """Threads come closer to each other than processes."""
    for _ in range(30):
        write_owner(parts, machine=claim._machine(), pid=2**22 + 1)
        barrier, won = threading.Barrier(4), []

        def take(barrier=barrier, won=won):
            barrier.wait()
            try:
                won.append(Claim(parts, told.append))
            except OutputError as error:
                assert "is writing there" in str(error)  # noqa: PT017

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert won[0].held()
        won[0].release()


def test_a_process_that_got_the_number_of_a_dead_driver_is_not_taken_for_it(parts, told):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        write_owner(parts, machine=claim._machine(), pid=other.pid, started=1)
        Claim(parts, told.append).release()
        write_owner(parts, machine=claim._machine(), pid=other.pid, started=claim._start_of(other.pid))
        with pytest.raises(OutputError, match="is writing there"):
            Claim(parts, told.append)
    finally:
        other.kill()
        other.wait()


@pytest.fixture
def _quickly(monkeypatch):
    monkeypatch.setattr(claim, "SILENT_AFTER_S", 1.0)
    monkeypatch.setattr(claim, "_LOOK_EVERY_S", {True: 0.05, False: 0.05})


@pytest.mark.usefixtures("_quickly")
@pytest.mark.parametrize("half_written", [False, True])
def test_a_driver_elsewhere_is_dead_when_its_beats_do_not_change(half_written, parts, told):
    """Whatever its clock says: this beat is of the year 2100."""
    path = write_owner(parts)
    if half_written:
        path.write_bytes(b"")
    (parts / HEARTBEAT_FILE).write_text('{"state": "running", "host": "elsewhere", "pid": 1, "time": 4102444800}')
    start = time.monotonic()
    mine = Claim(parts, told.append)
    assert time.monotonic() - start >= 1.0
    assert mine.held()
    assert find_owner(parts).number == 2
    assert not path.exists()
    assert len(told) == 1
    assert "for a sign of life" in told[0]


@pytest.mark.usefixtures("_quickly")
def test_a_driver_elsewhere_lives_when_its_beats_change(parts, told):
    """Whatever its clock says: these are of 1970."""
    write_owner(parts)
    beat, ended = parts / HEARTBEAT_FILE, threading.Event()
    beat.write_text("0")

    def beats():
        for number in range(1, 100):
            beat.write_text(str(number))
            if ended.wait(0.3):
                return

    thread = threading.Thread(target=beats)
    thread.start()
    try:
        assert is_alive(parts, find_owner(parts), told.append)
        with pytest.raises(OutputError, match="process 12345 on elsewhere"):
            Claim(parts, told.append)
    finally:
        ended.set()
        thread.join()


def test_beats_go_on_whatever_the_driver_is_busy_with(parts, told, monkeypatch):
    monkeypatch.setattr(heartbeat, "_BEAT_EVERY_S", {True: 0.05})
    seen = set()
    with RunRecord(parts, Progress(), told.append):
        for _ in range(20):
            time.sleep(0.05)
            seen.add((parts / HEARTBEAT_FILE).read_bytes())
    assert len(seen) > 5


def test_a_driver_that_was_taken_for_dead_notices(parts, told, monkeypatch):
    monkeypatch.setattr(heartbeat, "_BEAT_EVERY_S", {True: 0.05})
    with RunRecord(parts, Progress(), told.append) as mine:
        mine.check()
        other = write_owner(parts, number=2)
        with pytest.raises(OutputError, match="took this output over"):
            mine.check()
        time.sleep(0.2)
        assert mine.lost
    assert other.exists()


def test_an_output_in_a_store_has_one_owner(store, monkeypatch):
    monkeypatch.setattr(claim, "SILENT_AFTER_S", 0.3)
    monkeypatch.setattr(claim, "_LOOK_EVERY_S", {True: 0.05, False: 0.05})
    parts = parts_directory(f"{store}/night.parquet")
    mine = claim.Claim(parts, print)
    with pytest.raises(OutputError, match="is writing there"):
        claim.Claim(parts, print)
    elsewhere = msgspec.structs.replace(mine.owner, token="other", machine="another")
    (parts / "owner-000002.json").write_bytes(msgspec.json.encode(elsewhere))
    assert not mine.held()
    mine.release()
    second = claim.Claim(parts, print)
    assert second.held()
    assert [path.name for path in parts.iterdir()] == ["owner-000003.json"]
    second.release()
    assert list_parts(parts) == []
