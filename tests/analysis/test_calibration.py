"""A calibration file: what it decides, and what is said of files that are none."""

from __future__ import annotations

import numpy as np
import pytest

from lmeec.analysis.calibration import Calibration, read_calibration
from lmeec.analysis.rule import Rule
from lmeec.errors import DataError
from lmeec.tables import rows_to_batch
from tests.support.rows import missing_row, row, square

BY_AREA = Calibration({"ego2exo": Rule(("log_area_share",), (-2.0,), (0.5,), (3.0,), 0.0)})
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
    other = Rule(("log_area_share",), (-2.0,), (0.5,), (3.0,), 0.1)
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
    by_iou = Calibration({"ego2exo": Rule(("predicted_iou",), (0.0,), (1.0,), (1.0,), 0.0)})
    with pytest.raises(DataError, match="needs predicted_iou"):
        by_iou.confidence(batch(row(0, predicted_iou=None)))


BY_NEIGHBOURS = Calibration(
    {"ego2exo": Rule(("log_area_share", "log_area_share_near"), (-2.0, -2.0), (0.5, 0.5), (1.0, 2.0), 0.0)},
    {"ego2exo": Rule(("overlap_near",), (0.5,), (0.25,), (1.0,), 0.0)},
)


def sides(*lengths, **changes):
    return [row(frame, mask=square(0, 0, side), **changes) for frame, side in enumerate(lengths)]


def test_neighbours_are_those_of_the_track_and_the_take():
    rows = batch(*sides(30, 40, 60), *sides(10, 10, take_uid="take-9"), missing_row(9))
    logs = [np.log10(np.array(some) ** 2 / 129_600) for some in ([30, 40, 60], [10, 10])]
    logits = np.concatenate([(some + 2) / 0.5 + 2 * (some.mean() + 2) / 0.5 for some in logs])
    found = BY_NEIGHBOURS.confidence(rows)
    assert found[:-1] == pytest.approx(1 / (1 + np.exp(-logits)))
    assert found[-1] == rows["confidence"][-1].as_py() == 0
    assert BY_NEIGHBOURS.needs_takes
    assert not BY_AREA.needs_takes


def test_trust_is_told_of_predictions_in_known_directions():
    rows = batch(*sides(30, 30, 60), row(3, mask=square(0, 0, 9), direction="exo2ego"))
    overlaps = np.array([1, (1 + 0.25) / 2, 0.25])
    found = BY_NEIGHBOURS.trusted(rows)
    assert found[:3] == pytest.approx(1 / (1 + np.exp(-(overlaps - 0.5) / 0.25)))
    assert np.isnan(found[3])


def test_a_round_trip_that_a_table_lacks_is_named_with_the_way_to_add_it():
    by_cycle = Calibration({"ego2exo": Rule(("cycle_iou_near",), (0.0,), (1.0,), (1.0,), 0.0)})
    with pytest.raises(DataError, match=r"needs cycle_iou, which rows of this table lack.*with a round trip"):
        by_cycle.confidence(batch(row(0)))


def test_files_from_before_trust_decide_as_they_did(tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text(
        '{"directions": {"ego2exo": {"features": ["object_score", "log_area_share"], "mean": [1, -2], "scale": [2, 1],'
        '"coefficients": [3, 1], "intercept": 0.5}}, "made": {}, "scores": {}, "format": "lmeec calibration 1",'
        '"lmeec_version": "0.1"}'
    )
    old = read_calibration(path)
    logit = 3 * (4 - 1) / 2 + np.log10(900 / 129_600) + 2 + 0.5
    found = old.confidence(batch(row(0, object_score=4.0, mask=square(0, 0, 30))))
    assert found == pytest.approx([1 / (1 + np.exp(-logit))])
    assert not old.trust
