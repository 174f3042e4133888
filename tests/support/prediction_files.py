"""Prediction files and ground truth in both forms, made from the reference pairs of masks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import lzstring
import numpy as np

from lmeec.masks import RunLengthMask, resize_nearest
from tests.support.places import ASSETS

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = ASSETS / "reference/metrics.json"
PAIRS = json.loads(REFERENCE.read_text())["pairs"]
EGO, EXO, OTHER_EXO = "aria01_214-1", "cam_left_01", "cam_left"
VIEWS = {(480, 480): (EXO, EGO), (270, 480): (EGO, EXO)}
"""Query and target camera of pairs of a size."""

Mask = tuple[int, int, str]


def pairs_of(size):
    return [pair for pair in PAIRS if tuple(pair["size"]) == size]


class Files:
    """A take's ground truth and predictions, added frame by frame, written in any form."""

    def __init__(self) -> None:
        self.truth: dict = {}
        self.annotated: dict = {}
        self.predictions: dict = {"ego-exo": {}, "exo-ego": {}}

    def truth_mask(self, take, name, camera, frame, mask: Mask | None, annotated=True):
        frames = self.truth.setdefault(take, {}).setdefault(name, {}).setdefault(camera, {})
        if mask is not None:
            frames[frame] = mask
        looked_at = self.annotated.setdefault((take, name, camera), [])
        if annotated:
            looked_at.append(frame)

    def prediction(self, take, name, pair, frame, mask: Mask, confidence=0.9):
        direction = "ego-exo" if pair.startswith("aria") else "exo-ego"
        height, width, counts = mask
        masks = self.predictions[direction].setdefault(take, {})
        masks.setdefault(name, {}).setdefault(pair, {})[str(frame)] = {
            "pred_mask": {"size": [height, width], "counts": counts},
            "confidence": confidence,
        }

    def write_predictions(self, path: Path) -> Path:
        document = {
            direction: {"results": {take: {"masks": masks, "subsample_idx": []} for take, masks in takes.items()}}
            for direction, takes in self.predictions.items()
            if takes
        }
        path.write_text(json.dumps({"version": "1", "challenge": "correspondence"} | document))
        return path

    def write_processed(self, path: Path) -> Path:
        annotations = {}
        for take, objects in self.truth.items():
            masks = {
                name: {
                    camera: {str(frame): {"size": mask[:2], "counts": mask[2]} for frame, mask in frames.items()}
                    for camera, frames in cameras.items()
                }
                for name, cameras in objects.items()
            }
            annotated = {
                name: {camera: self.annotated[take, name, camera] for camera in cameras}
                for name, cameras in objects.items()
            }
            annotations[take] = {"masks": masks, "annotated_frames": annotated}
        path.write_text(json.dumps({"version": "xx", "annotations": annotations}))
        return path

    def write_relations(self, path: Path) -> Path:
        compress = lzstring.LZString().compressToEncodedURIComponent
        annotations = {}
        for take, objects in self.truth.items():
            masks = {
                name: {
                    camera: {
                        "annotation": {
                            str(frame): {"height": height, "width": width, "encodedMask": compress(counts)}
                            for frame, (height, width, counts) in frames.items()
                        },
                        "annotated_frames": self.annotated[take, name, camera],
                        "annotation_fps": 1,
                    }
                    for camera, frames in cameras.items()
                }
                for name, cameras in objects.items()
            }
            annotations[take] = {"take_name": f"name of {take}", "scenario": "Cooking", "object_masks": masks}
        path.write_text(json.dumps({"annotations": annotations}))
        return path


def enlarged(pair, size) -> Mask:
    """Ground truth of a pair at another size."""
    mask = resize_nearest(RunLengthMask(*pair["size"], pair["gt"]), size)
    return mask.height, mask.width, mask.counts


def reference_files(size, truth_size) -> Files:
    """Every reference pair of a size as a frame, with ground truth of another size."""
    files = Files()
    query, target = VIEWS[size]
    for frame, pair in enumerate(pairs_of(size)):
        files.truth_mask("take-1", "cup_0", query, frame, query_mask(query))
        files.truth_mask("take-1", "cup_0", target, frame, enlarged(pair, truth_size))
        files.prediction("take-1", "cup_0", f"{query}_{target}", frame, (*size, pair["pred"]), [0.8])
    return files


def query_mask(camera) -> Mask:
    height, width = (480, 480) if camera.startswith("aria") else (270, 480)
    return height, width, counts_of_box(height, width)


def counts_of_box(height, width, top=10, left=10, side=30) -> str:
    mask = np.zeros((height, width), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return RunLengthMask.encode(mask).counts
