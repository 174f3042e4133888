"""Files of lines outlive the process that wrote them."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from lmeec.files import growing
from lmeec.files.growing import GrowingFile
from lmeec.files.locations import location, names_in

KILLED = """
import os, signal, sys
from pathlib import Path
from lmeec.files.growing import GrowingFile
file = GrowingFile(Path(sys.argv[1]), "lines", ".jsonl")
for number in range(1000):
    file.write(b"line %d" % number)
os.kill(os.getpid(), signal.SIGKILL)
"""


def lines_in(folder):
    return b"".join((folder / name).read_bytes() for name in names_in(folder)).splitlines()


def test_all_lines_of_a_killed_process_are_there(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert lines_in(tmp_path) == [b"line %d" % number for number in range(1000)]


@pytest.mark.parametrize("lines", [0, 1, 5, 23])
def test_in_a_store_lines_are_there_once_flushed_in_objects_that_stay_small(store, lines, monkeypatch):
    monkeypatch.setattr(growing, "_SEGMENT", 100)
    file = GrowingFile(location(store) / "parts", "lines", ".jsonl")
    for number in range(lines):
        file.write(b"a line of the file %3d" % number)
        file.flush()
    file.flush()
    file.close()
    folder = location(store) / "parts"
    assert lines_in(folder) == [b"a line of the file %3d" % number for number in range(lines)]
    if "://" in store:
        assert all(len((folder / name).read_bytes()) < 200 for name in names_in(folder))


def test_two_files_of_a_name_are_refused(tmp_path):
    GrowingFile(tmp_path, "lines", ".jsonl").close()
    with pytest.raises(Exception, match=r"lines\.jsonl"):
        GrowingFile(tmp_path, "lines", ".jsonl")
