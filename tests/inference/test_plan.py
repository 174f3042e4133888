"""What is run on a take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lmeec.data.naming import view_by_name
from lmeec.data.take import Camera, Take
from lmeec.data.tracks import EncodedMask, MaskTrack, as_written
from lmeec.errors import DataError
from lmeec.inference.plan import plan_take
from lmeec.masks import RunLengthMask

FULL = RunLengthMask.encode(np.ones((4, 6), bool)).counts
EMPTY = RunLengthMask.encode(np.zeros((4, 6), bool)).counts


class Video:
    def __init__(self, frames: int) -> None:
        self.num_frames = frames

    def has_frame(self, index: int) -> bool:
        return index < self.num_frames


def masks(name, camera, frames, counts=FULL):
    encoded = {frame: EncodedMask(4, 6, counts) for frame in frames}
    return MaskTrack(name, camera, tuple(frames), encoded, "take", Path("relations.json"), as_written)


def take(*tracks, cameras=("aria01", "cam01", "cam02"), without_video=()):
    return Take(
        uid="uid",
        name="take",
        scenario=None,
        cameras={
            name: Camera(name, view_by_name(name), None if name in without_video else Path(name)) for name in cameras
        },
        tracks={(track.object, track.camera): track for track in tracks},
        problems=(),
        annotation_digest="",
    )


VIDEOS = {"aria01": Video(100), "cam01": Video(100), "cam02": Video(100)}


def listed(plan):
    return [(track.object, track.query_camera, track.target_camera, track.frames) for track in plan.tracks]


def test_every_object_goes_to_every_camera_of_the_other_view():
    one = take(masks("cup", "aria01", [0, 30]), masks("cup", "cam01", [30]), masks("bowl", "cam02", [60]))
    assert listed(plan_take(one, "ego2exo", VIDEOS)) == [
        ("cup", "aria01", "cam01", (0, 30)),
        ("cup", "aria01", "cam02", (0, 30)),
    ]
    assert listed(plan_take(one, "exo2ego", VIDEOS)) == [
        ("bowl", "cam02", "aria01", (60,)),
        ("cup", "cam01", "aria01", (30,)),
    ]


def test_steps_are_frames_with_pixels_that_both_videos_have():
    one = take(masks("cup", "aria01", [0, 30, 60, 90]))
    plan = plan_take(one, "ego2exo", VIDEOS | {"cam01": Video(60)})
    assert listed(plan) == [("cup", "aria01", "cam01", (0, 30)), ("cup", "aria01", "cam02", (0, 30, 60, 90))]
    assert plan.warnings == (
        "take 'take': the video of camera 'cam01' has 60 frames and lacks 2 annotated ones (the first is 60); they "
        "have no prediction",
    )
    assert plan.steps == 6
    assert plan.frames_of("cam01") == [0, 30]
    assert plan.frames_of("aria01") == [0, 30, 60, 90]


def test_an_empty_mask_is_no_step():
    one = take(masks("cup", "aria01", [0, 30], EMPTY))
    assert plan_take(one, "ego2exo", VIDEOS).tracks == ()


def test_targets_share_a_stream_as_long_as_they_walk_through_the_same_frames():
    one = take(masks("cup", "aria01", [0, 30, 60]), masks("bowl", "aria01", [0]))
    plan = plan_take(one, "ego2exo", VIDEOS | {"cam01": Video(31)})
    assert len(plan.streams) == 2
    assert {(track.object, track.stream) for track in plan.tracks} == {("bowl", 0), ("cup", 1)}
    assert plan.streams[1].frames == (0, 30, 60)


def test_a_camera_without_a_video_is_left_out():
    one = take(masks("cup", "aria01", [0]))
    plan = plan_take(one, "ego2exo", {"aria01": Video(9), "cam02": Video(9)})
    assert [track.target_camera for track in plan.tracks] == ["cam02"]


def test_every_frame_of_the_query_has_a_step_or_a_reason_for_every_target():
    cup = masks("cup", "aria01", [0, 30, 60])
    cup.encoded[30] = EncodedMask(4, 6, EMPTY)
    plan = plan_take(take(cup), "ego2exo", {"aria01": Video(99), "cam01": Video(31)})
    assert [(track.target_camera, track.frames) for track in plan.tracks] == [("cam01", (0,))]
    assert [(lost.target_camera, lost.reasons) for lost in plan.lost] == [
        ("cam01", {30: "empty_query", 60: "video"}),
        ("cam02", {0: "video", 30: "video", 60: "video"}),  # on disk, but not to be read
    ]
    without = take(cup, without_video=["cam02"])
    lost = plan_take(without, "ego2exo", {"aria01": Video(99), "cam01": Video(99)}).lost
    assert [(one.target_camera, one.reasons) for one in lost] == [
        ("cam01", {30: "empty_query"}),
        ("cam02", {0: "camera", 30: "camera", 60: "camera"}),
    ]


def test_chosen_objects_only():
    one = take(masks("cup", "aria01", [0]), masks("bowl", "aria01", [0]))
    assert {track.object for track in plan_take(one, "ego2exo", VIDEOS, ["bowl"]).tracks} == {"bowl"}


def test_a_bad_query_mask_is_an_error_that_names_it():
    one = take(masks("cup", "aria01", [0], "zz"))
    with pytest.raises(DataError, match=r"relations\.json.*'take'.*'cup'.*'aria01'.*frame 0"):
        plan_take(one, "ego2exo", VIDEOS)
