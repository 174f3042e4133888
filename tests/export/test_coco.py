"""COCO folders, loaded and compared by pycocotools."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lmeec.errors import OutputError
from lmeec.export import export_coco
from lmeec.masks import RunLengthMask
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
