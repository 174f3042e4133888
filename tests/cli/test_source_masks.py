"""`lmeec predict --mask-size source`: masks at the size of the target's frames, scored at the benchmark's."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

import lmeec as library
from lmeec.analysis.evaluation import evaluate
from lmeec.config import PredictConfig
from lmeec.errors import DataError
from lmeec.masks import RunLengthMask
from lmeec.tables import ResultRow, read_metadata, read_results
from tests.support import naive_protocols as naive
from tests.support.command import lmeec


@pytest.fixture(scope="module")
def runs(rendered_takes, tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    paths = {}
    for size in ("evaluation", "source"):
        paths[size] = folder / f"{size}.parquet"
        done = lmeec("predict", rendered_takes.root, "-o", paths[size], "--checkpoint", tiny, "--mask-size", size)
        assert done.status == 0, done.err
    return paths


def test_masks_have_the_size_of_the_frames_and_annotations_stay_as_they_are(runs, rendered_takes):
    rows = read_results(runs["source"]).to_pandas()
    views = naive.read_relations(rendered_takes.relations)
    assert read_metadata(runs["source"]).predict["mask_size"] == "source"
    seen = set()
    for row in rows.itertuples():
        truth = views[row.take_uid][row.object][row.target_cam].masks.get(row.frame)
        if row.gt_state == "visible":
            assert (naive.decode({"size": (row.height, row.width), "counts": row.gt_rle}) == truth).all()
            seen.add((row.height, row.width))
    assert len(seen) > 1, "ego and exo frames are of different shapes"
    assert all(max(size) != 480 for size in seen)


@pytest.mark.parametrize("direction", naive.DIRECTIONS)
def test_the_score_is_the_benchmarks_of_its_masks_resized(direction, runs, rendered_takes):
    rows = read_results(runs["source"]).to_pandas()
    predictions = {}
    for row in rows[rows.direction == direction].itertuples():
        key = (row.take_uid, row.object, row.query_cam, row.target_cam, row.frame)
        if row.mask_rle is not None:
            mask = naive.decode({"size": (row.height, row.width), "counts": row.mask_rle})
            mask = naive.resized(mask, *naive.evaluation_size(*mask.shape))
            predictions[key] = (mask, row.confidence)
    views = naive.read_relations(rendered_takes.relations)
    expected = naive.benchmark(views, predictions, direction, rendered_takes.uids)
    found = evaluate(runs["source"])[direction]
    for name in ("iou", "location_error", "contour_accuracy", "balanced_accuracy"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-9)
    assert (found.visible, found.absent) == (expected.visible, expected.absent)


def test_all_else_is_as_of_the_usual_run(runs):
    usual, source = (read_results(runs[size]).to_pandas() for size in ("evaluation", "source"))
    same = [
        "take_uid",
        "object",
        "query_cam",
        "target_cam",
        "frame",
        "step",
        "object_score",
        "predicted_iou",
        "gt_state",
    ]
    assert usual[same].equals(source[same])
    shares = [rows.area / (rows.height * rows.width) for rows in (usual, source)]
    assert abs(shares[0] - shares[1]).max() < 0.02


def test_the_challenges_file_has_masks_of_its_size_and_the_same_score(runs, rendered_takes, tmp_path):
    made = tmp_path / "challenge.json"
    assert lmeec("export", runs["source"], "--format", "challenge", "--out", made).status == 0
    results = json.loads(made.read_text())["ego-exo"]["results"].values()
    masks = [
        frame["pred_mask"]["size"]
        for take in results
        for pairs in take["masks"].values()
        for frames in pairs.values()
        for frame in frames.values()
    ]
    assert {max(size) for size in masks} == {480}
    back = tmp_path / "back.parquet"
    assert lmeec("import", made, "--annotations", rendered_takes.relations, "--out", back).status == 0
    assert evaluate(back) == evaluate(runs["source"])


def test_round_trips_are_those_of_the_usual_run(rendered_takes, tiny, tmp_path):
    model = library.load_model(tiny, device="cpu")
    take = library.find_takes(rendered_takes.root)[0]
    trips = []
    for size in ("evaluation", "source"):
        batches = library.predict_take(model, take, "ego2exo", PredictConfig(mask_size=size, cycle="frame"))
        trips.append(pa.Table.from_batches(batches).select(["cycle_iou", "cycle_score"]))
    assert trips[0].equals(trips[1])
    assert trips[0]["cycle_iou"].null_count == 0


def test_runs_of_different_sizes_are_not_fused(runs, tmp_path):
    done = lmeec("fuse", *runs.values(), "--by", "predicted_iou", "--out", tmp_path / "fused.parquet")
    assert done.status == 1
    assert "masks of different sizes" in done.err


def test_the_papers_protocol_takes_square_masks_alone(runs):
    done = lmeec("score", runs["source"], "--protocol", "paper")
    assert done.status == 1
    assert "--mask-size square" in done.err


@pytest.mark.parametrize("size", [(2160, 3840), (1080, 1920), (1408, 1408), (64, 114), (3, 5)])
def test_metrics_of_a_row_of_any_size(size):
    generator = np.random.default_rng(sum(size))
    height, width = size
    masks = []
    for _ in range(2):
        mask = np.zeros(size, bool)
        top, left = generator.integers(0, height // 2), generator.integers(0, width // 2)
        mask[top : top + 2 + height // 3, left : left + 2 + width // 3] = True
        masks.append(mask)
    row = ResultRow(
        *("t", "t", None, "cup", "aria01", "cam01", "ego2exo", 0, 0),
        mask=RunLengthMask.encode(masks[0]),
        object_score=1.0,
        predicted_iou=None,
        gt_state="visible",
        gt=RunLengthMask.encode(masks[1]),
    )
    there, truth = (naive.resized(mask, *naive.evaluation_size(*size)) for mask in masks)
    found = row.metrics()
    assert found.iou == pytest.approx(naive.iou(there, truth), abs=1e-9)
    assert found.location_error == pytest.approx(naive.location_error(there, truth), abs=1e-9)
    assert found.contour_accuracy == pytest.approx(naive.contour_accuracy(there, truth), abs=1e-9)


def test_masks_of_two_clips_in_python(model):
    clip = np.random.default_rng(0).integers(0, 255, (3, 40, 60, 3), np.uint8)
    track = library.track(model, clip, clip, np.ones((3, 40, 60), bool))
    masks = track.masks(40, 60)
    assert (masks.shape, masks.dtype) == ((3, 40, 60), bool)
    side = track.mask_logits.shape[-1]
    assert (track.masks(side, side) == (track.mask_logits > 0).numpy()).all()
    y, x = 13, 22  # the middle of a pixel, on the grid of logits: bilinear interpolation by hand
    row, column = (y + 0.5) / 40 * side - 0.5, (x + 0.5) / 60 * side - 0.5
    top, left = int(row), int(column)
    below, right = row - top, column - left
    corners = track.mask_logits[1, top : top + 2, left : left + 2].numpy()
    value = (np.array([1 - below, below]) @ corners) @ np.array([1 - right, right])
    assert masks[1, y, x] == (value > 0)
    with pytest.raises(DataError, match="at least one pixel"):
        track.masks(0, 60)
