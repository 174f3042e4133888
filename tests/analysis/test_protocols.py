"""The paper's own protocol on rows of a table, and tables that a protocol refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from lmeec.analysis.evaluation import evaluate
from lmeec.analysis.protocols import as_paper_counts, left_out
from lmeec.errors import ConfigError, DataError
from lmeec.masks import RunLengthMask
from lmeec.metrics import frame_metrics
from lmeec.tables import SCHEMA, rows_to_batch
from tests.support.places import ASSETS
from tests.support.rows import RUN, missing_row, row, write_results

ASSET = ASSETS / "pixels_small.npz"
SQUARE_RUN = replace(RUN, predict=RUN.predict | {"mask_size": "square"})


def box(top: int, left: int, side: int) -> RunLengthMask:
    mask = np.zeros((480, 480), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return RunLengthMask.encode(mask)


EMPTY = box(0, 0, 0)


def paper(*rows):
    return as_paper_counts(rows_to_batch(list(rows))).to_pylist()


def test_visible_is_what_the_released_scripts_call_visible():
    """The released scripts' own masks, areas and confidences; 216 pixels are called absent, 248 visible."""
    with np.load(ASSET) as released:
        masks = [RunLengthMask.encode(mask) for mask in released["masks/mask_480"]]
        areas, confidences = released["masks/area"].tolist(), released["masks/confidence"].tolist()
    rows = paper(*(row(30 * place, mask=mask) for place, mask in enumerate(masks)))
    assert [one["area"] for one in rows] == areas
    assert [one["confidence"] for one in rows] == confidences


@pytest.mark.parametrize(("pixels", "confidence"), [(230, 0), (231, 1)])
def test_the_area_must_be_over_a_thousandth_of_the_frame(pixels, confidence):
    mask = np.zeros((480, 480), dtype=bool)
    mask.flat[:pixels] = True
    (one,) = paper(row(mask=RunLengthMask.encode(mask)))
    assert one["confidence"] == confidence


def test_truth_is_a_mask_with_a_pixel_and_all_else_is_absent():
    rows = paper(
        row(0, mask=box(0, 0, 20), gt_state="visible", gt=box(5, 5, 20)),
        row(30, mask=box(0, 0, 20), gt_state="visible", gt=EMPTY),
        row(60, mask=box(0, 0, 20), gt_state="absent"),
        row(90, mask=box(0, 0, 20)),
        row(120, mask=box(0, 0, 20), gt=box(5, 5, 20)),  # a mask outside the annotated frames
    )
    assert [one["gt_state"] for one in rows] == ["visible", "absent", "absent", "absent", "visible"]
    expected = frame_metrics(box(0, 0, 20), box(5, 5, 20))
    for one in (rows[0], rows[4]):
        assert [one[name] for name in ("iou", "location_error", "contour_accuracy")] == [
            expected.iou,
            expected.location_error,
            expected.contour_accuracy,
        ]
    assert [one["iou"] for one in rows[1:4]] == [None] * 3


def test_a_mask_outside_the_annotated_frames_has_no_metrics_in_the_table():
    (one,) = rows_to_batch([row(mask=box(0, 0, 20), gt=box(5, 5, 20))]).to_pylist()
    assert (one["gt_state"], one["iou"]) == ("unannotated", None)
    assert one["gt_rle"] == box(5, 5, 20).counts


def test_frames_between_the_released_ones_and_those_without_a_prediction_are_left_out(tmp_path):
    rows = [
        row(0, mask=EMPTY),
        row(15, mask=EMPTY),
        row(45, mask=EMPTY),
        missing_row(60, size=(480, 480), gt_state="visible", gt=EMPTY),
    ]
    assert [one["frame"] for one in paper(*rows)] == [0]
    path = write_results(tmp_path / "square.parquet", rows, run=SQUARE_RUN)
    counts = left_out(path)
    assert (counts.missing, counts.between) == (1, 2)


@pytest.fixture
def tables(tmp_path):
    """A table of each size of masks."""
    truth = {"gt_state": "visible", "gt": box(5, 5, 20)}
    return {
        "square": write_results(tmp_path / "square.parquet", [row(mask=box(0, 0, 20), **truth)], run=SQUARE_RUN),
        "evaluation": write_results(tmp_path / "evaluation.parquet", [row(mask=box(0, 0, 20), **truth)]),
    }


def test_each_protocol_takes_its_own_tables_and_names_the_option_to_the_other(tables):
    assert evaluate(tables["square"], protocol="paper")["ego2exo"].visible == 1
    assert evaluate(tables["evaluation"])["ego2exo"].visible == 1
    with pytest.raises(DataError, match=r"evaluation\.parquet: .*predict with `mask_size=.square"):
        evaluate(tables["evaluation"], protocol="paper")
    with pytest.raises(DataError, match=r"square\.parquet: .*protocol=.paper"):
        evaluate(tables["square"])
    with pytest.raises(ConfigError, match="no protocol 'papers': choose from benchmark, paper"):
        evaluate(tables["square"], protocol="papers")


def test_of_a_table_in_memory_the_size_of_masks_tells():
    square, other = row(mask=box(0, 0, 20), gt_state="visible", gt=box(5, 5, 20)), row(30)
    both = pa.Table.from_batches([rows_to_batch([square, other])], schema=SCHEMA)
    with pytest.raises(DataError, match=r"mask_size=.square"):
        evaluate(both, protocol="paper")
    assert evaluate(both.slice(0, 1), protocol="paper")["ego2exo"].visible == 1
