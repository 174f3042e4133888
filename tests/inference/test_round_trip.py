"""Each prediction taken back to the query view: what comes back, and that nothing else changes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lmeec
from lmeec.config import MemoryConfig, PredictConfig
from lmeec.data.truth import TargetTruth
from lmeec.masks import RunLengthMask
from tests.support.naive_round_trip import naive_round_trips
from tests.support.tiny import write_tiny

WAYS = ("frame", "tracked")
TRACK = ["object", "query_cam", "target_cam"]
KEYS = [*TRACK, "frame"]
CYCLE = ["cycle_iou", "cycle_score"]
DIRECTIONS = ("ego2exo", "exo2ego")


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """Sees the object in some frames only, so that some predictions are empty."""
    return _loaded(tmp_path_factory, seed=1, shift=-0.06)


@pytest.fixture(scope="module")
def back(tmp_path_factory):
    """The weights of the other direction."""
    return _loaded(tmp_path_factory, seed=7)


def _loaded(tmp_path_factory, **weights):
    return lmeec.load_model(write_tiny(tmp_path_factory.mktemp("model") / "w.safetensors", **weights), device="cpu")


@pytest.fixture(scope="module")
def take(rendered_takes):
    return list(lmeec.find_takes(rendered_takes.root))[1]


def predicted(model, take, direction, way, back=None, size=2, mask_size="evaluation", **execution):
    config = PredictConfig(cycle=way, memory=MemoryConfig(size=size), mask_size=mask_size)
    batches = lmeec.predict_take(model, take, direction, config, lmeec.ExecutionConfig(**execution), back)
    return pa.Table.from_batches(batches).to_pandas().sort_values(KEYS, ignore_index=True)


def images(take, camera, frames, side=64):
    with take.cameras[camera].open(size=(side, side)) as reader:
        return np.stack([image for _, image in reader.read(frames)])


def naive(model, take, rows, way, size=2, mask_size="evaluation"):
    """The same of the rows of one track, from the table, the videos and the annotations."""
    query, target, frames = rows.query_cam.iloc[0], rows.target_cam.iloc[0], rows.frame.tolist()
    truth = TargetTruth(take, mask_size=mask_size)
    return naive_round_trips(
        model,
        images(take, query, frames),
        images(take, target, frames),
        [RunLengthMask(row.height, row.width, row.mask_rle).decode() for row in rows.itertuples()],
        [truth.given(rows.object.iloc[0], query, frame).decode() for frame in frames],
        remembers=way == "tracked",
        size=size,
    )


def assert_trips(rows, expected):
    assert len(rows) == len(expected)
    for row, (iou, score) in zip(rows.itertuples(), expected, strict=True):
        assert abs(row.cycle_iou - iou) < 2e-4
        assert pd.isna(row.cycle_score) if score is None else abs(row.cycle_score - score) < 1e-4


@pytest.mark.parametrize("pair", [False, True], ids=["one checkpoint", "a pair"])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("way", WAYS)
def test_what_comes_back_is_what_naive_steps_give(way, direction, pair, there, back, take):
    rows = predicted(there, take, direction, way, back if pair else None)
    empty = rows.area == 0
    assert empty.any(), "some predictions are empty"
    assert (~empty).any()
    for _, track in rows.groupby(TRACK):
        assert_trips(track, naive(back if pair else there, take, track, way))
    assert (rows.cycle_iou[empty] == 0).all()
    assert rows.cycle_score.isna().equals(empty)


def test_square_masks_are_compared_as_they_are(there, take):
    rows = predicted(there, take, "ego2exo", "frame", mask_size="square")
    assert set(rows.height) == set(rows.width) == {480}
    for _, track in rows.groupby(TRACK):
        assert_trips(track, naive(there, take, track, "frame", mask_size="square"))


def test_memory_makes_a_difference_and_an_empty_prediction_adds_none(there, take):
    framed, tracked = (predicted(there, take, "ego2exo", way) for way in WAYS)
    seen = framed.area > 0
    nth = seen.groupby([framed[name] for name in TRACK]).cumsum()
    assert framed.cycle_score[seen & (nth == 1)].equals(tracked.cycle_score[seen & (nth == 1)]), "no memory at first"
    assert (framed.cycle_score[seen & (nth > 1)] != tracked.cycle_score[seen & (nth > 1)]).all()


@pytest.mark.parametrize("policy", ["merge", "fifo", "kmeans", "iou"])
def test_the_way_back_has_the_policy_of_the_run(policy, there, take):
    """Its banks are those of a track whose queries are the predictions."""
    config = PredictConfig(cycle="tracked", memory=MemoryConfig(policy=policy, size=1))
    seeing = lmeec.build_model(there.config, seed=1)
    rows = pa.Table.from_batches(lmeec.predict_take(seeing, take, "exo2ego", config)).to_pandas()
    assert (rows.area > 0).all()
    for _, track in rows.sort_values("frame").groupby(TRACK):
        frames = track.frame.tolist()
        masks = np.stack([RunLengthMask(row.height, row.width, row.mask_rle).decode() for row in track.itertuples()])
        query, target = (images(take, track[name].iloc[0], frames) for name in ("query_cam", "target_cam"))
        expected = lmeec.track(seeing, target, query, masks, config.memory)
        np.testing.assert_allclose(track.cycle_score, expected.object_score, atol=1e-4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_predictions_are_bit_for_bit_what_they_are_without_the_way_back(direction, way, there, back, take):
    plain = predicted(there, take, direction, None)
    assert plain[CYCLE].isna().all(axis=None)
    for model in (None, back):
        rows = predicted(there, take, direction, way, model)
        pd.testing.assert_frame_equal(rows.drop(columns=CYCLE), plain.drop(columns=CYCLE), check_exact=True)


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_gives_each_track_what_it_gets_alone(way, there, take):
    first, *others = (predicted(there, take, "ego2exo", way, batch_tracks=batch) for batch in (1, 2, 16))
    for other in others:
        assert other.mask_rle.equals(first.mask_rle), "else the queries differ"
        np.testing.assert_allclose(other.cycle_iou, first.cycle_iou, atol=2e-4)
        np.testing.assert_allclose(other.cycle_score, first.cycle_score, atol=1e-4)


@pytest.mark.parametrize("pair", [False, True], ids=["one checkpoint", "a pair"])
def test_one_checkpoint_encodes_each_frame_once_and_a_pair_twice(pair, there, back, take, monkeypatch):
    counted = Counter()
    for model in (there, back):
        encode = model.encode

        def count(frames, model=model, encode=encode):
            counted[model] += len(frames)
            return encode(frames)

        monkeypatch.setattr(model, "encode", count)
    predicted(there, take, "ego2exo", None)
    plain = counted.pop(there)
    rows = predicted(there, take, "ego2exo", "frame", back if pair else None)
    assert counted[there] == plain
    if pair:
        asked = rows[rows.groupby("frame").area.transform("sum") > 0]
        assert 0 < counted[back] <= plain
        assert counted[back] == sum(1 + group.target_cam.nunique() for _, group in asked.groupby("frame"))
    else:
        assert not counted[back]
