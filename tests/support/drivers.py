"""Drivers of runs in processes of their own, to race with and to kill."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_OWN = """
import sys, time
from pathlib import Path
from lmeec.runs.claim import Claim
Claim(Path(sys.argv[1]), print)
print("owned", flush=True)
time.sleep(60)
"""

_AT_ONCE = """
import sys, time
from pathlib import Path
{preparation}
print("ready", flush=True)
sys.stdin.readline()
{work}
"""


@contextmanager
def owner_process(parts: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that owns an output and sleeps."""
    process = subprocess.Popen([sys.executable, "-c", _OWN, str(parts)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "owned\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def at_once(count: int, preparation: str, work: str, arguments: Sequence[object]) -> list[tuple[int, str, str]]:
    """Let processes do the same at the same instant; gives the status and both outputs of each.

    Args:
        count: how many.
        preparation: Python that each runs before the instant.
        work: Python that each runs from the instant on.
        arguments: in `sys.argv[1:]`.
    """
    code = _AT_ONCE.format(preparation=preparation, work=work)
    call = [sys.executable, "-c", code, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(call, text=True, **pipes) for _ in range(count)]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n", process.communicate()
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        return [_outputs(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _outputs(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=200)
    return process.returncode, out, err
