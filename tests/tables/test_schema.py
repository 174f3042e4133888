"""Rows become columns that pandas, DuckDB and Polars read as they are."""

from __future__ import annotations

import math
from dataclasses import asdict

import duckdb
import numpy as np
import pandas as pd
import polars
import pytest

from lmeec.errors import DataError
from lmeec.masks import RunLengthMask
from lmeec.metrics import frame_metrics
from lmeec.tables import SCHEMA, rows_to_batch
from tests.support.rows import MISSING, missing_row, row, square, write_results


def test_columns_follow_from_the_row():
    one = row(frame=60, gt_state="visible", gt=square(10, 40), cycle_iou=0.5, cycle_score=-1.5)
    (values,) = rows_to_batch([one]).to_pylist()
    metrics = frame_metrics(one.mask, one.gt)
    assert values == {
        "take_uid": "take-1",
        "take_name": "cooking 1",
        "scenario": "Cooking",
        "object": "cup_0",
        "query_cam": "aria01",
        "target_cam": "cam01",
        "direction": "ego2exo",
        "frame": 60,
        "step": 2,
        "target_frame": None,
        "missing": None,
        "height": 270,
        "width": 480,
        "mask_rle": one.mask.counts,
        "area": 400,
        "bbox": [30.0, 10.0, 20.0, 20.0],
        "object_score": 2.5,
        "confidence": pytest.approx(1 / (1 + math.exp(-2.5)), abs=1e-15),
        "predicted_iou": 0.75,
        "cycle_iou": 0.5,
        "cycle_score": -1.5,
        "gt_state": "visible",
        "gt_rle": one.gt.counts,
        "iou": metrics.iou,
        "location_error": metrics.location_error,
        "contour_accuracy": metrics.contour_accuracy,
        "source_run": None,
    }
    assert 0 < values["iou"] < 1


@pytest.mark.parametrize("why", ["empty_query", "video", "camera", "failed"])
def test_a_missing_prediction_has_what_an_empty_mask_gets(why):
    one = missing_row(60, missing=why, gt_state="visible", gt=square(10, 40))
    (values,) = rows_to_batch([one]).to_pylist()
    for name in ("step", "mask_rle", "area", "bbox", "object_score", "predicted_iou", "cycle_iou"):
        assert values[name] is None, name
    assert (values["missing"], values["confidence"], values["height"], values["width"]) == (why, 0, 270, 480)
    assert (values["gt_state"], values["gt_rle"]) == ("visible", one.gt.counts)
    expected = frame_metrics(RunLengthMask.encode(np.zeros((270, 480), bool)), one.gt)
    assert {name: values[name] for name in ("iou", "location_error", "contour_accuracy")} == asdict(expected)
    assert values["iou"] == values["contour_accuracy"] == 0


@pytest.mark.parametrize("state", ["absent", "unannotated"])
def test_frames_without_visible_ground_truth_have_no_metrics(state):
    (values,) = rows_to_batch([row(gt_state=state, scenario=None)]).to_pylist()
    for name in ("scenario", "gt_rle", "iou", "location_error", "contour_accuracy"):
        assert values[name] is None
    assert values["gt_state"] == state


def test_without_a_round_trip_nothing_is_said_of_it():
    values = rows_to_batch([row(), row(cycle_iou=0.0), missing_row(60)]).to_pylist()
    assert [(one["cycle_iou"], one["cycle_score"]) for one in values] == [(None, None), (0, None), (None, None)]


def test_confidence_passes_one_half_exactly_where_the_score_passes_zero():
    scores = [-1024.0, -1e-7, 0.0, 1e-7, 1024.0]
    confidences = rows_to_batch([row(object_score=score) for score in scores])["confidence"].to_pylist()
    assert [confidence > 0.5 for confidence in confidences] == [False, False, False, True, True]
    assert confidences[0] == 0
    assert confidences[-1] == 1


def test_no_rows_are_a_batch_of_none():
    assert rows_to_batch([]).schema == SCHEMA


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"direction": "ego2ego"}, "'ego2ego' is not one of ego2exo, exo2ego"),
        ({"gt_state": "hidden"}, "'hidden' is not one of visible, absent, unannotated"),
        ({"gt_state": "visible"}, "'visible' goes with a ground truth mask"),
        ({"gt_state": "absent", "gt": square(0, 0)}, "does not go with gt_state 'absent'"),
        ({"gt_state": "visible", "gt": RunLengthMask.encode(np.ones((480, 480), bool))}, "480x480 does not go"),
        ({"mask": None}, "a prediction has a mask"),
        ({"step": None}, "a prediction has a mask"),
        ({"object_score": None}, "either an object score or a confidence"),
        ({"confidence": 0.5}, "either an object score or a confidence"),
        ({"missing": "video"}, "without a prediction has a size, and neither mask"),
        (MISSING | {"missing": "lost"}, "'lost' is not one of empty_query, video, camera, failed"),
        (MISSING | {"size": None}, "without a prediction has a size"),
        (MISSING | {"confidence": 0.0}, "nor confidence"),
        (MISSING | {"cycle_iou": 0.0}, "neither mask, step, scores nor confidence"),
        ({"cycle_iou": 1.5}, "cycle_iou 1.5 is not in"),
        (MISSING | {"gt_state": "visible", "gt": RunLengthMask.empty(480, 480)}, "480x480 does not go"),
    ],
)
def test_rows_that_contradict_themselves_are_refused(changes, words):
    with pytest.raises(DataError, match=words):
        row(**changes)


def test_pandas_duckdb_and_polars_read_the_file_as_it_is(tmp_path):
    rows = [
        row(0, gt_state="visible", gt=square(10, 40)),
        row(30, gt_state="absent", scenario=None, mask=RunLengthMask.encode(np.zeros((270, 480), bool))),
        missing_row(45),
        row(60, object="sauté/カップ\t0"),
    ]
    path = write_results(tmp_path / "r.parquet", rows)
    expected = rows_to_batch(rows).to_pylist()

    frame = pd.read_parquet(path)
    assert list(frame.columns) == SCHEMA.names
    assert frame["bbox"][0].tolist() == [30, 10, 20, 20]
    assert frame["iou"].notna().tolist() == [True, False, False, False]
    assert frame["scenario"].isna().tolist() == [False, True, False, False]
    assert frame["missing"].isna().tolist() == [True, True, False, True]

    assert polars.read_parquet(path).to_dicts() == expected

    cursor = duckdb.sql(f"select * from '{path}' order by frame")
    assert [dict(zip(cursor.columns, values, strict=True)) for values in cursor.fetchall()] == expected
    assert duckdb.sql(f"select max(bbox[3]) from '{path}' where object = 'cup_0'").fetchall() == [(20.0,)]
