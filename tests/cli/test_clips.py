"""`lmeec clips` as a user calls it."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from command import lmeec
from described import spoken, write_descriptions


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
    assert "Playing" in done.out and "the take is not on disk" in done.out and "1 to 2" in done.out
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
    assert refused.status == 1 and "--overwrite" in refused.err
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
    assert done.status == 1 and done.err.startswith("error: ") and "nowhere" in done.err
    done = lmeec("clips", described.root, "--out", tmp_path / "x", "--rule", "fixed")
    assert done.status == 1 and "--seconds" in done.err
