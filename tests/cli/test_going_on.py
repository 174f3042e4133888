"""Which command is named at the end of another: to score what has ground truth, to look at what has none."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lmeec.tables import has_truth
from tests.support.command import lmeec
from tests.support.predictions import predict_fairly
from tests.support.rows import row, square, write_results
from tests.support.videos import write_video


@pytest.fixture
def recordings(tmp_path):
    """Two cameras of one's own, with masks of the head's alone."""
    for name in ("head", "side"):
        write_video(tmp_path / f"{name}.mp4", 3)
    masks = tmp_path / "masks"
    masks.mkdir()
    for frame in range(3):
        picture = np.zeros((96, 128), np.uint8)
        picture[20:40, 20:40] = 255
        Image.fromarray(picture).save(masks / f"{frame:05d}.png")
    return tmp_path


def test_recordings_without_masks_in_their_targets_are_to_be_looked_at(recordings, tiny):
    out = recordings / "one.parquet"
    done = lmeec(
        *("predict", "--query", recordings / "head.mp4", "--masks", recordings / "masks"),
        *("--target", recordings / "side.mp4", "--out", out, "--checkpoint", tiny, "--workers", 0),
    )
    assert done.status == 0, done.err
    takes = recordings / "one.recordings.yaml"
    assert done.err.splitlines()[-1] == f"next: lmeec render {out} {takes} --out videos/"
    assert f"next: lmeec report {out} --out report.html" in lmeec("status", out).err
    assert lmeec("render", out, takes, "--out", recordings / "videos").status == 0


@pytest.mark.parametrize("truth", [True, False])
def test_tables_made_of_tables_are_scored_where_they_can_be(rendered_takes, tmp_path, truth):
    one, other = (
        predict_fairly(rendered_takes.root, tmp_path / f"{name}.parquet", shift=shift, ground_truth=truth)
        for name, shift in (("one", 4), ("other", 6))
    )
    fused, kept, none = (tmp_path / f"{name}.parquet" for name in ("fused", "kept", "none"))
    told = lmeec("fuse", one, other, "--by", "predicted_iou", "--out", fused).err
    assert (f"next: lmeec score {one} {fused}" if truth else f"next: lmeec report {fused} --out") in told
    told = lmeec("select", one, "--where", "frame = 0", "--out", kept).err
    assert (f"next: lmeec score {kept}" if truth else f"next: lmeec report {kept} --out") in told
    assert "next:" not in lmeec("select", one, "--where", "frame < 0", "--out", none).err


def test_a_frame_that_was_looked_at_is_ground_truth(tmp_path):
    assert not has_truth(write_results(tmp_path / "none.parquet", [row(0), row(30)]))
    assert has_truth(write_results(tmp_path / "absent.parquet", [row(0), row(30, gt_state="absent")]))
    seen = row(30, gt_state="visible", gt=square(0, 0))
    assert has_truth(write_results(tmp_path / "seen.parquet", [row(0), seen]))
