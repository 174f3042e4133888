"""`lmeec calibrate`, and its file in `lmeec predict`, as a user calls them."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lmeec.analysis.calibration import Calibration, read_calibration
from lmeec.analysis.rule import Rule
from lmeec.config import PredictConfig
from lmeec.data.takes import find_takes
from lmeec.inference.predictor import predict_take
from lmeec.model.build import load_model
from lmeec.tables import read_metadata, read_results
from tests.support.command import lmeec
from tests.support.rows import row, square, write_results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Masks are over 0.1% of the frame throughout; the object score is over 3 where the object is visible."""
    random = np.random.default_rng(0)
    rows = [
        row(
            frame,
            take_uid=f"take-{take}",
            object_score=float(random.normal(4 if seen else 2, 0.5)),
            **({"gt_state": "visible", "gt": square(10, 30)} if seen else {"gt_state": "absent"}),
        )
        for take in range(5)
        for frame, seen in enumerate([True] * 12 + [False] * 8)
    ]
    return write_results(tmp_path_factory.mktemp("calibrate") / "results.parquet", rows)


def test_calibrate_then_score(results, tmp_path):
    out = tmp_path / "calibration.json"
    done = lmeec("calibrate", results, "--out", out, "--json")
    assert done.status == 0, done.err
    scores = json.loads(done.out)["ego2exo"]
    assert scores["confidence"]["value"] == scores["released_rule"]["value"] == 0.5
    assert scores["calibrated"]["value"] > 0.9
    assert scores["gain"]["low"] > 0.3
    on_itself = lmeec("score", results, "--calibration", out)
    assert "note: the calibration was fitted on the ground truth of" in on_itself.err
    before, after = (
        json.loads(lmeec("score", results, "--json", *options).out)["directions"]["ego2exo"]["balanced_accuracy"]
        for options in ([], ["--calibration", out])
    )
    assert before == 0.5
    assert after > 0.9
    again = lmeec("calibrate", results, "--out", out)
    assert again.status == 1
    assert "exists already" in again.err
    shown = lmeec("calibrate", results, "--out", out, "--overwrite")
    assert "ego2exo, calibrated" in shown.out
    assert "wrote" in shown.err


def test_errors_are_one_line(results, tmp_path):
    without = write_results(tmp_path / "test.parquet", [row(0)])
    done = lmeec("calibrate", without, "--out", tmp_path / "c.json")
    assert done.status == 1
    assert done.err.startswith("error: ")
    assert "no frame with ground truth" in done.err
    foreign = tmp_path / "foreign.json"
    foreign.write_text('{"a": 1}')
    done = lmeec("score", results, "--calibration", foreign)
    assert done.status == 1
    assert "not a calibration" in done.err


def test_predict_decides_confidence_by_the_calibration(takes, tiny, tmp_path):
    by_area = {direction: Rule(("log_area_share",), (-2.0,), (1.0,), (2.0,), 0.0) for direction in ("ego2exo",)}
    path = tmp_path / "calibration.json"
    Calibration(by_area).write(path)
    call = ("predict", takes.root, "--checkpoint", tiny, "--take", takes.uids[0])
    done = lmeec(*call, "--out", tmp_path / "with.parquet", "--calibration", path)
    assert done.status == 0, done.err
    assert "says nothing of exo2ego" in done.err
    assert lmeec(*call, "--out", tmp_path / "without.parquet").status == 0
    calibrated, plain = (read_results(tmp_path / f"{name}.parquet") for name in ("with", "without"))
    assert calibrated.drop_columns(["confidence"]) == plain.drop_columns(["confidence"])
    rows = calibrated.to_pandas()
    ours = rows[rows.direction == "ego2exo"]
    share = np.maximum(ours.area / (ours.height * ours.width), 1e-6)
    assert ours.confidence.to_numpy() == pytest.approx(1 / (1 + np.exp(-2 * (np.log10(share) + 2))))
    others = rows[rows.direction == "exo2ego"]
    assert others.confidence.to_numpy() == pytest.approx(1 / (1 + np.exp(-others.object_score.astype(float))))
    assert read_metadata(tmp_path / "with.parquet").predict["calibration"] == read_calibration(path).digest
    refused = lmeec(*call, "--out", tmp_path / "without.parquet", "--calibration", path)
    assert refused.status == 1
    assert "predict.calibration" in refused.err


def test_predict_and_score_decide_alike_by_neighbours(takes, tiny, tmp_path):
    """What waits for whole takes is the same as a run of it writes, and as scoring works out later, on any table."""
    rule = Rule(
        ("object_score_near", "overlap_near", "views_most"), (0.1, 0.5, 0.5), (1.0, 0.2, 0.2), (1.0, -2, 3), 0.2
    )
    calibration = Calibration({"ego2exo": rule, "exo2ego": rule})
    path = tmp_path / "calibration.json"
    calibration.write(path)
    call = ("predict", takes.root, "--checkpoint", tiny)
    assert lmeec(*call, "--out", tmp_path / "with.parquet", "--calibration", path).status == 0
    assert lmeec(*call, "--out", tmp_path / "without.parquet").status == 0
    calibrated, plain = (read_results(tmp_path / f"{name}.parquet") for name in ("with", "without"))
    assert calibrated.drop_columns(["confidence"]) == plain.drop_columns(["confidence"])
    assert np.asarray(calibrated["confidence"]) == pytest.approx(calibration.confidence(plain), abs=1e-12)
    assert len(np.unique(np.asarray(calibrated["confidence"]))) > 10
    scores = [
        json.loads(lmeec("score", tmp_path / f"{name}.parquet", "--json", *options).out)["directions"]
        for name, options in (("with", []), ("without", ["--calibration", path]))
    ]
    assert scores[0] == scores[1]
    model, take = load_model(tiny, device="cpu"), next(iter(find_takes(takes.root)))
    rows = pa.Table.from_batches(predict_take(model, take, "exo2ego", PredictConfig(calibration=calibration)))
    ours = calibrated.filter((pc.field("take_uid") == take.uid) & (pc.field("direction") == "exo2ego"))
    order = [(name, "ascending") for name in ("object", "query_cam", "target_cam", "frame")]
    assert rows.sort_by(order)["confidence"] == ours.sort_by(order)["confidence"]


def test_a_run_without_the_round_trip_that_a_calibration_weighs_is_refused_at_once(takes, tiny, tmp_path):
    rule = Rule(("object_score", "cycle_iou_near"), (0.0, 0.5), (1.0, 0.2), (1.0, 1.0), 0.0)
    path, out = tmp_path / "calibration.json", tmp_path / "r.parquet"
    Calibration({"ego2exo": rule}).write(path)
    call = ("predict", takes.root, "--checkpoint", tiny, "--calibration", path, "--out", out)
    done = lmeec(*call)
    assert done.status == 1
    assert "--calibration weighs the round trip of ego2exo, which this run does not make: set --cycle" in done.err
    assert "started" not in done.err
    assert not out.exists()
    assert lmeec(*call, "--direction", "exo2ego").status == 0
