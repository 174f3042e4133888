"""`lmeec import` as a user calls it: another method's predictions, scored by the same command."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lmeec.masks import RunLengthMask
from tests.support.command import lmeec
from tests.support.prediction_files import EGO, EXO, pairs_of, query_mask, reference_files

SIZE = (270, 480)


@pytest.fixture
def files(tmp_path):
    files = reference_files(SIZE, SIZE)
    files.truth_mask("take-2", "pan_1", EGO, 0, query_mask(EGO))
    files.truth_mask("take-2", "pan_1", EXO, 0, query_mask(EXO))
    empty = RunLengthMask.encode(np.zeros((90, 160), dtype=bool))
    files.prediction("take-2", "pan_1", f"{EGO}_{EXO}", 30, (90, 160, empty.counts))
    return files.write_predictions(tmp_path / "peers.json"), files.write_relations(tmp_path / "relations_val.json")


def test_imported_predictions_score_as_the_benchmark_scores_them(files, tmp_path):
    predictions, annotations = files
    out = tmp_path / "peers.parquet"
    done = lmeec("import", predictions, "--annotations", annotations, "--out", out, "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["visible"] == len(pairs_of(SIZE)) + 1
    assert "1 predictions are missing and count as empty" in done.err
    assert "1 predictions are left out" in done.err
    assert done.err.endswith(f"next: lmeec score {out}\n")
    scores = json.loads(lmeec("score", out, "--json").out)["directions"]["ego2exo"]
    ious = [*(pair["iou"] for pair in pairs_of(SIZE)), 0]
    assert scores["iou"] == pytest.approx(np.mean(ious), abs=1e-9)


def test_what_is_wrong_is_said_in_one_line(files, tmp_path):
    _, annotations = files
    done = lmeec("import", annotations, "--annotations", annotations, "--out", tmp_path / "o.parquet")
    assert done.status == 1
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert "not a prediction file" in done.err
