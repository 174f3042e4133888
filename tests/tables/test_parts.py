"""Part files are there when whole and not otherwise; any take name gives one safe file."""

from __future__ import annotations

import contextlib
import resource
import signal
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmeec.errors import OutputError
from lmeec.tables import (
    PartWriter,
    list_parts,
    part_path,
    parts_directory,
    read_part_info,
    read_results,
    remove_parts,
    rows_to_batch,
)
from tests.support.memory import peaks_of_steps
from tests.support.rows import RUN, row, square, write_part


def test_parts_stand_beside_the_output(tmp_path):
    assert parts_directory(tmp_path / "night.parquet") == tmp_path / "night.parquet.parts"


def test_a_part_is_there_only_when_whole_and_says_what_it_holds(tmp_path):
    folder = tmp_path / "r.parquet.parts"
    with PartWriter(folder, RUN, "take-1", "ego2exo") as part:
        part.write([row(0), row(30)])
        part.write([])
        part.write_batch(rows_to_batch([row(60)]))
        assert list_parts(folder) == []
    assert list_parts(folder) == [part.path]
    assert part.rows == 3
    info = read_part_info(part.path)
    assert (info.take_uid, info.direction, info.rows, info.run) == ("take-1", "ego2exo", 3, RUN)
    assert info.run.fingerprint == RUN.fingerprint
    assert read_results(part.path)["frame"].to_pylist() == [0, 30, 60]


def test_many_rows_are_written_in_pieces(tmp_path):
    with PartWriter(tmp_path, RUN, "take-1", "ego2exo") as part:
        for _ in range(9):
            part.write([row(0)] * 1000)
    assert pq.ParquetFile(part.path).num_row_groups > 1
    assert read_part_info(part.path).rows == 9000


def write_rows_one_by_one(folder):
    with PartWriter(folder, RUN, "take-1", "ego2exo") as part:
        for frame in range(2000):
            yield part.write([row(frame)])


def test_rows_that_come_one_by_one_wait_in_little_memory(tmp_path):
    # As many batches by themselves take 22 KB each.
    early, late = peaks_of_steps([range(50, 100), range(1950, 2000)], write_rows_one_by_one, tmp_path)
    assert late - early < 15e6
    (part,) = list_parts(tmp_path)
    assert read_results(part)["frame"].to_pylist() == list(range(2000))


def test_a_part_without_rows_marks_the_take_as_done(tmp_path):
    with PartWriter(tmp_path, RUN, "take-1", "ego2exo") as part:
        pass
    assert read_part_info(part.path).rows == 0


@pytest.mark.parametrize("reason", [RuntimeError, KeyboardInterrupt])
def test_an_abandoned_part_leaves_nothing(tmp_path, reason):
    with pytest.raises(reason), PartWriter(tmp_path, RUN, "take-1", "ego2exo") as part:
        part.write([row(0)] * 5000)
        raise reason
    assert list(tmp_path.iterdir()) == []


def test_an_abandoned_part_leaves_the_one_before(tmp_path):
    path = write_part(tmp_path, [row(0)])
    with pytest.raises(RuntimeError), PartWriter(tmp_path, RUN, "take-1", "ego2exo") as part:
        part.write([row(0), row(30)])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [path]
    assert read_part_info(path).rows == 1
    write_part(tmp_path, [row(0), row(30)])
    assert read_part_info(path).rows == 2


@contextlib.contextmanager
def file_size_limit(size):
    """A limit on the size of files, which stops a writer in the middle as a full disk does.

    It holds for this whole process, so it must be gone before the test runner writes to its own output.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def varied_rows(count):
    return [row(frame, mask=square(frame % 200, frame % 401)) for frame in range(count)]


@pytest.mark.parametrize("rows", [20, 5000], ids=["when it is closed", "while rows are added"])
def test_a_write_error_names_the_file_and_leaves_nothing(tmp_path, rows):
    rows = varied_rows(rows)
    path = part_path(tmp_path, "take-1", "ego2exo")
    with file_size_limit(1024), pytest.raises(OutputError, match="cannot write") as caught:
        write_part(tmp_path, rows)
    assert str(path) in str(caught.value)
    assert "File too large" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=str(tmp_path / "file")):
        write_part(tmp_path / "file" / "parts", [row()])


def test_rows_of_another_take_or_direction_are_refused(tmp_path):
    for other in (row(take_uid="take-2"), row(direction="exo2ego")):
        with (
            pytest.raises(OutputError, match=r"take-1 \(ego2exo\) only"),
            PartWriter(tmp_path, RUN, "take-1", "ego2exo") as part,
        ):
            part.write([other])
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_no_part(tmp_path):
    script = """
import os, signal, sys
from pathlib import Path
from tests.support.memory import peaks_of_steps
from tests.support.rows import RUN, row
from lmeec.tables import PartWriter
with PartWriter(Path(sys.argv[1]), RUN, "take-1", "ego2exo") as part:
    part.write([row(0)] * 5000)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    assert list_parts(tmp_path) == []
    remove_parts(tmp_path)
    assert not tmp_path.exists()


def test_removing_parts_leaves_what_is_not_theirs(tmp_path):
    folder = tmp_path / "parts"
    write_part(folder, [row()])
    (folder / "notes.txt").write_text("mine")
    remove_parts(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    remove_parts(tmp_path / "not there")


@given(st.lists(st.text(max_size=300), min_size=2, max_size=6, unique=True))
def test_any_take_name_gives_its_own_plain_file_name(tmp_path_factory, names):
    folder = tmp_path_factory.getbasetemp()
    paths = [part_path(folder, name, direction) for name in names for direction in ("ego2exo", "exo2ego")]
    assert len({path.name.lower() for path in paths}) == len(paths)
    for path in paths:
        assert path.parent == folder
        assert path.name.isascii()
        assert len(path.name) < 120
        assert path.name[0] != "."


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "..", ".", "", "CON", "料理 1", "x" * 5000, "a\x00b"])
def test_hostile_take_names_are_written_and_read_back(tmp_path, name):
    folder = tmp_path / "parts"
    path = write_part(folder, [row(take_uid=name)])
    assert list_parts(folder) == [path]
    assert [entry.name for entry in tmp_path.iterdir()] == ["parts"]
    assert read_part_info(path).take_uid == name


def test_a_results_table_is_no_part(tmp_path):
    schema = rows_to_batch([]).schema
    path = tmp_path / "x.part.parquet"
    pq.write_table(schema.empty_table(), path)
    with pytest.raises(OutputError, match="not a results table"):
        read_part_info(path)
