"""Results in object stores and in folders: the same table, there only when whole."""

from __future__ import annotations

import duckdb
import pandas as pd
import polars as pl
import pytest

from lmeec.analysis.evaluation import evaluate
from lmeec.errors import OutputError
from lmeec.tables import (
    Output,
    PartWriter,
    list_parts,
    location,
    merge_parts,
    part_path,
    parts_directory,
    read_contents,
    read_coverage,
    read_metadata,
    read_part_info,
    read_results,
    remove_parts,
)
from lmeec.tables.coverage import Coverage, Source
from tests.support.rows import RUN, row, square, write_part

TRUTH = {"gt_state": "visible", "gt": square(10, 40)}
ROWS = [row(frame, take_uid=take, **TRUTH) for take in ("a", "b/ü") for frame in (30, 0)]


def write_parts(out):
    for take in ("a", "b/ü"):
        write_part(parts_directory(out), [one for one in ROWS if one.take_uid == take])
    return list_parts(parts_directory(out))


def test_parts_are_written_listed_joined_and_removed(store):
    out = f"{store}/night.parquet"
    parts = write_parts(out)
    assert {read_part_info(part).take_uid for part in parts} == {"a", "b/ü"}
    assert merge_parts(parts, out) == 4
    table = read_results(out)
    assert [(one["take_uid"], one["frame"]) for one in table.to_pylist()] == [
        ("a", 0),
        ("a", 30),
        ("b/ü", 0),
        ("b/ü", 30),
    ]
    assert read_metadata(out) == RUN
    assert read_contents(out).count == 2
    assert evaluate(out)["ego2exo"].takes == 2
    remove_parts(parts_directory(out))
    assert list_parts(parts_directory(out)) == []
    with pytest.raises(OutputError, match="exists already"):
        merge_parts(parts, out)


def test_an_abandoned_part_is_not_there(store):
    folder = parts_directory(f"{store}/night.parquet")
    with pytest.raises(RuntimeError), PartWriter(folder, RUN, "a", "ego2exo") as part:
        part.write(ROWS[:1])
        raise RuntimeError
    assert list_parts(folder) == []


def test_a_folder_holds_a_file_a_take_and_replaces_an_older_one(store):
    out = f"{store}/night/"
    parts = write_parts(out)
    merge_parts(parts, out)
    whole = read_results(out)
    assert whole.num_rows == 4
    assert read_contents(out).count == 2
    assert evaluate(out)["ego2exo"].takes == 2
    with pytest.raises(OutputError, match="exists already"):
        merge_parts(parts, out)
    merge_parts(parts[:1], out, overwrite=True)
    assert read_results(out).num_rows == 2
    assert not [path for path in location(store).iterdir() if ".tmp" in path.name]


def test_pandas_duckdb_and_polars_read_a_folder(tmp_path):
    out = f"{tmp_path}/night/"
    merge_parts(write_parts(out), out)
    assert len(pd.read_parquet(out)) == len(pl.read_parquet(out)) == 4
    assert duckdb.sql(f"select count(*) from '{out}*.parquet'").fetchall() == [(4,)]


def test_a_folder_that_lacks_a_file_is_told(store):
    out = f"{store}/night/"
    merge_parts(write_parts(out), out)
    next(iter(location(store).joinpath("night").glob("a.*"))).unlink()
    with pytest.raises(OutputError, match="holds 1 results files, but should hold 2"):
        read_results(out)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("mine")
    parts = write_parts(tmp_path / "night.parquet")
    with pytest.raises(OutputError, match=r"other files than results \(thesis.txt\)"):
        merge_parts(parts, f"{tmp_path}/home/", overwrite=True)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "mine"


def test_parts_of_pieces_join_to_what_one_part_gives(tmp_path):
    rows = [row(frame, target_cam=camera) for camera in ("cam02", "cam01") for frame in (30, 0)]
    whole, split = tmp_path / "whole.parquet", tmp_path / "split.parquet"
    sources = {"aria01": Source("full", 1), "cam01": Source("448", 2), "cam02": None}
    both = Coverage((("aria01", "cam01"), ("aria01", "cam02")), sources)
    with PartWriter(parts_directory(whole), RUN, "take-1", "ego2exo", None, both) as part:
        part.write(rows)
    merge_parts(list_parts(parts_directory(whole)), whole)
    for camera in ("cam01", "cam02"):
        some = both.of([("aria01", camera)])
        with PartWriter(parts_directory(split), RUN, "take-1", "ego2exo", camera, some) as part:
            part.write([one for one in rows if one.target_cam == camera])
        assert part.path == part_path(parts_directory(split), "take-1", "ego2exo", camera)
        assert read_part_info(part.path).coverage == some
    merge_parts(list_parts(parts_directory(split)), split)
    assert split.read_bytes() == whole.read_bytes()
    assert read_coverage(whole) == {("take-1", "ego2exo"): both}
    with pytest.raises(OutputError, match="hold the same take"):
        merge_parts([*list_parts(parts_directory(split)), *list_parts(parts_directory(whole))], tmp_path / "r.parquet")


def test_a_slash_at_the_end_means_a_folder(tmp_path):
    assert Output.of("s3://bucket/night/").partitioned
    assert not Output.of("s3://bucket/night.parquet").partitioned
    assert Output.of(tmp_path).partitioned
    assert str(Output.of("s3://bucket/night/").failures) == "s3://bucket/night.failures.json"
