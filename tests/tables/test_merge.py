"""Merging gives one whole, sorted table of one run, or nothing."""

from __future__ import annotations

import dataclasses
import random
import resource
import signal

import pyarrow.parquet as pq
import pytest

from lmeec.errors import OutputError
from lmeec.tables import (
    list_parts,
    merge_parts,
    parts_directory,
    read_metadata,
    read_part_info,
    read_results,
    rows_to_batch,
)
from tests.support.rows import RUN, row, square, write_part

KEYS = ("take_uid", "direction", "object", "query_cam", "target_cam", "frame")


@pytest.fixture
def rows():
    made = [
        row(frame, take_uid=take, direction=direction, object=name, query_cam=query, target_cam=target)
        for take in ("take-B", "take-a", "Ätake")
        for direction, query, target in [
            ("ego2exo", "aria01", "cam01"),
            ("ego2exo", "aria01", "cam02"),
            ("exo2ego", "cam01", "aria01"),
        ]
        for name in ("cup_0", "Cup 10", "cup_9")
        for frame in (300, 0, 30)
    ]
    random.Random(1).shuffle(made)
    return made


@pytest.fixture
def parts(rows, tmp_path):
    folder = parts_directory(tmp_path / "r.parquet")
    for key in {(one.take_uid, one.direction) for one in rows}:
        write_part(folder, [one for one in rows if (one.take_uid, one.direction) == key])
    return list_parts(folder)


def test_the_table_is_sorted_and_whole(rows, parts, tmp_path):
    out = tmp_path / "r.parquet"
    assert merge_parts(parts[::-1], out) == len(rows)
    expected = sorted(rows_to_batch(rows).to_pylist(), key=lambda values: [values[key] for key in KEYS])
    assert read_results(out).to_pylist() == expected
    assert read_metadata(out) == RUN
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.parquet", "r.parquet.parts"]


def test_the_file_is_the_same_whatever_the_order_of_parts(parts, tmp_path):
    merge_parts(parts, tmp_path / "a.parquet")
    merge_parts(parts[::-1], tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_row_group_never_mixes_takes(tmp_path):
    for take, frames in (("a", 10_000), ("b", 10), ("c", 10)):
        write_part(tmp_path / "parts", [row(frame, take_uid=take) for frame in range(frames)])
    merge_parts(list_parts(tmp_path / "parts"), tmp_path / "r.parquet")
    file = pq.ParquetFile(tmp_path / "r.parquet")
    takes = [set(file.read_row_group(n, ["take_uid"])["take_uid"].to_pylist()) for n in range(file.num_row_groups)]
    assert takes == [{"a"}, {"a"}, {"b"}, {"c"}]


def test_an_existing_output_is_kept_unless_overwritten(parts, tmp_path):
    out = tmp_path / "r.parquet"
    out.write_text("mine")
    with pytest.raises(OutputError, match=r"exists already.*overwrite=True"):
        merge_parts(parts, out)
    assert out.read_text() == "mine"
    merge_parts(parts, out, overwrite=True)
    assert read_results(out).num_rows == 81


def test_a_folder_is_no_output(parts, tmp_path):
    with pytest.raises(OutputError, match="is a folder"):
        merge_parts(parts, tmp_path, overwrite=True)


def test_parts_of_different_runs_are_not_joined(parts, tmp_path):
    other = dataclasses.replace(RUN, memory={"policy": "fifo", "size": 6}, annotation_digest="b1")
    stray = write_part(parts[0].parent, [row(take_uid="zz")], other)
    with pytest.raises(OutputError) as caught:
        merge_parts([*parts, stray], tmp_path / "r.parquet")
    message = str(caught.value)
    assert "memory.policy: 'drop' and 'fifo'" in message
    assert "annotation_digest: 'a0' and 'b1'" in message
    assert "memory.size" not in message
    assert str(stray) in message
    assert not (tmp_path / "r.parquet").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"model": "base_plus"},
        {"checkpoints": {"ego2exo": "0"}},
        {"memory": {}},
        {"predict": {"video": "448"}},
        {"annotation_digest": "x"},
        {"lmeec_version": "9"},
        {"schema_version": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_is_in_the_fingerprint(change):
    assert dataclasses.replace(RUN, **change).fingerprint != RUN.fingerprint
    assert dataclasses.replace(RUN, memory=dict(reversed(RUN.memory.items()))).fingerprint == RUN.fingerprint


def test_the_same_take_twice_is_refused(parts, tmp_path):
    copy = parts[0].with_name("copy.part.parquet")
    copy.write_bytes(parts[0].read_bytes())
    with pytest.raises(OutputError, match="hold the same take and direction"):
        merge_parts([*parts, copy], tmp_path / "r.parquet")


def test_no_parts_are_no_table(tmp_path):
    with pytest.raises(OutputError, match="no parts"):
        merge_parts([], tmp_path / "r.parquet")


def test_a_truncated_part_is_named_and_nothing_is_written(parts, tmp_path):
    parts[1].write_bytes(parts[1].read_bytes()[:-20])
    with pytest.raises(OutputError, match="not a whole Parquet file") as caught:
        merge_parts(parts, tmp_path / "r.parquet")
    assert str(parts[1]) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["r.parquet.parts"]


def test_damage_within_a_part_is_found_and_the_old_output_kept(parts, tmp_path):
    out = tmp_path / "r.parquet"
    merge_parts(parts, out)
    before = out.read_bytes()
    content = bytearray(parts[-1].read_bytes())
    content[4:400] = bytes(396)
    parts[-1].write_bytes(content)
    with pytest.raises(OutputError, match="damaged"):
        merge_parts(parts, out, overwrite=True)
    assert out.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_results_file_among_the_parts_is_refused(parts, tmp_path):
    merge_parts(parts, tmp_path / "r.parquet")
    with pytest.raises(OutputError, match="not a part"):
        read_part_info(tmp_path / "r.parquet")


def test_a_write_error_names_the_output_and_leaves_nothing(tmp_path):
    rows = [row(frame, mask=square(frame % 200, frame % 401)) for frame in range(3000)]
    parts = [write_part(tmp_path / "parts", rows)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*r\.parquet: File too large"):
            merge_parts(parts, tmp_path / "r.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]
