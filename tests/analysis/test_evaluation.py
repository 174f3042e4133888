"""The four metrics of a table: means over frames, pooled over takes, by direction."""

from __future__ import annotations

import numpy as np
import polars
import pyarrow as pa
import pytest

from lmeec.analysis.evaluation import evaluate
from lmeec.errors import DataError, OutputError
from lmeec.metrics import frame_metrics
from lmeec.tables import read_results, rows_to_batch
from tests.support.rows import row, square, write_results


def visible(frame, left, score=1.0, **changes):
    return row(frame, gt_state="visible", gt=square(10, left), object_score=score, **changes)


def absent(frame, score, **changes):
    return row(frame, gt_state="absent", object_score=score, **changes)


ROWS = [
    visible(0, left=30),
    visible(30, left=40),
    visible(60, left=200, score=-1.0),
    visible(0, left=45, take_uid="take-2"),
    absent(30, score=-1.0, take_uid="take-2"),
    absent(60, score=1.0, take_uid="take-2", target_cam="cam02"),
    absent(90, score=-2.0, take_uid="take-2", target_cam="cam02"),
    row(90),
    visible(0, left=30, direction="exo2ego", query_cam="cam01", target_cam="aria01"),
]


def test_metrics_are_means_over_frames_pooled_over_takes(tmp_path):
    path = write_results(tmp_path / "r.parquet", ROWS)
    scores = evaluate(path)
    assert list(scores) == ["ego2exo", "exo2ego"]
    score = scores["ego2exo"]
    frames = [frame_metrics(one.mask, one.gt) for one in ROWS[:4]]
    for name in ("iou", "location_error", "contour_accuracy"):
        assert getattr(score, name) == pytest.approx(np.mean([getattr(frame, name) for frame in frames]), abs=1e-12)
    # 3 of 4 visible and 2 of 3 absent frames are called right.
    assert score.balanced_accuracy == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert (score.frames, score.visible, score.absent, score.tracks, score.takes) == (8, 4, 3, 3, 2)
    assert scores["exo2ego"].iou == pytest.approx(1)
    assert scores["exo2ego"].balanced_accuracy == 1


def test_a_table_in_memory_scores_as_its_file(tmp_path):
    path = write_results(tmp_path / "r.parquet", ROWS)
    scores = evaluate(path)
    assert evaluate(read_results(path)) == scores
    assert evaluate(polars.read_parquet(path).to_arrow()) == scores


def test_a_direction_with_absent_frames_only_has_no_mean():
    table = pa.Table.from_batches([rows_to_batch([absent(0, score=-1.0), absent(30, score=1.0)])])
    score = evaluate(table)["ego2exo"]
    assert (score.iou, score.location_error, score.contour_accuracy) == (None, None, None)
    assert score.balanced_accuracy == 0.5


def test_a_direction_without_annotations_is_counted():
    scores = evaluate(pa.Table.from_batches([rows_to_batch([visible(0, 30), row(0, direction="exo2ego")])]))
    assert (scores["exo2ego"].frames, scores["exo2ego"].iou, scores["exo2ego"].balanced_accuracy) == (1, None, None)


def test_no_ground_truth_is_said(tmp_path):
    path = write_results(tmp_path / "test.parquet", [row(0), row(30)])
    with pytest.raises(DataError, match=r"test\.parquet has no frame with ground truth.*annotations"):
        evaluate(path)
    with pytest.raises(DataError, match="the table has no frame"):
        evaluate(pa.Table.from_batches([rows_to_batch([])]))


def test_tables_that_cannot_be_scored_are_explained(tmp_path):
    table = pa.Table.from_batches([rows_to_batch(ROWS)])
    with pytest.raises(DataError, match="lacks the columns confidence, iou"):
        evaluate(table.drop_columns(["iou", "confidence"]))
    emptied = table.set_column(table.schema.get_field_index("iou"), "iou", pa.nulls(table.num_rows, pa.float64()))
    with pytest.raises(DataError, match="without metrics"):
        evaluate(emptied)
    numbers = pa.array(["high"] * table.num_rows)
    with pytest.raises(DataError, match="columns are not those"):
        evaluate(table.set_column(table.schema.get_field_index("confidence"), "confidence", numbers))
    with pytest.raises(OutputError, match="does not exist"):
        evaluate(tmp_path / "nope.parquet")
