"""Two runs on the frames both have: matched whatever their order, and differences paired by take."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lmeec.analysis.compare import common_frames, compare_groups
from lmeec.analysis.frames import load_frames
from lmeec.metrics import iou
from lmeec.tables import rows_to_batch
from tests.support.rows import row, square


def visible(frame=0, left=30, **changes):
    return row(frame, gt_state="visible", gt=square(10, left), **changes)


def frames(rows, *by):
    return load_frames(pa.Table.from_batches([rows_to_batch(rows)]), by, numbers=True)


def test_frames_are_matched_by_track_and_number():
    first = [visible(30 * i, left=30 + i, object=name) for name in ("cup_0", "pan_1") for i in range(4)]
    second = [visible(30 * i, left=30, object=name) for name in ("wok_2", "pan_1", "apple_3") for i in (5, 3, 2)]
    common = common_frames(frames(first), frames(second))
    assert (len(common.first), common.only_first, common.only_second) == (2, 6, 7)
    (one,) = compare_groups(common)
    pair = [iou(square(10, 30), square(10, 30 + shift)) for shift in (2, 3)]
    assert (one.iou.first.value, one.iou.second.value) == pytest.approx((sum(pair) / 2, 1))
    assert one.iou.difference.value == pytest.approx(1 - sum(pair) / 2)


def test_what_makes_takes_hard_for_both_does_not_widen_the_difference():
    def run(shift):
        return [
            visible(30 * i, left=30 + 3 * take + shift, take_uid=f"take-{take}") for take in range(6) for i in (0, 1)
        ]

    (one,) = compare_groups(common_frames(frames(run(0)), frames(run(1))))
    width = one.iou.difference.high - one.iou.difference.low
    assert width < (one.iou.first.high - one.iou.first.low) / 3
    assert one.iou.difference.high < 0


def test_frames_with_other_ground_truth_are_left_out_and_counted():
    common = common_frames(frames([visible(0), visible(30)]), frames([visible(0), row(30, gt_state="absent")]))
    assert (len(common.first), common.other_truth) == (1, 1)


def test_groups_are_those_of_the_first_run():
    first = [visible(0, scenario="Cooking"), visible(30, scenario="Cooking")]
    second = [visible(0, scenario=None), visible(30, scenario=None)]
    (one,) = compare_groups(common_frames(frames(first, "scenario"), frames(second, "scenario")), ["scenario"])
    assert one.group == {"direction": "ego2exo", "scenario": "Cooking"}
