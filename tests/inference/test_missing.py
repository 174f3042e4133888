"""Frames without a prediction are rows that a score counts."""

from __future__ import annotations

import lzstring
import pyarrow as pa
import pytest

import lmeec
from lmeec.analysis.evaluation import evaluate
from lmeec.inference.missing import missing_rows
from lmeec.inference.plan import camera_pairs
from lmeec.masks import RunLengthMask
from lmeec.tables import rows_to_batch
from tests.support.rendered import EGO

KEY = ["object", "query_cam", "target_cam", "frame"]


@pytest.fixture(scope="module")
def tiny_model(tiny):
    return lmeec.load_model(tiny, device="cpu")


@pytest.fixture
def predicted(tiny_model, takes):
    def run(direction="ego2exo", number=0):
        take = lmeec.find_takes(takes.root)[number]
        return take, pa.Table.from_batches(lmeec.predict_take(tiny_model, take, direction)).to_pandas()

    return run


def emptied(mask):
    counts = RunLengthMask.empty(mask["height"], mask["width"]).counts
    return mask | {"encodedMask": lzstring.LZString().compressToEncodedURIComponent(counts)}


def asked_for(take, direction):
    """Every frame of the query masks, for every target camera."""
    return sorted(
        (masks.object, masks.camera, target, frame)
        for masks, target in camera_pairs(take, direction, ())
        for frame in masks.frames
    )


@pytest.fixture
def damaged(takes):
    """A take with a camera that is not on disk, query masks without foreground, and masks past the videos' end."""
    takes.video(0, "gp02").unlink()
    with takes.annotations() as annotated:
        for cameras in annotated[takes.uids[0]]["object_masks"].values():
            for masks in cameras.values():
                first = next(iter(masks["annotation"].values()), None)
                if first is not None:
                    masks["annotation"] |= {"5": emptied(first), "40": first}
                    masks["annotated_frames"] = sorted({*masks["annotated_frames"], 5, 40})
    return takes


@pytest.mark.parametrize("direction", ["ego2exo", "exo2ego"])
def test_every_frame_of_the_query_is_a_row_for_every_target(predicted, damaged, direction):
    take, rows = predicted(direction)
    assert sorted(rows[KEY].itertuples(index=False, name=None)) == asked_for(take, direction)
    for row in rows.itertuples():
        lost_camera = "gp02" in (row.query_cam, row.target_cam)
        expected = "camera" if lost_camera else {5: "empty_query", 40: "video"}.get(row.frame)
        assert (row.missing if isinstance(row.missing, str) else None) == expected
    assert set(rows.missing.dropna()) == {"camera", "empty_query", "video"}
    lost = rows[rows.missing.notna()]
    assert (
        lost[["mask_rle", "area", "bbox", "step", "object_score", "predicted_iou", "target_frame"]]
        .isna()
        .all(axis=None)
    )
    assert (lost.confidence == 0).all()
    assert rows[rows.missing.isna()].target_frame.tolist() == rows[rows.missing.isna()].frame.tolist()


def test_they_have_their_ground_truth_and_the_metrics_of_an_empty_mask(predicted, damaged):
    _, rows = predicted()
    lost = rows[rows.missing.notna()]
    visible = lost[lost.gt_state == "visible"]
    with_foreground = [RunLengthMask(row.height, row.width, row.gt_rle).area > 0 for row in visible.itertuples()]
    assert any(with_foreground)
    assert not all(with_foreground)  # the targets' masks of frame 5 have no foreground either
    assert (visible.iou > 0.5).tolist() == [not some for some in with_foreground]
    assert lost[lost.gt_state != "visible"].iou.isna().all()


def test_the_mean_over_rows_is_the_score(predicted, damaged):
    _, rows = predicted()
    scores = evaluate(pa.Table.from_pandas(rows))["ego2exo"]
    assert scores.iou == pytest.approx(rows.iou.mean(), abs=1e-12)
    assert scores.location_error == pytest.approx(rows.location_error.mean(), abs=1e-12)
    assert scores.missing == (rows.missing.notna() & (rows.gt_state != "unannotated")).sum() > 0


def test_rows_of_a_failed_take(takes):
    """Also where what failed is a ground truth mask."""
    with takes.annotations() as annotated:
        objects = annotated[takes.uids[0]]["object_masks"]
        both = {
            name: sorted(cameras["gp01"]["annotation"].keys() & cameras[EGO]["annotation"].keys())
            for name, cameras in objects.items()
        }
        name, (broken, *_) = max(both.items(), key=lambda item: len(item[1]))
        objects[name]["gp01"]["annotation"][broken]["encodedMask"] = "no mask"
    take = lmeec.find_takes(takes.root)[0]
    rows = rows_to_batch(list(missing_rows(take, "ego2exo", "failed"))).to_pandas()
    assert sorted(rows[KEY].itertuples(index=False, name=None)) == asked_for(take, "ego2exo")
    assert set(rows.missing) == {"failed"}
    states = rows.set_index(KEY).gt_state
    assert states[name, EGO, "gp01", int(broken)] == "unannotated"
    assert "visible" in set(rows.gt_state)
    some = list(missing_rows(take, "ego2exo", "failed", cameras=["gp02"], objects=[name]))
    assert {(row.object, row.target_cam) for row in some} == {(name, "gp02")}
