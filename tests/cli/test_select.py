"""`lmeec select`, and what other commands make of its tables."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest

from lmeec.tables import read_metadata, read_results
from tests.support import naive_fusion as naive
from tests.support.command import lmeec
from tests.support.drawn_runs import drawn_run
from tests.support.rows import write_results

WHERE = "cycle_iou > 0.5 and object = 'cup'"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("select") / "results.parquet", drawn_run(0))


@pytest.fixture(scope="module")
def kept(results):
    path = results.with_name("kept.parquet")
    done = lmeec("select", results, "--where", WHERE, "--out", path)
    assert done.status == 0, done.err
    return path


def wanted(row):
    return row["cycle_iou"] is not None and row["cycle_iou"] > 0.5 and row["object"] == "cup"


def test_rows_of_which_it_is_true_are_kept_as_they_are(results, kept):
    rows = read_results(results).to_pylist()
    assert read_results(kept).to_pylist() == [row for row in rows if wanted(row)]
    file = pq.ParquetFile(kept)
    for group in range(file.num_row_groups):
        assert len(set(file.read_row_group(group, ["take_uid"])["take_uid"].to_pylist())) == 1


def test_what_is_kept_and_what_it_is_worth(results, tmp_path):
    done = lmeec("select", results, "--where", WHERE, "--out", tmp_path / "k.parquet", "--json")
    assert done.status == 0, done.err
    for direction, said in json.loads(done.out).items():
        rows = [row for row in read_results(results).to_pylist() if row["direction"] == direction]
        seen = [row for row in rows if row["missing"] is None and row["gt_state"] == "visible"]
        assert said["rows"] == len(rows)
        assert said["kept"] == sum(map(wanted, rows))
        assert said["predictions"] == sum(row["missing"] is None for row in rows)
        assert said["kept_absent"] == sum(wanted(row) for row in rows if row["gt_state"] == "absent")
        assert said["unknown"] == sum(row["cycle_iou"] is None and row["object"] == "cup" for row in rows)
        assert said["iou"]["value"] == pytest.approx(np.mean([row["iou"] for row in seen if wanted(row)]))
        assert said["iou"]["low"] < said["iou"]["value"] < said["iou"]["high"]
        assert said["iou_of_all"]["value"] == pytest.approx(np.mean([row["iou"] for row in seen]))
        assert set(said["curves"]) == {"cycle_iou", "predicted_iou", "confidence", "best possible"}
        for sign, curve in said["curves"].items():
            signs = [row["iou" if sign == "best possible" else sign] for row in seen]
            ious = [row["iou"] for row in seen]
            assert curve["aurc"] == pytest.approx(naive.aurc(signs, ious), abs=1e-9)
            half = naive.risk_coverage(signs, ious)[math.ceil(len(seen) / 2) - 1]
            assert curve["iou"]["0.5"] == pytest.approx(float(half), abs=1e-9)


def test_for_people_it_prints_tables(results, tmp_path):
    done = lmeec("select", results, "--where", WHERE, "--out", tmp_path / "k.parquet")
    assert "best possible" in done.out
    assert "AURC" in done.out
    assert "are left out as a column of the condition is null there" in done.err
    assert f"{tmp_path / 'k.parquet'}: {len(read_results(tmp_path / 'k.parquet'))} rows" in done.err


def test_the_table_says_that_it_is_a_selection(results, kept):
    run = read_metadata(kept)
    assert (run.selection, run.selected_from) == (WHERE, len(read_results(results)))
    assert read_metadata(results).selection is None
    done = lmeec("score", kept)
    assert done.status == 0
    assert f"is a selection ({WHERE}): {len(read_results(kept))} of {run.selected_from} rows" in done.err
    assert "have ground truth but no prediction" not in done.err
    document = json.loads(lmeec("score", kept, "--json").out)
    assert document["selection"] == WHERE
    assert document["missing"]["frames"] == {"ego2exo": {}, "exo2ego": {}}
    assert "selection" not in json.loads(lmeec("score", results, "--json").out)


def test_a_selection_of_a_selection_says_both(results, kept, tmp_path):
    assert lmeec("select", kept, "--where", "area > 100", "--out", tmp_path / "k.parquet").status == 0
    run = read_metadata(tmp_path / "k.parquet")
    assert run.selection == f"({WHERE}) and (area > 100)"
    assert run.selected_from == len(read_results(results))
    at_once = tmp_path / "once.parquet"
    assert lmeec("select", results, "--where", run.selection, "--out", at_once).status == 0
    assert read_results(at_once).equals(read_results(tmp_path / "k.parquet"))


def test_the_challenge_and_a_fusion_refuse_it(kept, results, tmp_path):
    done = lmeec("export", kept, "--format", "challenge", "--out", tmp_path / "s.json")
    assert done.status == 1
    assert f"kept.parquet is a selection ({WHERE})" in done.err
    assert not (tmp_path / "s.json").exists()
    done = lmeec("fuse", results, kept, "--out", tmp_path / "f.parquet")
    assert done.status == 1
    assert "kept.parquet is a selection" in done.err


@pytest.mark.parametrize("form", ["coco", "davis"])
def test_other_formats_take_it_and_say_so(form, kept, tmp_path):
    done = lmeec("export", kept, "--format", form, "--out", tmp_path / "out")
    assert done.status == 0, done.err
    assert "is a selection" in done.err


def test_a_run_does_not_go_on_from_it(takes, tiny, tmp_path):
    call = ("predict", takes.root, "--checkpoint", tiny, "--take", takes.names[0], "--workers", 0, "--out")
    assert lmeec(*call, tmp_path / "r.parquet").status == 0
    assert lmeec("select", tmp_path / "r.parquet", "--where", "area >= 0", "--out", tmp_path / "k.parquet").status == 0
    done = lmeec(*call, tmp_path / "k.parquet")
    assert done.status == 1
    assert "predict.selection: 'area >= 0' and None" in done.err


def test_without_ground_truth_a_rule_tells_what_to_expect(results, tmp_path):
    blind = write_results(tmp_path / "blind.parquet", drawn_run(0, truth=False))
    done = lmeec("select", blind, "--where", WHERE, "--out", tmp_path / "k.parquet")
    assert done.status == 0
    assert "there is no ground truth, so that nothing is known of the IoU" in done.err
    rule = ("--fit", results, "--rule", tmp_path / "rule.json")
    call = ("--where", "expected_iou > 0.4", "--out")
    done = lmeec("select", blind, *rule, *call, tmp_path / "good.parquet", "--json")
    assert done.status == 0, done.err
    assert "cross-validated over takes" in done.err
    said = json.loads(done.out)
    for one in said.values():
        assert one["expected"] > max(0.4, one["expected_of_all"])
        assert one["iou"]["value"] is None
    # The same takes with ground truth: what was expected of each take by a rule without it comes true.
    seen = json.loads(lmeec("select", results, *rule[2:], *call, tmp_path / "seen.parquet", "--json").out)
    for direction, one in seen.items():
        assert one["kept"] == said[direction]["kept"]
        assert one["iou"]["value"] == pytest.approx(one["expected"], abs=0.12)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("cycle_iou > 2", "--where is true of none of the"),
        ("nothing > 1", "--where (nothing > 1) is no condition on a row"),
        ("expected_iou > 0.5", "--where (expected_iou > 0.5) is no condition"),
        ("(select 1) = 1", "holds a subquery"),
        (" ", "is empty"),
    ],
)
def test_conditions_that_keep_nothing_or_are_none(where, said, results, tmp_path):
    done = lmeec("select", results, "--where", where, "--out", tmp_path / "k.parquet")
    assert done.status == 1
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_rule_or_no_table_is_named(results, tmp_path):
    (tmp_path / "rule.json").write_text('{"format": "lmeec calibration 1"}')
    call = ("--where", "true", "--out", tmp_path / "k.parquet")
    done = lmeec("select", results, *call, "--rule", tmp_path / "rule.json")
    assert done.status == 1
    assert "is not a rule of this lmeec" in done.err
    done = lmeec("select", tmp_path / "none.parquet", *call)
    assert "none.parquet does not exist" in done.err
    done = lmeec("select", results, "--where", "true", "--out", results)
    assert "exists already" in done.err
    done = lmeec("select", results, "--where", "true", "--out", f"{tmp_path}/")
    assert "is a folder: name a file" in done.err


def test_the_test_split_has_signs_and_is_selected_and_fused_by_them(takes, tiny, tmp_path):
    """Its annotations hold query masks only, and no ground truth is anywhere in the tables."""
    takes.keep_queries(["aria", "gp01"])
    made = {}
    for name, options in (("forwards", ()), ("reverse", ("--reverse",))):
        made[name] = tmp_path / f"{name}.parquet"
        done = lmeec("predict", takes.root, "--checkpoint", tiny, "--cycle", *options, "--out", made[name])
        assert done.status == 0, done.err
    rows = read_results(made["forwards"]).to_pylist()
    assert {row["direction"] for row in rows} == {"ego2exo", "exo2ego"}
    assert {row["gt_state"] for row in rows} == {"unannotated"}
    assert all(row["cycle_iou"] is not None for row in rows)
    middle = float(np.median([row["cycle_iou"] for row in rows]))
    out = tmp_path / "kept.parquet"
    done = lmeec("select", made["forwards"], "--where", f"cycle_iou > {middle}", "--out", out)
    assert done.status == 0, done.err
    assert "there is no ground truth" in done.err
    assert read_results(out).to_pylist() == [row for row in rows if row["cycle_iou"] > middle]
    fused = tmp_path / "fused.parquet"
    assert lmeec("fuse", *made.values(), "--out", fused).status == 0
    others = read_results(made["reverse"]).to_pylist()
    best = [max(pair, key=lambda row: row["cycle_iou"])["cycle_iou"] for pair in zip(rows, others, strict=True)]
    assert [row["cycle_iou"] for row in read_results(fused).to_pylist()] == best
