"""COCO folders, loaded and compared by pycocotools."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lmeec.data.takes import find_takes
from lmeec.errors import OutputError
from lmeec.export import export_coco
from lmeec.masks import RunLengthMask
from lmeec.video.file import VideoReader
from tests.support.command import lmeec
from tests.support.rows import row, square, write_results


@pytest.fixture
def results(tmp_path):
    return write_results(
        tmp_path / "results.parquet",
        [
            row(0, gt_state="visible", gt=square(10, 30)),
            row(30, gt_state="visible", gt=square(100, 200)),
            row(30, object="plate 'ö'", gt_state="absent"),
            row(60, mask=square(0, 0, side=0)),
            row(0, query_cam="cam01", target_cam="aria01", direction="exo2ego"),
        ],
    )


def test_pycocotools_loads_and_evaluates_it(results, tmp_path):
    made = export_coco([results], tmp_path / "coco")
    assert (made.images, made.annotations, made.results, made.empty) == (4, 2, 4, 1)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(tmp_path / "coco/annotations.json")
        found = truth.loadRes(str(tmp_path / "coco/results.json"))
        comparison = COCOeval(truth, found, "segm")
        comparison.params.catIds = truth.getCatIds(catNms=["cup_0"])
        comparison.evaluate()
        comparison.accumulate()
        comparison.summarize()
    assert {one["name"] for one in truth.dataset["categories"]} == {"cup_0", "plate 'ö'"}
    assert comparison.stats[8] == pytest.approx(0.5)  # of the two visible frames, one is found exactly
    (exact,) = (image for image in truth.dataset["images"] if (image["direction"], image["frame"]) == ("ego2exo", 0))
    (annotation,) = truth.loadAnns(truth.getAnnIds(imgIds=[exact["id"]]))
    assert truth.annToMask(annotation).tolist() == square(10, 30).decode().tolist()
    assert annotation["bbox"] == [30, 10, 20, 20]
    assert annotation["area"] == 400


def test_folders_of_others_are_never_replaced(results, tmp_path):
    out = tmp_path / "coco"
    export_coco([results], out)
    with pytest.raises(OutputError, match="overwrite=True"):
        export_coco([results], out)
    export_coco([results], out, overwrite=True)
    (out / "annotations.json").rename(out / "mine.json")
    with pytest.raises(OutputError, match="holds other things"):
        export_coco([results], out, overwrite=True)
    assert (out / "mine.json").exists()


@pytest.mark.parametrize("rows", [slice(0, 270), slice(100, 101), slice(200, 270)])
def test_ground_truth_areas_and_boxes_up_to_the_last_pixel(tmp_path, rows):
    mask = np.zeros((270, 480), dtype=bool)
    mask[rows, 400:] = True
    truth = RunLengthMask.encode(mask)
    export_coco([write_results(tmp_path / "r.parquet", [row(0, gt_state="visible", gt=truth)])], tmp_path / "coco")
    (annotation,) = json.loads((tmp_path / "coco/annotations.json").read_text())["annotations"]
    assert (annotation["area"], tuple(annotation["bbox"])) == (truth.area, truth.bbox)


def test_images_are_called_by_the_frames_and_videos_of_the_takes(rendered_takes, tiny, tmp_path):
    table, take = tmp_path / "results.parquet", rendered_takes.names[0]
    arguments = ("--checkpoint", tiny, "--take", take, "--direction", "ego2exo", "--mask-size", "source")
    assert lmeec("predict", rendered_takes.root, "-o", table, *arguments).status == 0
    out = tmp_path / "coco"
    done = lmeec("export", table, "--format", "coco", "--takes", rendered_takes.root, "--images", "--out", out)
    assert done.status == 0, done.err
    images = json.loads((out / "annotations.json").read_text())["images"]
    assert f"{len({image['file_name'] for image in images})} pictures" in done.err
    for image in images:
        video = rendered_takes.root / image["video"]
        assert video == rendered_takes.video(0, image["target_cam"])
        assert image["file_name"] == f"{take}/{image['target_cam']}/{image['frame_index']:06d}.jpg"
        with Image.open(out / "images" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
            found = np.asarray(picture).astype(int)
        with VideoReader(video) as reader:
            ((_, expected),) = reader.read([image["frame_index"]])
        assert abs(found - expected).mean() < 6


def test_frames_that_are_files_are_called_by_their_names(tmp_path):
    root = tmp_path / "processed"
    folder = root / "take-1" / "cam01"
    folder.mkdir(parents=True)
    (root / "take-1" / "aria01").mkdir()
    for camera in ("cam01", "aria01"):
        Image.new("RGB", (48, 27)).save(root / "take-1" / camera / "0.jpg")
    masks = {"cup_0": {"aria01": {"0": {"size": [270, 480], "counts": square(1, 1).counts}}}}
    (root / "take-1" / "annotation.json").write_text(json.dumps({"masks": masks, "subsample_idx": [0]}))
    table = write_results(tmp_path / "r.parquet", [row(0, target_frame=0)])
    export_coco([table], tmp_path / "coco", takes=find_takes(root))
    (image,) = json.loads((tmp_path / "coco/annotations.json").read_text())["images"]
    assert (root / image["file_name"]).is_file()


def test_pictures_need_the_takes(results, tmp_path):
    done = lmeec("export", results, "--format", "coco", "--images", "--out", tmp_path / "coco")
    assert done.status == 1
    assert "--takes" in done.err
