"""Prediction from the last frame to the first equals prediction of what is reversed physically."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest

import lmeec
from lmeec.data.processed import camera_folders
from tests.support.command import lmeec as command
from tests.support.tables import NUMBERS, assert_same
from tests.support.videos import plain_decode

BACKWARDS = lmeec.PredictConfig(reverse=True)
TRACK = ["direction", "object", "query_cam", "target_cam"]


@pytest.fixture(scope="module")
def tiny_model(tiny):
    return lmeec.load_model(tiny, device="cpu")


def predicted(model, take, config=BACKWARDS):
    batches = [batch for way in config.directions for batch in lmeec.predict_take(model, take, way, config)]
    return pa.Table.from_batches(batches).to_pandas().sort_values([*TRACK, "frame"], ignore_index=True)


def test_a_track_is_what_the_reversed_frames_give(tiny_model, rendered_takes):
    """Decoded front to back, turned round and tracked, one track after the other."""
    take = list(lmeec.find_takes(rendered_takes.root))[1]
    views = {}
    for camera in take.cameras:
        size = (tiny_model.config.image_size,) * 2
        with take.cameras[camera].open(size=size) as reader:
            views[camera] = np.stack([image for _, image in reader.read(range(reader.num_frames))])
        assert len(views[camera]) == len(plain_decode(take.cameras[camera].source))
    rows = predicted(tiny_model, take)
    assert len(rows)
    for (_, name, query, target), track in rows.groupby(TRACK):
        latest_first = track.sort_values("frame", ascending=False)
        assert latest_first.step.tolist() == list(range(len(track)))
        frames = latest_first.frame.tolist()
        masks = np.stack([take.tracks[name, query].mask(frame).decode() for frame in frames])
        expected = lmeec.track(tiny_model, views[query][frames], views[target][frames], masks)
        np.testing.assert_allclose(latest_first.object_score, expected.object_score, atol=1e-4)
        np.testing.assert_allclose(latest_first.predicted_iou, expected.predicted_iou, atol=1e-4)


def reversed_take(folder, there, last):
    """A take of JPEG files with its frames numbered from the end."""
    document = json.loads((folder / "annotation.json").read_text())
    for camera in camera_folders(folder):
        (there / camera).mkdir(parents=True)
        for path in (folder / camera).iterdir():
            shutil.copy(path, there / camera / f"{last - int(path.stem)}.jpg")
    for cameras in document["masks"].values():
        for camera, masks in cameras.items():
            cameras[camera] = {str(last - int(frame)): mask for frame, mask in masks.items()}
    document["subsample_idx"] = sorted(last - frame for frame in document["subsample_idx"])
    (there / "annotation.json").write_text(json.dumps(document))


@pytest.fixture
def frames_on_disk(rendered_takes, tmp_path):
    """A rendered take as JPEG files, one camera of which lacks the last frames; and the same from its end."""
    import cv2

    take = next(iter(lmeec.find_takes(rendered_takes.root)))
    masks = {}
    for (name, camera), track in take.tracks.items():
        some = {frame: track.mask(frame) for frame in track.frames}
        masks.setdefault(name, {})[camera] = {
            str(frame): {"size": [mask.height, mask.width], "counts": mask.counts}
            for frame, mask in some.items()
            if mask is not None
        }
    last = 15
    folder = tmp_path / "forwards" / take.uid
    for camera in take.cameras:
        (folder / camera).mkdir(parents=True)
        for frame, image in enumerate(plain_decode(take.cameras[camera].source)):
            if frame <= (last if camera != "gp02" else 10) and frame % 5 == 0:
                cv2.imwrite(str(folder / camera / f"{frame}.jpg"), image[..., ::-1])
    (folder / "annotation.json").write_text(json.dumps({"masks": masks, "subsample_idx": list(range(0, 20, 5))}))
    reversed_take(folder, tmp_path / "backwards" / take.uid, last)
    return tmp_path / "forwards", tmp_path / "backwards", last


@pytest.mark.parametrize("policy", ["drop", "iou"])
def test_it_equals_the_prediction_of_a_take_that_runs_backwards(tiny_model, frames_on_disk, policy):
    forwards, backwards, last = frames_on_disk
    memory = lmeec.MemoryConfig(policy=policy, size=2)
    rows = predicted(
        tiny_model, next(iter(lmeec.find_takes(forwards))), lmeec.PredictConfig(memory=memory, reverse=True)
    )
    expected = predicted(tiny_model, next(iter(lmeec.find_takes(backwards))), lmeec.PredictConfig(memory=memory))
    expected["frame"] = last - expected.frame
    expected["target_frame"] = last - expected.target_frame
    expected = expected.sort_values([*TRACK, "frame"], ignore_index=True)
    assert rows.missing.isna().sum() > 20
    assert (rows.missing == "video").any()
    assert rows.drop(columns=NUMBERS).equals(expected.drop(columns=NUMBERS))
    assert (rows[NUMBERS] - expected[NUMBERS]).abs().max().max() < 1e-5


def test_the_command_keeps_rows_in_order_and_does_not_mix_runs(takes, tiny, tmp_path):
    call = ("predict", takes.root, "--checkpoint", tiny, "--take", takes.names[0], "--workers", 0)
    assert command(*call, "--out", tmp_path / "back.parquet", "--reverse").status == 0
    assert command(*call, "--out", tmp_path / "forth.parquet").status == 0
    back, forth = (lmeec.tables.read_results(tmp_path / f"{name}.parquet") for name in ("back", "forth"))
    for name in (*TRACK, "frame", "gt_rle"):
        assert back[name].equals(forth[name])
    assert back["step"].to_pylist() != forth["step"].to_pylist()
    assert back["object_score"].to_pylist() != forth["object_score"].to_pylist()
    mixed = command(*call, "--out", tmp_path / "back.parquet")
    assert mixed.status == 1
    assert "predict.reverse: True and None" in mixed.err
    again = command(*call, "--out", tmp_path / "back.parquet", "--reverse")
    assert "nothing to do" in again.err


def test_an_interrupted_run_goes_on(takes, tiny, tmp_path):
    call = ("predict", takes.root, "--checkpoint", tiny, "--workers", 0, "--reverse", "--out")
    broken = takes.video(1, "gp02").read_bytes()
    takes.video(1, "gp02").write_text("no video")
    assert command(*call, tmp_path / "a.parquet").status == 1
    takes.video(1, "gp02").write_bytes(broken)
    assert command(*call, tmp_path / "a.parquet").status == 0
    assert command(*call, tmp_path / "b.parquet").status == 0
    assert_same(*(lmeec.tables.read_results(tmp_path / f"{name}.parquet") for name in "ab"))
