"""Workers one after the other, what they tell put into the record, and what ended one of them kept."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.fuzz.judging import LONGEST_S
from tests.fuzz.readers import READERS
from tests.fuzz.record import Found
from tests.fuzz.worker import NOW, Now
from tests.support.places import ROOT

if TYPE_CHECKING:
    from tests.fuzz.record import Record

WORKER = "tests.fuzz.worker"

_LOOK_EVERY_S = 1.0
_STUCK_S = LONGEST_S + 5
"""CPU time on one input after which a worker does not react, as it is in a library."""


def commit() -> str:
    """The commit of the code that is tried, with a mark where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)
    return told.stdout.strip() or "unknown"


def run(record: Record, seed: int, counts: dict[str, int], rounds: int = 1) -> None:
    """Try inputs that were not tried.

    Args:
        record: What was tried, and what it found.
        seed: Of the inputs.
        counts: How many inputs of each reader.
        rounds: How often to go through all readers for them.
    """
    left = dict(counts)
    with tempfile.TemporaryDirectory(prefix="lmeec-fuzz-", dir=_memory_disk()) as folder:
        while left:
            ended = _work(record, seed, left, rounds, Path(folder))
            if ended is None:
                return
            left = {name: count for name, count in left.items() if count > 0}


def _memory_disk() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _work(record: Record, seed: int, left: dict[str, int], rounds: int, folder: Path) -> str | None:
    """One worker until its end; gives the reader that ended it, and takes off what is done."""
    now_at = commit()
    tasks = [f"{name}:{record.next_number(name, seed)}:{count}" for name, count in left.items()]
    worker = subprocess.Popen(
        [sys.executable, "-m", WORKER, str(folder), str(seed), str(rounds), *tasks],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_forward, args=(worker, lines), daemon=True).start()
    watch = _Watch(worker, folder / NOW)
    reading = next(iter(left))
    try:
        while True:
            try:
                line = lines.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                watch.look()
                continue
            if line is None:
                break
            told = json.loads(line)
            if "begins" in told:
                reading = told["begins"]
            else:
                _take(record, seed, now_at, told, left)
            watch.look()
    finally:
        if worker.poll() is None:
            worker.kill()
        worker.wait()
    if worker.returncode == 0:
        return None
    _ended(record, seed, now_at, reading, folder, watch, worker.returncode, left)
    return reading


def _forward(worker: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert worker.stdout is not None
    for line in worker.stdout:
        lines.put(line)
    lines.put(None)


def _take(record: Record, seed: int, now_at: str, told: dict[str, Any], left: dict[str, int]) -> None:
    name = told["reader"]
    if "failure" in told:
        data = None if told["input"] is None else bytes.fromhex(told["input"])
        record.add_failure(READERS[name], Found(*told["failure"], seed, told["number"], now_at), data)
    elif told["inputs"]:
        record.count(told, seed, now_at)
        left[name] -= told["inputs"]


def _ended(
    record: Record, seed: int, now_at: str, name: str, folder: Path, watch: _Watch, status: int, left: dict[str, int]
) -> None:
    """Note what ended a worker; inputs since it last told are tried again."""
    number = Now.read(folder / NOW)
    path = folder / name / READERS[name].place
    kind = "slow" if watch.killed else "died"
    if status > 0 or not path.exists():  # no signal: an error of what is here, not of a reader
        raise RuntimeError(f"a worker for {name} ended with status {status}")
    data = path.read_bytes()
    record.add_failure(READERS[name], Found(kind, f"signal {-status}", "", seed, number, now_at), data)
    # What is before it was not counted, and is not tried again: it would take as long, and has been judged.
    left[name] -= number + 1 - record.next_number(name, seed)
    record.skip(name, seed, number + 1, now_at)


class _Watch:
    """Ends a worker that spends too long on one input."""

    def __init__(self, worker: subprocess.Popen[str], now: Path) -> None:
        self._worker, self._now = psutil.Process(worker.pid), now
        self._number, self._since = -1, 0.0
        self._looked = 0.0
        self.killed = False

    def look(self) -> None:
        """See whether it goes on."""
        if time.monotonic() < self._looked + _LOOK_EVERY_S or not self._now.exists():
            return
        self._looked = time.monotonic()
        try:
            number, spent = Now.read(self._now), sum(self._worker.cpu_times()[:2])
        except psutil.NoSuchProcess:
            return
        if number != self._number:
            self._number, self._since = number, spent
        elif spent > self._since + _STUCK_S and number:
            self.killed = True
            self._worker.kill()
