"""`lmeec takes init`: a manifest of what a folder holds, by how files are called."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from lmeec.data.takes import find_takes
from tests.support.command import lmeec
from tests.support.videos import write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("init") / "a.mp4", 12)


@pytest.fixture
def folder(video, tmp_path):
    """Makes files: videos and pictures of 96x128 pixels, and JSON."""
    root = tmp_path / "recordings"

    def make(*names, json_files=(), value=255):
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".png":
                Image.fromarray(np.full((96, 128), value, np.uint8)).save(path)
            else:
                shutil.copy(video, path)
        for name, content in dict(json_files).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(json.dumps(content))
        return root

    return make


def init(root, *words):
    done = lmeec("takes", "init", root, *words)
    assert done.status == 0, done.err
    return done, find_takes(root / "recordings.yaml")


def cameras_of(takes):
    return {take.name: {name: camera.view for name, camera in take.cameras.items()} for take in takes}


BOTH = {"kitchen": {"head": "ego", "side": "exo"}, "garden": {"head": "ego", "side": "exo"}}
COCO = {
    "images": [{"id": 1, "file_name": "1.png", "height": 96, "width": 128}],
    "annotations": [{"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 9, 0, 9, 9]]}],
    "categories": [{"id": 1, "name": "cup"}],
}


@pytest.mark.parametrize(
    "names",
    [
        ("kitchen/head.mp4", "kitchen/side.mp4", "garden/head.mp4", "garden/side.mp4"),
        ("head/kitchen.mp4", "side/kitchen.mp4", "head/garden.mp4", "side/garden.mp4"),
        ("kitchen_head.mp4", "kitchen_side.mp4", "garden_head.mp4", "garden_side.mp4"),
    ],
)
def test_takes_and_cameras_are_told_by_names(folder, names):
    done, takes = init(folder(*names))
    assert cameras_of(takes) == BOTH
    assert "2 takes, 4 cameras, 0 of them with masks" in done.err
    assert "no masks were found" in done.err


@pytest.mark.parametrize(
    ("place", "camera"),
    [
        ("kitchen/head.json", "head"),
        ("kitchen/masks/side.json", "side"),
        ("kitchen/side_masks.json", "side"),
        ("masks/kitchen/head.json", "head"),
        ("kitchen/annotations.json", "head"),
    ],
)
def test_files_of_masks_are_of_the_camera_that_they_name(folder, place, camera):
    names = ("kitchen/head.mp4", "kitchen/side.mp4", "garden/head.mp4", "garden/side.mp4")
    done, takes = init(folder(*names, json_files={place: COCO, "notes.json": {"a": 1}}))
    assert {(take.name, key) for take in takes for key in take.tracks} == {("kitchen", ("cup", camera))}
    assert ("names no camera" in done.err) == (place == "kitchen/annotations.json")
    assert "notes" not in done.err


def test_pictures_of_objects_of_each_camera(folder):
    pictures = [
        f"masks/{camera}/{name}/{number}.png"
        for camera in ("head", "side")
        for name in ("cup", "Topf")
        for number in (1, 12)
    ]
    done, takes = init(folder("head.mp4", "side.mp4", *pictures))
    (take,) = takes
    assert take.name == "recordings"
    assert set(take.tracks) == {(name, camera) for name in ("cup", "Topf") for camera in ("head", "side")}
    assert take.tracks["cup", "head"].frames == (0, 11)
    assert "frames are counted from 1, as the last is called 12" in (takes.root).read_text()
    assert lmeec("takes", takes.root, "--check").status == 0
    assert "1 takes, 2 cameras, 2 of them with masks" in done.err


def test_indexed_pictures_are_told_from_black_and_white(folder):
    _, takes = init(folder("head.mp4", "side.mp4", "head_masks/00001.png", value=3))
    assert set(takes[0].tracks) == {("object 3", "head")}
    _, takes = init(folder("head.mp4", "side.mp4", "head_masks/00001.png", value=255), "--overwrite")
    assert set(takes[0].tracks) == {("object", "head")}


def test_who_is_ego_may_be_said(folder):
    done, takes = init(folder("a/cam1.mp4", "a/cam2.mp4"))
    assert cameras_of(takes) == {"a": {"cam1": "exo", "cam2": "exo"}}
    assert "no camera is ego by its name" in done.err
    _, takes = init(folder(), "--ego", "cam2", "--overwrite")
    assert cameras_of(takes) == {"a": {"cam1": "exo", "cam2": "ego"}}
    done = lmeec("takes", "init", takes.root.parent, "--ego", "cam3")
    assert done.status == 1
    assert "no camera is called 'cam3'; there are 'cam1', 'cam2'" in done.err


def test_a_manifest_that_was_edited_is_kept(folder):
    root = folder("a/head.mp4", "a/side.mp4")
    init(root)
    init(root)
    with (root / "recordings.yaml").open("a") as file:
        file.write("# mine\n")
    done = lmeec("takes", "init", root)
    assert done.status == 1
    assert "--overwrite" in done.err
    assert (root / "recordings.yaml").read_text().endswith("# mine\n")


def test_names_and_damaged_videos_are_written_as_they_are(folder, tmp_path):
    root = folder("12: a/head #1.mp4", "12: a/no.mp4")
    (root / "12: a" / "yes.mp4").write_bytes(b"none")
    done = lmeec("takes", "init", root, "--out", tmp_path / "out.yaml")
    assert done.status == 0, done.err
    assert "yes.mp4: is not a video" in done.err
    (take,) = find_takes(tmp_path / "out.yaml")
    assert take.name == "12: a"
    assert set(take.cameras) == {"head #1", "no", "yes"}
    assert not take.problems


def test_what_needs_no_manifest_or_has_no_video_is_refused(rendered_takes, tmp_path):
    for where, expected in (
        (rendered_takes.root, "Ego-Exo4D's layout"),
        (tmp_path, "holds no video"),
        (tmp_path / "nowhere", "there is no such folder"),
    ):
        done = lmeec("takes", "init", where, "--out", tmp_path / "out.yaml")
        assert done.status == 1
        assert expected in done.err
        assert not (tmp_path / "out.yaml").exists()
