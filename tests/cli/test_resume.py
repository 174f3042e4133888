"""Running the same command again, also with the results in an object store or a folder."""

from __future__ import annotations

import json
import socket
import uuid

import duckdb
import pytest

from lmeec.tables import parts_directory, read_results
from tests.support.command import lmeec
from tests.support.drivers import owner_process
from tests.support.tables import assert_same, names_left


@pytest.fixture
def predict(tiny, takes, tmp_path):
    def run(*arguments, out=tmp_path / "results.parquet", root=takes.root):
        return lmeec("predict", root, "--out", out, "--checkpoint", tiny, "--workers", 0, *arguments)

    return run


def test_a_finished_run_is_not_done_again(predict, tmp_path):
    out = tmp_path / "results.parquet"
    assert predict().status == 0
    before = out.stat()
    again = predict()
    assert again.status == 0
    assert "nothing to do" in again.err
    assert "started" not in again.err
    assert (out.stat().st_mtime_ns, out.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert names_left(tmp_path) == ["results.parquet", "takes"]


def test_results_of_other_settings_or_takes_are_refused_with_what_differs(predict, takes):
    assert predict("--take", takes.names[0]).status == 0
    other = predict("--take", takes.names[0], "--memory-policy", "fifo")
    assert other.status == 1
    assert "memory.policy: 'drop' and 'fifo'" in other.err
    more = predict()
    assert more.status == 1
    assert "made of 2 takes and directions" in more.err
    assert "4 of this run" in more.err
    assert predict("--overwrite").status == 0


def test_parts_of_takes_that_are_not_in_the_run_are_not_lost(predict, takes, tmp_path):
    takes.video(0, "gp01").write_text("no video")
    assert predict().status == 1
    done = predict("--take", takes.names[0])
    assert done.status == 1
    assert takes.uids[1] in done.err
    assert "not among the takes of this run" in done.err
    assert len(list(parts_directory(tmp_path / "results.parquet").glob("*.parquet"))) == 4


def sorted_rows(table):
    """Files of a folder come in the order of their names."""
    keys = ("take_uid", "direction", "object", "query_cam", "target_cam", "frame")
    return table.sort_by([(key, "ascending") for key in keys])


@pytest.mark.parametrize("name", ["night.parquet", "night/"])
def test_a_run_into_an_object_store_goes_on_and_ends(name, predict, takes, tmp_path):
    out = f"memory://{uuid.uuid4().hex}/{name}"
    whole = takes.video(0, "gp01").read_bytes()
    takes.video(0, "gp01").write_text("no video")
    assert predict(out=out).status == 1
    status = json.loads(lmeec("status", out, "--json").out)
    assert (status["state"], status["jobs"], status["done"], len(status["failures"])) == ("incomplete", 4, 2, 2)
    takes.video(0, "gp01").write_bytes(whole)
    done = predict(out=out)
    assert done.status == 0
    assert "2 done before" in done.err
    assert predict().status == 0
    assert_same(*(sorted_rows(read_results(one)) for one in (out, tmp_path / "results.parquet")))
    assert lmeec("score", out).status == 0
    assert "complete; 4 of 4" in lmeec("status", out).out
    assert "nothing to do" in predict(out=out).err


def test_a_folder_is_kept_as_a_data_set(predict, tmp_path):
    out = f"{tmp_path}/night/"
    assert predict(out=out).status == 0
    assert len(list((tmp_path / "night").glob("*.parquet"))) == 4
    (rows,) = duckdb.sql(f"select count(*) from '{out}*.parquet'").fetchall()
    assert rows == (read_results(out).num_rows,)
    assert lmeec("score", out, "--json").status == 0
    assert names_left(tmp_path) == ["night", "takes"]


def test_a_run_that_lives_keeps_others_away_and_one_that_died_does_not(predict, takes, tmp_path):
    out = tmp_path / "results.parquet"
    takes.video(0, "gp01").write_text("no video")
    assert predict().status == 1
    with owner_process(parts_directory(out)) as other:
        refused = predict()
        assert refused.status == 1
        assert f"another run (process {other.pid} on {socket.gethostname()}) is writing there" in refused.err
        assert predict("--overwrite").status == 1
        assert lmeec("status", out).out.splitlines()[0].endswith("running; 2 of 4 takes and directions done, 2 failed")
        other.kill()  # not waited for: a zombie, as its number is still taken
        assert (
            lmeec("status", out).out.splitlines()[0].endswith("incomplete; 2 of 4 takes and directions done, 2 failed")
        )
        assert "2 done before" in predict().err


def test_json_lines_tell_what_happens(predict):
    lines = predict("--log-format", "json").err.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    assert [event["event"] for event in events].count("job_finished") == 4
    assert events[0]["event"] == "run_started"
    assert events[0]["jobs"] == 4
    assert all("time" in event for event in events)


def test_status_of_nothing_is_told(tmp_path):
    done = lmeec("status", tmp_path / "results.parquet")
    assert done.status == 1
    assert "neither a result nor a run" in done.err


def test_time_limit_without_a_process_to_end_is_refused(predict):
    done = predict("--take-timeout", 5)
    assert done.status == 1
    assert "--workers 1 or more" in done.err
