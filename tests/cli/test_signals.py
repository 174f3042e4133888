"""Signals that come at a bad moment."""

from __future__ import annotations

import array
import fcntl
import os
import signal
import subprocess
import sys
import termios
import time

WRITER = """
import sys
from lmeec.runs.stop import Stop
from lmeec_cli.signals import stopping

stop = Stop()
with stopping(stop, "stopping soon"):
    print("ready", flush=True)
    for _ in range(2000):
        print("x" * 99, file=sys.stderr, flush=True)
sys.exit(0 if stop.requested else 3)
"""


def wait_until_full(pipe, seconds=60):
    end, waiting, before = time.monotonic() + seconds, array.array("i", [0]), -1
    while waiting[0] == 0 or waiting[0] != before:
        assert time.monotonic() < end, "nobody writes"
        before = waiting[0]
        time.sleep(0.2)
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)


def test_a_signal_while_a_line_is_written_is_heeded():
    """The pipe is full until it is read, so that the signal comes in the middle of the write."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER], env=buffered, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as started:
        assert started.stdout.readline() == b"ready\n"
        wait_until_full(started.stderr)
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=60)
    assert b"Traceback" not in said, said[-2000:]
    assert b"stopping soon\n" in said
    assert said.count(b"x") == 2000 * 99
    assert started.returncode == 0
