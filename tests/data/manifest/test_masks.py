"""Masks in the forms that other tools write, as the manifest names them."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from lmeec.data.takes import find_takes
from lmeec.files.reading import LONGEST_MESSAGE
from tests.support.own import write_manifest
from tests.support.videos import write_video

SIZE = (96, 128)


@pytest.fixture
def take(tmp_path):
    """Makes the only take of a manifest whose ego camera has some masks."""
    write_video(tmp_path / "head.mp4", 12, size=SIZE)
    write_video(tmp_path / "side.mp4", 12, size=SIZE)

    def of(masks, every=1, **camera):
        head = {"name": "head", "view": "ego", "video": "head.mp4", "masks": masks} | camera
        side = {"name": "side", "view": "exo", "video": "side.mp4"}
        manifest = write_manifest(tmp_path / "recordings.yaml", {"name": "a", "cameras": [head, side]})
        return find_takes(manifest, every=every)[0]

    return of


def square(top, left, side=20):
    mask = np.zeros(SIZE, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def decoded(take, name):
    track = take.tracks[name, "head"]
    return {frame: track.mask(frame).decode() for frame in track.frames}


def write_png(path, pixels, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette:
        image.putpalette(list(range(256)) * 3)
    image.save(path)


def coco_of(folder, images, annotations, categories=("cup",)):
    document = {
        "images": [{"height": SIZE[0], "width": SIZE[1]} | image for image in images],
        "annotations": [{"iscrowd": 0, "category_id": 1} | one for one in annotations],
        "categories": [{"id": number, "name": name} for number, name in enumerate(categories, 1)],
    }
    (folder / "masks.json").write_text(json.dumps(document))
    return {"coco": "masks.json"}


def test_polygons_are_drawn_as_coco_does(take, tmp_path):
    polygons = [[10.5, 10, 60, 12, 40, 80.25], [100, 50, 127, 50, 127, 95, 100, 95]]
    masks = coco_of(tmp_path, [{"id": 1, "file_name": "0007.jpg"}], [{"image_id": 1, "segmentation": polygons}])
    expected = coco.decode(coco.merge(coco.frPyObjects(polygons, *SIZE))).astype(bool)
    np.testing.assert_array_equal(decoded(take(masks), "cup")[7], expected)


def test_frames_are_numbered_by_key_or_file_name_and_objects_by_track(take, tmp_path):
    cell = {"segmentation": [[0, 0, 9, 0, 9, 9]]}
    images = [{"id": "a", "file_name": "head/f_3.png"}, {"id": "b", "frame": 5}, {"id": "c", "file_name": "side/4.png"}]
    annotations = [
        {"image_id": "a", "track_id": 1, **cell},
        {"image_id": "a", "attributes": {"track_id": 2}, **cell},
        {"image_id": "b", "track_id": 1, **cell},
        {"image_id": "c", "category_id": 2, **cell},
    ]
    masks = coco_of(tmp_path, images[:2], annotations[:3])
    assert {name: track.frames for (name, _), track in take(masks).tracks.items()} == {"cup_1": (3, 5), "cup_2": (3,)}
    masks = coco_of(tmp_path, [images[0], images[2]], [annotations[0], annotations[3]], ("cup", "pot"))
    found = take(masks | {"images": "side/"}).tracks
    assert {name: track.frames for (name, _), track in found.items() if track.frames} == {"pot": (4,)}


def test_indexed_pictures_as_davis_has_them(take, tmp_path):
    pixels = square(10, 10).astype(np.uint8) + 2 * square(50, 60).astype(np.uint8)
    write_png(tmp_path / "masks" / "00003.png", pixels, palette=True)
    write_png(tmp_path / "masks" / "00004.png", np.where(pixels == 2, 2, 255 * (pixels > 0)).astype(np.uint8), True)
    found = take({"png": "masks", "objects": ["cup", "pot"]})
    assert not found.problems
    np.testing.assert_array_equal(decoded(found, "cup")[3], square(10, 10))
    np.testing.assert_array_equal(decoded(found, "pot")[3], square(50, 60))
    assert found.tracks["cup", "head"].annotated_frames == (3, 4)
    assert found.tracks["cup", "head"].frames == (3,)  # 255 is void
    assert set(take({"png": "masks"}).objects) == {"object 1", "object 2"}


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "RGBA", "I;16"])
def test_black_and_white_pictures_of_any_kind(take, tmp_path, mode):
    mask = square(10, 10)
    pixels = {
        "L": mask.astype(np.uint8) * 255,
        "1": mask,
        "RGB": np.dstack([mask.astype(np.uint8) * part for part in (200, 0, 9)]),
        "RGBA": np.dstack([np.full((*SIZE, 3), 255, np.uint8), mask.astype(np.uint8) * 255]),
        "I;16": mask.astype(np.uint16) * 1000,
    }[mode]
    write_png(tmp_path / "masks" / "frame-0002.png", pixels)
    write_png(tmp_path / "masks" / "frame-0003.png", np.zeros_like(pixels))
    (tmp_path / "masks" / "notes.txt").write_text("nothing of ours")
    track = take({"png": "masks", "object": "cup"}).tracks["cup", "head"]
    np.testing.assert_array_equal(track.mask(2).decode(), mask)
    assert (track.frames, track.annotated_frames) == ((2,), (2, 3))


def test_numbers_are_those_of_the_cameras_own_frames(take, tmp_path):
    """Masks from 1 on, of a camera that began two frames after its take, at half its rate."""
    for number in range(1, 5):
        write_png(tmp_path / "masks" / f"{number}.png", square(number, 0).astype(np.uint8))
    found = take({"png": "masks", "object": "cup", "first_frame": 1}, offset_frames=2, frame_rate=15)
    assert found.tracks["cup", "head"].frames == (2, 4, 6, 8)
    np.testing.assert_array_equal(decoded(found, "cup")[4], square(2, 0))
    with found.cameras["head"].open() as video:
        assert [video.file_frame(frame) for frame in (2, 4, 6, 8)] == [0, 1, 2, 3]
    with found.cameras["side"].open() as video:
        assert [video.file_frame(frame) for frame in (2, 4)] == [2, 4]


def pictures(folder, *names, pixels=None):
    for name in names:
        write_png(folder / "masks" / name, square(1, 1).astype(np.uint8) * 255 if pixels is None else pixels)
    return {"png": "masks", "object": "cup"}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda folder: {"png": "nowhere", "object": "cup"}, "cannot be read: No such file"),
        (pictures, "nowhere|cannot be read|holds no PNG"),
        (lambda folder: pictures(folder, "mask.png"), "has no frame number at the end of its name"),
        (lambda folder: pictures(folder, "1.png", "a001.png"), "are both frame 1"),
        (lambda folder: pictures(folder, "0.png") | {"first_frame": 1}, "is before the first"),
        (lambda folder: pictures(folder, "0.png") | {"objects": ["a"]}, "has both `object`"),
        (lambda folder: {"png": pictures(folder, "0.png", pixels=np.zeros(SIZE, np.uint8))["png"]}, "name the object"),
        (lambda folder: {"png": pictures(folder, "0.png")["png"], "objects": ["a"]}, "does not name|name the object"),
        (lambda folder: coco_of(folder, [], []), "holds no image"),
        (lambda folder: coco_of(folder, [{"id": 1, "file_name": "a.png"}], []), "has no frame number"),
        (
            lambda folder: coco_of(
                folder,
                [{"id": 1, "file_name": "1.png"}],
                [{"image_id": 1, "segmentation": {"size": [9, 9], "counts": "0"}}],
            ),
            "export it anew",
        ),
        (
            lambda folder: coco_of(
                folder, [{"id": 1, "file_name": "1.png"}], 2 * [{"image_id": 1, "segmentation": [[0, 0, 5, 0, 5, 5]]}]
            ),
            "two masks of 'cup'",
        ),
        (lambda folder: coco_of(folder, [{"id": 1, "frame": 1}], [{"image_id": 7}]), "does not list"),
        (lambda folder: {"coco": "head.mp4"}, "JSON|UTF-8"),
        (lambda folder: {"relations": "head.mp4"}, "JSON|UTF-8"),
        (lambda folder: {"results": "head.mp4"}, "results table|Parquet"),
        (lambda folder: {"coco": "nowhere.json"}, "there is no such file"),
    ],
)
def test_masks_that_cannot_be_used_are_the_takes_problem(take, tmp_path, make, expected):
    masks = make(tmp_path)
    try:
        found = take(masks)
        (problem,) = found.problems
        assert not found.tracks
    except Exception as error:  # what is wrong with the manifest itself
        problem = str(error)
    assert any(part in problem for part in expected.split("|")), problem
    assert "recordings.yaml, line " in problem
    assert len(problem) <= LONGEST_MESSAGE


def test_masks_of_no_frame_that_is_asked_for_say_so(take, tmp_path):
    masks = pictures(tmp_path, "1.png", "5.png")
    (problem,) = take(masks, every=2).problems
    assert "nothing at frames that are asked for" in problem
    (problem,) = take(masks, offset_seconds=-3).problems
    assert "all of frames that the take does not count" in problem


def test_a_device_is_not_read(take, tmp_path):
    """Neither for masks nor for their digest, which would have no end."""
    take([])
    manifest = tmp_path / "recordings.yaml"
    camera = {"name": "head", "view": "ego", "video": "zero", "masks": {"coco": "zero"}}
    write_manifest(manifest, {"name": "a", "cameras": [camera]}, root="/dev")
    found = find_takes(manifest)
    assert any("is a device, where a file is expected" in problem for problem in found[0].problems)
    assert found.annotation_digest
