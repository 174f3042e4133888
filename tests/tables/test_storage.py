"""Results in object stores and in folders: the same table, there only when whole."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import duckdb
import msgspec
import pandas as pd
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from lmeec.analysis.evaluation import evaluate
from lmeec.errors import OutputError
from lmeec.files.whole import create_exclusively
from lmeec.runs import claim
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


@pytest.fixture(scope="module")
def s3():
    """A bucket of a real S3 server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        location("s3://results").mkdir()
        yield "s3://results"
    server.stop()


@pytest.fixture(params=["local", "memory", "s3"])
def base(request, tmp_path):
    if request.param == "local":
        return str(tmp_path)
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}"
    return f"{request.getfixturevalue('s3')}/{uuid.uuid4().hex}"


TRUTH = {"gt_state": "visible", "gt": square(10, 40)}
ROWS = [row(frame, take_uid=take, **TRUTH) for take in ("a", "b/ü") for frame in (30, 0)]


def write_parts(out):
    for take in ("a", "b/ü"):
        write_part(parts_directory(out), [one for one in ROWS if one.take_uid == take])
    return list_parts(parts_directory(out))


def test_parts_are_written_listed_joined_and_removed(base):
    out = f"{base}/night.parquet"
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


def test_of_many_that_make_a_file_one_does(base):
    path = location(f"{base}/folder/owner-000001.json")
    barrier = threading.Barrier(6)

    def make(number):
        barrier.wait()
        return create_exclusively(path, str(number).encode())

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(make, range(6)))
    assert sum(made) == 1
    assert path.read_bytes() == str(made.index(True)).encode()
    assert create_exclusively(path, path.read_bytes()), "an upload that is sent again is not another's"


def test_an_output_in_a_store_has_one_owner(base, monkeypatch):
    monkeypatch.setattr(claim, "SILENT_AFTER_S", 0.3)
    monkeypatch.setattr(claim, "_LOOK_EVERY_S", {True: 0.05, False: 0.05})
    parts = parts_directory(f"{base}/night.parquet")
    mine = claim.Claim(parts, print)
    with pytest.raises(OutputError, match="is writing there"):
        claim.Claim(parts, print)
    elsewhere = msgspec.structs.replace(mine.owner, token="other", machine="another")
    (parts / "owner-000002.json").write_bytes(msgspec.json.encode(elsewhere))
    assert not mine.held()
    mine.release()
    second = claim.Claim(parts, print)
    assert second.held()
    assert [path.name for path in parts.iterdir()] == ["owner-000003.json"]
    second.release()
    assert list_parts(parts) == []


def test_an_abandoned_part_is_not_there(base):
    folder = parts_directory(f"{base}/night.parquet")
    with pytest.raises(RuntimeError), PartWriter(folder, RUN, "a", "ego2exo") as part:
        part.write(ROWS[:1])
        raise RuntimeError
    assert list_parts(folder) == []


def test_a_folder_holds_a_file_a_take_and_replaces_an_older_one(base):
    out = f"{base}/night/"
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
    assert not [path for path in location(base).iterdir() if ".tmp" in path.name]


def test_pandas_duckdb_and_polars_read_a_folder(tmp_path):
    out = f"{tmp_path}/night/"
    merge_parts(write_parts(out), out)
    assert len(pd.read_parquet(out)) == len(pl.read_parquet(out)) == 4
    assert duckdb.sql(f"select count(*) from '{out}*.parquet'").fetchall() == [(4,)]


def test_a_folder_that_lacks_a_file_is_told(base):
    out = f"{base}/night/"
    merge_parts(write_parts(out), out)
    next(iter(location(base).joinpath("night").glob("a.*"))).unlink()
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


@pytest.mark.parametrize("url", ["nothing://bucket/x.parquet", "gs://bucket/x.parquet"])
def test_an_unknown_or_missing_file_system_is_told(url):
    with pytest.raises(OutputError, match=r"not a known file system|\[gcs\]"):
        location(url)
