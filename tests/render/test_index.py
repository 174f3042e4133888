"""The page that shows what was rendered: in time, and pictures of the same views in rows of their own."""

from __future__ import annotations

import re

import numpy as np

from lmeec.masks import RunLengthMask
from lmeec.render.index import write_index
from lmeec.render.panels import _verdicts
from lmeec.render.tracks import PredictedFrame


def captions(page):
    """The words under each file, row by row."""
    rows = page.read_text().split('<div class="views">')[1:]
    return [re.findall("<figcaption>(.*?)</figcaption>", row) for row in rows]


def test_pictures_are_in_the_order_of_their_frames_and_each_direction_begins_a_row(tmp_path):
    names = [f"{views}.{frame}.png" for views in ("exo2ego", "ego2exo") for frame in (150, 30, 1200)]
    page = write_index(tmp_path, [tmp_path / "take" / "cup" / name for name in names])
    assert captions(page) == [
        [f"ego2exo, frame {frame}" for frame in (30, 150, 1200)],
        [f"exo2ego, frame {frame}" for frame in (30, 150, 1200)],
    ]


def test_videos_share_rows_and_a_dot_in_a_camera_is_no_frame(tmp_path):
    names = ["gp.1_to_aria.2.mp4", "aria.2_to_gp.1.mp4"]
    page = write_index(tmp_path, [tmp_path / "take" / "cup" / name for name in names])
    assert captions(page) == [["aria.2 to gp.1", "gp.1 to aria.2"]]


def test_an_iou_of_two_empty_masks_is_said_to_be_one():
    """As where the object is smaller than a pixel of the masks: nothing is to be seen, and the IoU is 1."""
    empty, mask = RunLengthMask.empty(27, 48), RunLengthMask.encode(np.ones((27, 48), bool))
    said = [_verdicts(PredictedFrame(0, one, 0.3, "visible", one, 1.0))[0] for one in (empty, mask)]
    assert said == ["called absent, conf. 0.30 · IoU 1.00 (both empty)", "called absent, conf. 0.30 · IoU 1.00"]
