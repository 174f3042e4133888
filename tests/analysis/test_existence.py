"""The fitted decision is better than the rules where the features tell more, and honest about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lmeec.analysis.existence import fit_calibration
from lmeec.analysis.frames import load_frames
from lmeec.analysis.groups import score_groups
from lmeec.errors import DataError, OutputError
from lmeec.tables import read_results
from tests.support import naive_trust as naive
from tests.support.rows import row, square, write_results


def take(uid, random, visible=20, absent=20, bias=3.0, **changes):
    """Frames whose object score is a state's, moved by `bias`; the mask's area says nothing."""
    rows = []
    for frame in range(visible + absent):
        seen = frame < visible
        state = {"gt_state": "visible", "gt": square(10, 30)} if seen else {"gt_state": "absent"}
        score = float(random.normal(1.0 if seen else -1.0, 0.5)) + bias
        noise = square(10, 30, int(random.integers(15, 40)))
        rows.append(row(frame, take_uid=uid, object_score=score, mask=noise, **state, **changes))
    return rows


@pytest.fixture
def results(tmp_path):
    def write(rows):
        return write_results(tmp_path / "r.parquet", rows)

    return write


def rows_of(takes=6, **options):
    random = np.random.default_rng(0)
    return [one for number in range(takes) for one in take(f"take-{number}", random, **options)]


def test_learns_where_the_threshold_should_be(results):
    path = results(rows_of())
    fitted = fit_calibration(path)
    scores = fitted.scores["ego2exo"]
    assert scores.confidence.value == pytest.approx(0.5, abs=0.05)
    assert scores.released_rule.value == pytest.approx(0.5, abs=0.05)
    assert scores.calibrated.value > 0.9
    assert scores.gain.value == pytest.approx(scores.calibrated.value - scores.confidence.value)
    assert 0.3 < scores.gain.low <= scores.gain.high
    assert scores.calibrated.low <= scores.calibrated.value <= scores.calibrated.high
    # Scoring with it gives what was promised, but for the frames having been fitted on.
    (scored,) = score_groups(load_frames(path, calibration=fitted.calibration))
    assert scored.balanced_accuracy.value == pytest.approx(scores.calibrated.value, abs=0.03)


def test_what_is_reported_is_of_takes_that_were_not_fitted_on(results):
    # Each take has a threshold of its own: fitting on it would show a gain that does not carry over.
    random = np.random.default_rng(0)
    rows = [one for number in range(4) for one in take(f"take-{number}", random, bias=40.0 * number - 60)]
    fitted = fit_calibration(results(rows))
    assert fitted.scores["ego2exo"].calibrated.value < 0.7


def test_directions_are_fitted_apart_and_those_that_cannot_be_are_named(results):
    random = np.random.default_rng(0)
    other = {"direction": "exo2ego", "query_cam": "cam01", "target_cam": "aria01"}
    rows = rows_of() + take("take-0", random, absent=0, **other)
    fitted = fit_calibration(results(rows))
    assert list(fitted.calibration.directions) == ["ego2exo"]
    assert "no annotated frame is absent" in fitted.skipped["exo2ego"]


def test_imported_predictions_are_decided_by_area(results):
    random = np.random.default_rng(0)
    rows = []
    for number in range(4):
        for frame in range(20):
            seen = frame < 10
            mask = square(10, 30, int(random.integers(30, 40) if seen else random.integers(15, 20)))
            state = {"gt_state": "visible", "gt": square(10, 30)} if seen else {"gt_state": "absent"}
            scores = {"object_score": None, "predicted_iou": None, "confidence": 0.9}
            rows.append(row(frame, take_uid=f"take-{number}", mask=mask, **scores, **state))
    fitted = fit_calibration(results(rows))
    assert fitted.calibration.directions["ego2exo"].features == (
        "log_area_share",
        "log_area_share_near",
        "overlap_near",
        "largest_piece",
    )
    assert fitted.scores["ego2exo"].calibrated.value == 1


def test_trust_can_be_fitted_where_no_frame_is_absent(results):
    fitted = fit_calibration(results(rows_of(absent=0)))
    assert fitted.skipped.keys() == {"ego2exo"}
    assert fitted.calibration.trust.keys() == {"ego2exo"}
    assert not fitted.calibration.directions


def test_round_trips_count_and_an_empty_prediction_has_none_of_its_own_score(results):
    """What came back tells who is there; where nothing was predicted, nothing could come back."""
    random = np.random.default_rng(0)
    rows = []
    for one in rows_of(bias=0.0):
        empty = random.random() < 0.2
        back = {"cycle_iou": 0.0, "cycle_score": None}
        if not empty:
            back = {"cycle_iou": float(random.uniform(0.5, 1.0) * (one.gt is not None)), "cycle_score": 1.0}
        rows.append(replace(one, **back, **({"mask": square(0, 0, 0)} if empty else {})))
    path = results(rows)
    fitted = fit_calibration(path)
    features = fitted.calibration.directions["ego2exo"].features
    assert {"cycle_iou", "cycle_score", "cycle_iou_near"} <= set(features)
    assert fitted.scores["ego2exo"].calibrated.value > 0.9
    assert fitted.trust["ego2exo"].signs["cycle_iou"].value is not None
    path.unlink()
    with pytest.raises(DataError, match="some rows of this table lack cycle_iou"):
        fit_calibration(results([*rows, *take("take-9", random)]))


def test_what_is_reported_is_what_plain_loops_find(results):
    path = results(rows_of(takes=4, visible=9, absent=7))
    scores = fit_calibration(path).scores["ego2exo"]
    table = read_results(path).to_pandas()
    truth = (table.gt_state == "visible").tolist()
    assert scores.confidence.value == pytest.approx(naive.balanced_accuracy((table.confidence > 0.5).tolist(), truth))
    assert scores.auroc_of_confidence.value == pytest.approx(naive.auroc(table.confidence.tolist(), truth))
    assert [share for share, _ in scores.roc] == pytest.approx(np.linspace(0, 1, 51))


def test_the_file_says_how_it_was_made(results):
    calibration = fit_calibration(results(rows_of())).calibration
    assert calibration.made["run"]["model"] == "nano"
    assert calibration.made["frames"]["ego2exo"] == {"visible": 120, "absent": 120, "takes": 6, "folds": 5}
    assert calibration.scores["ego2exo"]["calibrated"]["low"] > 0.8


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(0), row(30)], "no frame with ground truth"),
        ([row(f, take_uid=str(f % 2), gt_state="visible", gt=square(10, 30)) for f in range(4)], "no .* is absent"),
        (rows_of(visible=0), "no annotated frame is visible"),
        (rows_of(takes=1), "only one take"),
    ],
)
def test_tables_that_cannot_be_fitted_on_are_explained(results, rows, words):
    with pytest.raises(DataError, match=words):
        fit_calibration(results(rows))


def test_truncated_tables_are_named(results):
    path = results(rows_of())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(OutputError, match="not a whole Parquet file"):
        fit_calibration(path)
