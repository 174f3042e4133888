"""Runs of `lmeec` in processes of their own, with the time and the largest memory that the system counted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def measure(call: Sequence[object]) -> dict[str, float]:
    """Seconds, processor seconds and peak resident memory of a command; ends the benchmark where the command fails.

    Args:
        call: words after `lmeec`.
    """
    start = time.perf_counter()
    words = [sys.executable, "-c", "from lmeec_cli.main import main; main()", *map(str, call)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"lmeec {' '.join(words[3:])} failed with status {process.returncode}")
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "largest_memory_MiB": round(used.ru_maxrss / 1024, 1),
    }
