"""Prediction of one take: what is computed, and how often."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

import lmeec
from lmeec.inference.predictor import TakePredictor
from lmeec.masks import RunLengthMask, evaluation_size, resize_nearest
from lmeec.tables import SCHEMA
from tests.support.rates import double_rate


@pytest.fixture(scope="module")
def tiny_model(tiny):
    return lmeec.load_model(tiny, device="cpu")


@pytest.fixture(scope="module")
def take(rendered_takes):
    return list(lmeec.find_takes(rendered_takes.root))[1]


@pytest.fixture
def counted(tiny_model, monkeypatch):
    """Rows that went through parts of the network."""
    rows = Counter()
    for name in ("encode", "prepare", "view_memory", "decode"):
        original = getattr(tiny_model, name)

        def count(first, *rest, name=name, original=original):
            rows[name] += len(first.coarse if hasattr(first, "coarse") else getattr(first, "tokens", first))
            return original(first, *rest)

        monkeypatch.setattr(tiny_model, name, count)
    return rows


@pytest.mark.parametrize("direction", ["ego2exo", "exo2ego"])
def test_a_camera_frame_is_encoded_once_and_a_view_memory_made_once_an_object(direction, tiny_model, take, counted):
    with TakePredictor(
        tiny_model, take, direction, lmeec.PredictConfig(), lmeec.ExecutionConfig(batch_tracks=2)
    ) as predictor:
        plan = predictor.plan
        rows = sum(map(len, predictor.rows()))
    cameras = {camera for track in plan.tracks for camera in (track.query_camera, track.target_camera)}
    assert len(plan.tracks) > len(plan.streams) or direction == "exo2ego"
    assert counted["encode"] == sum(len(plan.frames_of(camera)) for camera in cameras)
    targets = {(track.target_camera, frame) for track in plan.tracks for frame in track.frames}
    assert counted["prepare"] == len(targets)
    assert counted["view_memory"] == sum(len(stream.frames) for stream in plan.streams)
    assert counted["decode"] == rows == plan.steps


def test_a_camera_of_another_frame_rate_is_read_at_the_same_instants(tiny_model, takes):
    """Every other frame of the faster camera is black: any but the nearest would show."""
    take = next(iter(lmeec.find_takes(takes.root, names=takes.names[:1])))

    def predicted():
        return [row for way in ("ego2exo", "exo2ego") for row in lmeec.predict_take(tiny_model, take, way)]

    before = pa.Table.from_batches(predicted())
    double_rate(takes.video(0, "gp02"))
    after = pa.Table.from_batches(predicted())
    assert before["target_frame"].to_pylist() == before["frame"].to_pylist()
    assert after.drop_columns("target_frame").equals(before.drop_columns("target_frame"))
    for row in after.select(["target_cam", "frame", "target_frame"]).to_pylist():
        assert row["target_frame"] == row["frame"] * (2 if row["target_cam"] == "gp02" else 1)
    with TakePredictor(tiny_model, take, "ego2exo", lmeec.PredictConfig()) as predictor:
        (notice,) = predictor.warnings
    assert f"take {take.name!r}, camera 'gp02'" in notice
    assert "gp02.mp4: has 10 frames a second where the take counts 5" in notice


def test_batches_are_of_the_tables_schema(tiny_model, take):
    table = pa.Table.from_batches(lmeec.predict_take(tiny_model, take, "ego2exo"))
    assert table.schema.equals(SCHEMA)
    assert table.num_rows > 0


def test_rows_are_what_track_gives_for_the_same_frames(tiny_model, take):
    """The whole path from files equals tracking of the decoded frames by hand."""
    table = pa.Table.from_batches(lmeec.predict_take(tiny_model, take, "ego2exo")).to_pandas()
    for (name, query, target), rows in table.groupby(["object", "query_cam", "target_cam"]):
        frames = rows.frame.tolist()
        views = []
        for camera in (query, target):
            with take.cameras[camera].open(size=(64, 64)) as reader:
                views.append(np.stack([image for _, image in reader.read(frames)]))
        masks = np.stack([take.tracks[name, query].mask(frame).decode() for frame in frames])
        track = lmeec.track(tiny_model, *views, masks)
        np.testing.assert_allclose(rows.object_score, track.object_score, atol=1e-4)
        np.testing.assert_allclose(rows.predicted_iou, track.predicted_iou, atol=1e-4)


def test_ground_truth_is_at_the_evaluation_size(tiny_model, take):
    table = pa.Table.from_batches(lmeec.predict_take(tiny_model, take, "exo2ego")).to_pandas()
    assert {"visible", "absent"} == set(table.gt_state)
    for row in table.itertuples():
        annotated = take.tracks[row.object, row.target_cam]
        mask = annotated.mask(row.frame)
        assert (row.gt_state == "visible") == (mask is not None)
        if mask is not None:
            size = evaluation_size(mask.height, mask.width)
            assert (row.height, row.width) == size
            truth = RunLengthMask.from_counts(row.gt_rle, *size)
            assert (truth.decode() == resize_nearest(mask.decode(), size)).all()
