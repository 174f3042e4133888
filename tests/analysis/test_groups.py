"""Metrics by group: who belongs where, what is averaged, and how far to trust it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from lmeec.analysis.areas import mask_areas
from lmeec.analysis.frames import load_frames
from lmeec.analysis.groups import score_groups
from lmeec.errors import ConfigError, DataError
from lmeec.masks import RunLengthMask
from lmeec.metrics import iou
from lmeec.tables import rows_to_batch
from tests.support.drawn_runs import drawn_run
from tests.support.rows import row, square


def visible(frame=0, left=30, side=20, **changes):
    return row(frame, gt_state="visible", gt=square(10, left, side), **changes)


def scores(rows, by=(), **options):
    return score_groups(load_frames(pa.Table.from_batches([rows_to_batch(rows)]), by), by, **options)


def by_label(rows, name, **options):
    return {one.group[name]: one for one in scores(rows, [name], **options)}


def test_areas_of_a_column_are_those_of_its_masks():
    random = np.random.default_rng(0)
    masks = [random.random((31, 17)) < share for share in (0, 0.02, 0.5, 0.97, 1) for _ in range(20)]
    blocks = np.zeros((2160, 3840), dtype=bool)
    blocks[100:2000, 50:3000:700] = True
    masks.append(blocks)
    encoded = pa.array([RunLengthMask.encode(mask).counts for mask in masks])
    assert mask_areas(encoded).tolist() == [mask.sum() for mask in masks]
    with pytest.raises(DataError, match="damaged counts"):
        mask_areas(pa.array(["9220003", "9220P"]))


def test_groups_are_crossed_and_directions_never_pooled():
    rows = [
        visible(scenario="Cooking"),
        visible(30, scenario="Cooking", object="pan_1"),
        visible(scenario="Bike repair", take_uid="take-2"),
        visible(scenario=None, take_uid="take-3"),
        visible(scenario="Cooking", direction="exo2ego", query_cam="cam01", target_cam="aria01"),
    ]
    groups = [(*one.group.values(), one.visible) for one in scores(rows, ["object", "scenario"])]
    assert groups == [
        ("ego2exo", "Bike repair", "cup_0", 1),
        ("ego2exo", "Cooking", "cup_0", 1),
        ("ego2exo", "Cooking", "pan_1", 1),
        ("ego2exo", "unknown", "cup_0", 1),
        ("exo2ego", "Cooking", "cup_0", 1),
    ]
    assert list(by_label(rows, "camera")) == ["cam01", "aria01"]


def test_sizes_are_those_of_the_ground_truth_in_the_target_view():
    # Shares of 270 x 480 pixels: 0.00008, 0.0031, 0.0123, 0.19.
    rows = [visible(30 * i, side=side) for i, side in enumerate((3, 20, 40, 160))]
    rows.append(row(200, gt_state="absent"))
    groups = by_label(rows, "size")
    assert {name: one.visible for name, one in groups.items()} == {"tiny": 1, "small": 1, "medium": 1, "large": 1}
    assert groups["tiny"].balanced_accuracy.value is None
    assert groups["small"].iou.value == pytest.approx(1)


def test_lengths_are_those_of_the_take_not_of_the_track():
    rows = [visible(i, take_uid="short", object=name) for name in ("a", "b") for i in range(150)]
    rows += [
        visible(i, take_uid="medium", object=name)
        for name, first in (("a", 0), ("b", 100))
        for i in range(first, first + 100)
    ]
    rows += [visible(i, take_uid="long") for i in range(601)]
    assert {name: one.takes for name, one in by_label(rows, "length", resamples=0).items()} == {
        "under 200": 1,
        "200 to 600": 1,
        "over 600": 1,
    }


ROWS = [
    *(visible(30 * i, left=30) for i in range(3)),
    visible(90, left=200, object_score=-1.0),
    row(120, gt_state="absent", object_score=1.0),
    visible(0, left=40, take_uid="take-2"),
    row(30, gt_state="absent", object_score=-1.0, take_uid="take-2"),
    row(60, take_uid="take-2"),
]


def test_means_are_over_frames_or_over_takes():
    shifted = iou(square(10, 30), square(10, 40))
    (pooled,) = scores(ROWS)
    assert pooled.iou.value == pytest.approx((3 + shifted) / 5)
    assert pooled.balanced_accuracy.value == pytest.approx((4 / 5 + 1 / 2) / 2)
    (mean,) = scores(ROWS, average="take")
    assert mean.iou.value == pytest.approx((3 / 4 + shifted) / 2)
    assert mean.balanced_accuracy.value == pytest.approx(((3 / 4 + 0) / 2 + 1) / 2)
    assert (pooled.frames, pooled.visible, pooled.absent, pooled.tracks, pooled.takes) == (8, 5, 2, 2, 2)


def test_intervals_are_over_takes_and_the_same_every_time():
    rows = [visible(30 * i, left=30 + 4 * take, take_uid=f"take-{take}") for take in range(6) for i in range(5)]
    (one,) = scores(rows)
    # The mean of n takes has this standard error; the percentile interval is about twice it to each side.
    single = [iou(square(10, 30), square(10, 30 + 4 * take)) for take in range(6)]
    error = np.std(single) / np.sqrt(6)
    assert one.iou.low == pytest.approx(one.iou.value - 1.96 * error, abs=0.3 * error)
    assert one.iou.high == pytest.approx(one.iou.value + 1.96 * error, abs=0.3 * error)
    assert scores(rows)[0] == one
    assert scores(rows, seed=1)[0].iou != one.iou


def test_one_take_has_no_interval():
    (one,) = scores(ROWS[:5])
    assert one.iou.value is not None
    assert (one.iou.low, one.iou.high) == (None, None)


def test_a_draw_without_absent_frames_is_not_taken_for_balanced_accuracy():
    rows = [visible(take_uid=f"take-{i}", object_score=1.0) for i in range(3)]
    rows.append(row(30, gt_state="absent", take_uid="take-0", object_score=1.0))
    (one,) = scores(rows)
    assert (one.balanced_accuracy.value, one.balanced_accuracy.low, one.balanced_accuracy.high) == (0.5, 0.5, 0.5)


def test_unknown_groupings_are_named():
    with pytest.raises(ConfigError, match=r"'colour'.*scenario"):
        scores(ROWS, ["colour"])


def test_by_size_without_a_visible_frame_there_is_no_group():
    assert scores([row(0, gt_state="absent")], ["size"]) == []


@pytest.mark.parametrize("sign", ["cycle_iou", "predicted_iou", "confidence"])
def test_signs_are_grouped_in_bins_that_hold_their_lower_end(sign):
    rows = drawn_run(0)
    groups = by_label(rows, sign, resamples=0)
    expected: dict[str, list[float]] = {}
    for one in rows_to_batch(rows).to_pylist():
        value = None if one["missing"] else one[sign]
        ends = {"under 0.2": 0.2, "0.2 to 0.4": 0.4, "0.4 to 0.6": 0.6, "0.6 to 0.8": 0.8, "0.8 or more": 2}
        name = "none" if value is None else next(name for name, end in ends.items() if value < end)
        if one["direction"] == "exo2ego" and one["gt_state"] == "visible":
            expected.setdefault(name, []).append(one["iou"])  # 0 without a prediction
    assert {name: one.visible for name, one in groups.items()} == {name: len(ious) for name, ious in expected.items()}
    for name, ious in expected.items():
        assert groups[name].iou.value == pytest.approx(np.mean(ious))
    assert groups["none"].missing > 0
    edges = [row(0, predicted_iou=value) for value in (0.2, 0.8, 1.0)]
    frames = load_frames(pa.Table.from_batches([rows_to_batch(edges)]), ["predicted_iou"])
    assert frames.by["predicted_iou"].codes.tolist() == [1, 4, 4]


def test_a_sign_that_no_row_has_is_no_grouping():
    with pytest.raises(DataError, match=r"no value in the column cycle_iou.*lmeec cycle"):
        scores(drawn_run(0, cycle=False), ["cycle_iou"])
