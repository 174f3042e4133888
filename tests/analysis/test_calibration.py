"""A calibration file: what it decides, and what is said of files that are none."""

from __future__ import annotations

import numpy as np
import pytest

from lmeec.analysis.calibration import Calibration, Decision, read_calibration
from lmeec.errors import DataError
from lmeec.tables import rows_to_batch
from tests.support.rows import row, square

BY_AREA = Calibration({"ego2exo": Decision(("log_area_share",), (-2.0,), (0.5,), (3.0,), 0.0)})
"""Visible over 1% of the frame, which has 129,600 pixels."""


def batch(*rows):
    return rows_to_batch(list(rows))


def test_replaces_the_confidence_of_its_directions_only():
    rows = batch(
        row(0, mask=square(0, 0, 30)),
        row(30, mask=square(0, 0, 40)),
        row(60, mask=square(0, 0, 40), direction="exo2ego"),
    )
    applied = BY_AREA.apply(rows)
    assert (np.asarray(applied["confidence"]) > 0.5).tolist() == [False, True, True]
    shares = np.log10(np.array([900, 1600]) / 129_600)
    assert np.asarray(applied["confidence"])[:2] == pytest.approx(1 / (1 + np.exp(-6 * (shares + 2))))
    assert applied["confidence"][2] == rows["confidence"][2]
    assert applied.drop_columns(["confidence"]) == rows.drop_columns(["confidence"])
    assert applied.schema == rows.schema


def test_survives_its_file(tmp_path):
    path = tmp_path / "calibration.json"
    BY_AREA.write(path)
    assert read_calibration(path) == BY_AREA
    assert read_calibration(path).digest == BY_AREA.digest
    other = Decision(("log_area_share",), (-2.0,), (0.5,), (3.0,), 0.1)
    assert Calibration({"ego2exo": other}).digest != BY_AREA.digest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("{", "breaks off at line 1"),
        ("[]", "expected content"),
        ('{"format": "other"}', "not a calibration of this lmeec"),
        ('{"format": "lmeec calibration 1"}', "directions"),
        (
            '{"format": "lmeec calibration 1", "directions": {"ego2exo": {"features": ["colour"], "mean": [0],'
            '"scale": [1], "coefficients": [1], "intercept": 0}}}',
            "unknown feature 'colour'",
        ),
    ],
)
def test_foreign_files_are_named(tmp_path, text, words):
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"calibration\.json") as error:
        read_calibration(path)
    assert words in str(error.value)


def test_a_feature_that_rows_lack_is_named():
    by_iou = Calibration({"ego2exo": Decision(("predicted_iou",), (0.0,), (1.0,), (1.0,), 0.0)})
    with pytest.raises(DataError, match="needs predicted_iou"):
        by_iou.confidence(batch(row(0, predicted_iou=None)))
