"""A worker of `tests.fuzz` whose reader of marks ends the process."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path

from tests.fuzz import worker
from tests.fuzz.inputs import seeds_of
from tests.fuzz.readers import READERS


def _read(path: Path) -> None:
    if path.read_bytes() not in seeds_of(READERS["marks"]):
        os.kill(os.getpid(), signal.SIGSEGV)


if __name__ == "__main__":
    READERS["marks"] = dataclasses.replace(READERS["marks"], read=_read)
    worker.main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
