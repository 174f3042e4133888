"""A process that gives inputs to readers until it is done or one of them ends it; tells what happened in lines of JSON.

    python -m tests.fuzz.worker FOLDER SEED ROUNDS READER:FIRST:COUNT ...

The input that is being read is in FOLDER, under the reader's name, and its number in the file `now`: whoever started
this process finds there what ended it.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from tests.fuzz.inputs import Place, make, seeds_of
from tests.fuzz.judging import Failure, Memory, judge, limit_memory
from tests.fuzz.minimise import smaller
from tests.fuzz.readers import READERS, Reader

NOW = "now"
_TELL_EVERY_S = 2.0
_MINIMISED = ("exception", "long", "unnamed")


class Now:
    """The number of the input that is being read, in a file that outlives this process."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8)

    def set(self, number: int) -> None:
        """Say which it is."""
        self._map[:] = number.to_bytes(8, "little")

    @staticmethod
    def read(path: Path) -> int:
        """Which it was."""
        return int.from_bytes(path.read_bytes(), "little")


def run(reader: Reader, folder: Path, seed: int, numbers: range, now: Now, seen: set[str]) -> None:
    """Give a reader its inputs, and tell every few seconds what became of them."""
    if not numbers:
        return
    now.set(numbers.start)
    seeds = seeds_of(reader)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    place, memory = Place(reader, folder), Memory()
    for valid in seeds:
        judge(reader, place.put(valid))  # imports what it needs
    gc.collect()
    memory.begin()
    told = Tally(reader.name)
    for number in numbers:
        now.set(number)
        data = make(reader, seed, number)
        judged = judge(reader, place.put(data), memory)
        told.add(number, judged.seconds, judged.refused, bool(judged.failures))
        for failure in judged.failures:
            _tell_failure(reader, place, failure, number, data, seen)
        if any(failure.kind == "memory" for failure in judged.failures):
            memory.begin()
        if told.due():
            told.tell(memory.more())
    told.tell(memory.more())


class Tally:
    """What became of inputs since it was last told."""

    def __init__(self, reader: str) -> None:
        self._reader = reader
        self._begin()

    def _begin(self) -> None:
        self._inputs = self._refused = self._failed = 0
        self._cpu, self._slowest = 0.0, (0.0, 0)
        self._next = 0
        self._at = time.monotonic()

    def add(self, number: int, seconds: float, refused: bool, failed: bool) -> None:
        """Count an input."""
        self._inputs += 1
        self._refused += refused
        self._failed += failed
        self._cpu += seconds
        self._slowest = max(self._slowest, (seconds, number))
        self._next = number + 1

    def due(self) -> bool:
        """Whether to tell."""
        return time.monotonic() > self._at + _TELL_EVERY_S

    def tell(self, peak: int) -> None:
        """Say it."""
        _tell(
            reader=self._reader,
            inputs=self._inputs,
            refused=self._refused,
            failed=self._failed,
            cpu=self._cpu,
            slowest=self._slowest,
            peak=peak,
            next=self._next,
        )
        self._begin()


def _tell_failure(reader: Reader, place: Place, failure: Failure, number: int, data: bytes, seen: set[str]) -> None:
    key = f"{reader.name}: {failure.kind} {failure.where}"
    new = key not in seen
    seen.add(key)
    small = None
    if new:
        small = smaller(reader, place, data, failure.where) if failure.kind in _MINIMISED else data
    _tell(
        reader=reader.name,
        failure=[failure.kind, failure.where, failure.said],
        number=number,
        input=None if small is None else small.hex(),
    )


def _tell(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main(folder: Path, seed: int, rounds: int, tasks: list[str]) -> None:
    """Do the tasks, a share of each in every round."""
    os.environ["OMP_NUM_THREADS"] = "1"
    now = Now(folder / NOW)
    warnings.simplefilter("ignore")  # of libraries, about what inputs hold
    limit_memory()
    seen: set[str] = set()
    for round_ in range(rounds):
        for task in tasks:
            name, first, count = task.split(":")
            _tell(begins=name)
            start, end = (int(first) + int(count) * place // rounds for place in (round_, round_ + 1))
            run(READERS[name], folder / name, seed, range(start, end), now, seen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
