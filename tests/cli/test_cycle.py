"""`lmeec cycle`: round trips for a table that exists."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow.compute as pc
import pytest

from lmeec.tables import read_metadata, read_results
from tests.support.command import lmeec
from tests.support.tiny import write_tiny

CYCLE = ("cycle_iou", "cycle_score")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Sees the object in some frames only, so that some predictions are empty."""
    return write_tiny(tmp_path_factory.mktemp("weights") / "w.safetensors", shift=-0.06)


@pytest.fixture
def table(takes, weights, tmp_path):
    path = tmp_path / "results.parquet"
    assert lmeec("predict", takes.root, "--out", path, "--checkpoint", weights).status == 0
    return path


@pytest.fixture
def cycle(table, takes, weights, tmp_path):
    def run(*options):
        out = tmp_path / "trusted.parquet"
        return lmeec("cycle", table, takes.root, "--out", out, "--checkpoint", weights, *options), out

    return run


@pytest.mark.parametrize("memory", [(), ("--cycle-memory",)], ids=["frame", "tracked"])
def test_a_table_gets_what_predict_would_have_given_it(memory, table, cycle, takes, weights, tmp_path):
    done, out = cycle(*memory)
    assert done.status == 0, done.err
    whole = tmp_path / "whole.parquet"
    assert lmeec("predict", takes.root, "-o", whole, "--checkpoint", weights, "--cycle", *memory).status == 0
    assert read_metadata(out) == read_metadata(whole)
    made, expected, before = (read_results(path) for path in (out, whole, table))
    assert (np.asarray(before["area"]) == 0).any()
    assert made.drop_columns(CYCLE).equals(before.drop_columns(CYCLE))
    for name in CYCLE:
        assert made[name].is_null().equals(expected[name].is_null())
        values = [np.asarray(pc.fill_null(some[name], 0)) for some in (made, expected)]
        np.testing.assert_allclose(*values, atol=2e-4)
    again, _ = cycle(*memory)
    assert again.status == 0
    assert "nothing to do" in again.err


def test_a_take_that_is_gone_keeps_its_rows_and_is_named(table, cycle, takes):
    with takes.annotations() as known:
        del known[takes.uids[0]]
    shutil.rmtree(takes.root / "takes" / takes.names[0])
    done, out = cycle()
    assert done.status == 1
    rows, before = read_results(out), read_results(table)
    assert rows.drop_columns(CYCLE).equals(before.drop_columns(CYCLE))
    lacking = pc.is_null(rows["cycle_iou"])
    assert set(rows.filter(lacking)["take_uid"].to_pylist()) == {takes.uids[0]}
    failures = json.loads(out.with_name(out.name + ".failures.json").read_text())
    assert {one["take_uid"] for one in failures} == {takes.uids[0]}


def test_a_camera_that_is_gone_costs_its_pairs_alone(table, cycle, takes):
    takes.video(0, "gp02").unlink()
    done, out = cycle()
    assert done.status == 1
    rows = read_results(out).to_pandas()
    lost = (rows.take_uid == takes.uids[0]) & ((rows.query_cam == "gp02") | (rows.target_cam == "gp02"))
    asked = rows.area > 0
    assert rows[asked & lost].cycle_iou.isna().all()
    assert rows[~lost].cycle_iou.notna().all()


def test_annotations_of_others_are_refused(cycle, takes):
    with takes.annotations() as known:
        for cameras in known[takes.uids[1]]["object_masks"].values():
            for masks in cameras.values():
                masks["annotation"].pop(next(iter(masks["annotation"])))
    done, out = cycle()
    assert done.status == 1
    assert "the annotations do not fit" in done.err
    assert not out.exists()


def test_the_table_itself_is_no_output(table, takes, weights):
    done = lmeec("cycle", table, takes.root, "--out", table, "--checkpoint", weights, "--overwrite")
    assert done.status == 1
    assert "is the table itself" in done.err


def test_predictions_of_another_method_are_taken_back_as_ones_of_our_own(table, cycle, takes, weights, tmp_path):
    done, own = cycle()
    assert done.status == 0, done.err
    peers, imported, out = (tmp_path / name for name in ("peers.json", "peers.parquet", "peers_trips.parquet"))
    assert lmeec("export", table, "--format", "challenge", "--out", peers).status == 0
    assert lmeec("import", peers, "--annotations", takes.relations, "--out", imported).status == 0
    assert pc.all(pc.is_null(read_results(imported)["predicted_iou"])).as_py()
    done = lmeec("cycle", imported, takes.root, "--out", out, "--checkpoint", weights)
    assert done.status == 0, done.err
    keys = ["take_uid", "direction", "object", "query_cam", "target_cam", "frame"]
    mine, theirs = (read_results(path).to_pandas().set_index(keys) for path in (own, out))
    assert len(theirs) > 20
    assert (theirs.area > 0).any()
    assert (theirs.area == 0).any()
    assert theirs.cycle_iou[theirs.area == 0].eq(0).all()
    expected = mine.loc[theirs.index]
    assert theirs.mask_rle.equals(expected.mask_rle)
    for name in CYCLE:
        assert theirs[name].isna().equals(expected[name].isna())
        np.testing.assert_allclose(theirs[name].fillna(0), expected[name].fillna(0), atol=2e-4)
