"""`lmeec fuse`, and what other commands make of its tables."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lmeec.tables import read_results
from tests.support.command import lmeec
from tests.support.drawn_runs import drawn_run
from tests.support.rows import RUN, write_results


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuse")
    return [write_results(folder / f"{name}.parquet", drawn_run(seed)) for seed, name in enumerate(("drop", "merge"))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Runs that have a prediction of the same frames."""
    folder = tmp_path_factory.mktemp("whole")
    rows = [drawn_run(seed) for seed in range(2)]
    lost = {
        (row.take_uid, row.direction, row.object, row.query_cam, row.target_cam, row.frame)
        for some in rows
        for row in some
        if row.missing
    }
    return [
        write_results(
            folder / f"{name}.parquet",
            [
                row
                for row in some
                if (row.take_uid, row.direction, row.object, row.query_cam, row.target_cam, row.frame) not in lost
            ],
        )
        for name, some in zip(("drop", "merge"), rows, strict=True)
    ]


def test_it_says_what_was_taken_and_what_a_run_lacks(runs, whole, tmp_path):
    done = lmeec("fuse", *whole, "--out", tmp_path / "whole.parquet")
    assert done.status == 0, done.err
    rows = read_results(tmp_path / "whole.parquet").to_pylist()
    assert f"whole.parquet: {len(rows)} frames by cycle_iou" in done.out
    taken = sum((row["direction"], row["source_run"]) == ("exo2ego", "merge") for row in rows)
    assert f"merge {taken} (" in done.out.partition("exo2ego")[2]
    done = lmeec("fuse", *runs, "--out", tmp_path / "f.parquet", "--json")
    assert done.status == 1
    assert "error: run 'drop' has no prediction of" in done.err
    document = json.loads(done.out)
    assert document["rows"] == len(read_results(tmp_path / "f.parquet"))
    assert document["lacking"]["merge"]["frames"] > 0


@pytest.mark.parametrize("command", ["score", "report", "coco", "challenge", "calibrate", "select"])
def test_other_commands_take_its_table(command, whole, tmp_path):
    table = tmp_path / "fused.parquet"
    assert lmeec("fuse", *whole, "--out", table, "--by", "predicted_iou").status == 0
    calls = {
        "score": ("score", whole[0], table),
        "report": ("report", table, "--out", tmp_path / "report.html"),
        "coco": ("export", table, "--format", "coco", "--out", tmp_path / "coco"),
        "challenge": ("export", table, "--format", "challenge", "--out", tmp_path / "s.json"),
        "calibrate": ("calibrate", table, "--out", tmp_path / "c.json"),
        "select": ("select", table, "--where", "source_run = 'merge'", "--out", tmp_path / "k.parquet"),
    }
    done = lmeec(*calls[command])
    assert done.status == 0, done.err
    if command == "select":
        assert set(read_results(tmp_path / "k.parquet")["source_run"].to_pylist()) == {"merge"}


def test_a_rule_is_fitted_kept_and_used_again(whole, tmp_path):
    fit = ("--fit", whole[0], "--fit", whole[1], "--rule", tmp_path / "rule.json")
    done = lmeec("fuse", *whole, *fit, "--out", tmp_path / "a.parquet")
    assert done.status == 0, done.err
    assert "frames by rule" in done.out
    assert "rule of ego2exo, cross-validated over takes" in done.err
    assert lmeec("fuse", *whole, "--rule", tmp_path / "rule.json", "--out", tmp_path / "b.parquet").status == 0
    assert read_results(tmp_path / "a.parquet").equals(read_results(tmp_path / "b.parquet"))
    again = lmeec("fuse", *whole, *fit, "--out", tmp_path / "c.parquet")
    assert "rule.json exists already" in again.err
    assert not (tmp_path / "c.parquet").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--name", "a"), "there are 1 names for 2 runs: give --name for each"),
        (("--by", "rule"), "--by rule and a rule go together: give its file with --rule"),
    ],
)
def test_mistakes_are_told_in_the_commands_words(options, said, runs, tmp_path):
    done = lmeec("fuse", *runs, *options, "--out", tmp_path / "f.parquet")
    assert done.status == 1
    assert said in done.err


def test_runs_whose_round_trips_or_signs_do_not_compare_are_told(whole, tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    framed, tracked, without = (folder / f"{name}.parquet" for name in ("framed", "tracked", "without"))
    rows = drawn_run(0, takes=2, objects=("cup",))
    for path, way in ((framed, "frame"), (tracked, "tracked")):
        write_results(path, rows, replace(RUN, predict={**RUN.predict, "cycle": {"way": way}}))
    write_results(without, [replace(row, cycle_iou=None, cycle_score=None) for row in rows])
    done = lmeec("fuse", framed, tracked, "--out", tmp_path / "f.parquet")
    assert done.status == 0, done.err
    assert "made in different ways ('framed' frame, 'tracked' tracked)" in done.err
    rule = ("--fit", framed, "--fit", tracked, "--rule", tmp_path / "rule.json")
    assert lmeec("fuse", framed, tracked, *rule, "--out", tmp_path / "r.parquet").status == 0
    done = lmeec("fuse", framed, without, *rule[4:], "--out", tmp_path / "w.parquet")
    assert "note: the rule weighs cycle_iou, which 'without' lacks" in done.err
    done = lmeec("fuse", *whole, "--out", tmp_path / "same.parquet", "--json")
    assert json.loads(done.out)["notes"] == []
