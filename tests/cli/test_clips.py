"""`lmeec clips` as a user calls it."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time

import pyarrow.parquet as pq
import pytest

from tests.support.command import lmeec, start_lmeec
from tests.support.described import spoken, write_descriptions


@pytest.fixture
def described(takes):
    """Takes with two sentences each, and a take that is not on disk."""
    write_descriptions(takes.root, {uid: [spoken(1.0, 2.5)] for uid in [*takes.uids, "elsewhere"]})
    return takes


def test_the_table_is_written_and_summed_up(described, tmp_path):
    out = tmp_path / "clips.parquet"
    done = lmeec("clips", described.root, "--out", out)
    assert done.status == 0, done.err
    assert "8 pairs of 4 clips, from 2 takes and 6 videos" in done.out
    assert "Playing" in done.out
    assert "the take is not on disk" in done.out
    assert "1 to 2" in done.out
    assert pq.read_table(out).num_rows == 8
    again = lmeec("clips", described.root, "--out", out, "--json")
    assert json.loads(again.out)["dropped_descriptions"]["take_not_on_disk"] == 2


def test_options_reach_the_table(described, tmp_path):
    out = tmp_path / "clips.parquet"
    options = ["--rule", "fixed", "--seconds", "3", "--max-length", "2", "--best-exo-only", "--annotations"]
    file = described.root / "annotations" / "atomic_descriptions_val.json"
    done = lmeec("clips", "--out", out, *options, file, described.root, "--json")
    assert done.status == 0, done.err
    summary = json.loads(done.out)
    assert summary["lengths"]["2 to 4"] == summary["clips"] == len({*pq.read_table(out)["clip_id"].to_pylist()})
    refused = lmeec("clips", described.root, "--out", out)
    assert refused.status == 1
    assert "--overwrite" in refused.err
    assert lmeec("clips", described.root, "--out", out, "--overwrite").status == 0
    assert pq.read_table(out).num_rows == 8


def test_damage_is_told_and_the_status_says_so(described, tmp_path):
    described.video(0, "gp01").write_text("no video")
    done = lmeec("clips", described.root, "--out", tmp_path / "clips.parquet")
    assert done.status == 1
    assert f"error: left out: take '{described.names[0]}', camera 'gp01'" in done.err
    assert pq.read_table(tmp_path / "clips.parquet").num_rows == 6


def test_wrong_calls_are_told(described, tmp_path):
    assert lmeec("clips", described.root).status == 2
    assert lmeec("clips", described.root, tmp_path, "--out", tmp_path / "x").status == 2
    done = lmeec("clips", tmp_path / "nowhere", "--out", tmp_path / "x")
    assert done.status == 1
    assert done.err.startswith("error: ")
    assert "nowhere" in done.err
    done = lmeec("clips", described.root, "--out", tmp_path / "x", "--rule", "fixed")
    assert done.status == 1
    assert "--seconds" in done.err


@pytest.fixture
def many(takes):
    """Eight takes with three sentences each."""
    names = [*takes.names, *(f"copy_{number}" for number in range(6))]
    for name in names[2:]:
        shutil.copytree(takes.root / "takes" / takes.names[0], takes.root / "takes" / name)
    (takes.root / "takes.json").unlink()
    shutil.rmtree(takes.root / "annotations")
    write_descriptions(takes.root, {name: [spoken(1.0, 2.0, 3.0)] for name in names})
    return takes


def arguments(takes, folder, *more):
    return ["clips", takes.root, "--out", folder / "clips.parquet", "--extract", folder / "out", *more]


def shards(folder):
    return {path.name: path.read_bytes() for path in (folder / "out" / "shards").glob("*.tar")}


@pytest.fixture
def undisturbed(many, tmp_path):
    """Shards of a run that nobody disturbed."""
    done = lmeec(*arguments(many, tmp_path / "undisturbed", "--format", "webdataset", "--workers", 0))
    assert done.status == 0, done.err
    return shards(tmp_path / "undisturbed")


def wait_for_shards(folder, process, count):
    while len(list((folder / "out" / "shards").glob("*.tar"))) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_stopped_extraction_goes_on_where_it_was(number, many, undisturbed, tmp_path):
    call = arguments(many, tmp_path, "--format", "webdataset", "--workers", 0)
    process = start_lmeec(*call)
    try:
        wait_for_shards(tmp_path, process, 2)
        process.send_signal(number)
        _, err = process.communicate(timeout=100)
    finally:
        process.kill()
    if number == signal.SIGINT:
        assert process.returncode == 130, err
        assert "run the same command again" in err
        assert "Traceback" not in err
    before = len(shards(tmp_path))
    assert 2 <= before < 8
    again = lmeec(*call, "--json")
    assert again.status == 0, again.err
    first = next(line for line in again.err.splitlines() if " there before; " in line)
    assert first.endswith(" done, ? left"), "what is there says nothing of the pace"
    extracted = json.loads(again.out)["extracted"]
    assert extracted["takes"] == 8
    assert extracted["kept"] >= 9 * before
    assert shards(tmp_path) == undisturbed
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"extract.json", "shards"}


def test_without_ray_clips_are_cut_in_the_process(many, tmp_path, monkeypatch):
    """Nothing but lmeec.cluster may import ray."""
    for name in ("lmeec.cluster.session", "lmeec.cluster.tasks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    done = lmeec(*arguments(many, tmp_path, "--workers", 0))
    assert done.status == 0, done.err
    assert len(list((tmp_path / "out" / "videos").rglob("*.mp4"))) == 8 * 3 * 3
    refused = lmeec(*arguments(many, tmp_path, "--workers", 2))
    assert refused.status == 1
    assert "'.[ray]'" in refused.err
