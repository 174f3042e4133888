"""Tiny data sets on disk, in both layouts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import lzstring
import numpy as np

from lmeec.masks import RunLengthMask
from tests.support.videos import picture

SIZE = (96, 128)


def square_mask(frame: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A 20x30 rectangle that moves with the frame number; bool [H, W]."""
    mask = np.zeros(size, bool)
    left = frame % (size[1] - 30)
    mask[10:30, left : left + 30] = True
    return mask


def encoded_mask(frame: int, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    counts = RunLengthMask.encode(square_mask(frame, size)).counts
    text = lzstring.LZString().compressToEncodedURIComponent(counts)
    return {"width": size[1], "height": size[0], "encodedMask": text, "clicks": [{"x": 1, "y": [2, 3]}]}


def annotated(masked: list[int], looked_at: list[int] | None = None) -> dict[str, Any]:
    """What a relations file holds for one object in one camera."""
    return {
        "annotation": {str(frame): encoded_mask(frame) for frame in masked},
        "annotated_frames": masked if looked_at is None else looked_at,
        "annotation_fps": 1,
        "clicks_per_annotation": {"nobody": ["needs", "this", None, 1.5]},
    }


def take_annotations(name: str, objects: dict[str, dict[str, Any]], scenario: str = "Cooking") -> dict[str, Any]:
    return {"scenario": scenario, "take_name": name, "object_masks": objects, "creator": {"nobody": "needs this"}}


def write_relations(path: Path, takes: dict[str, dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"annotations": takes, "version": "1.0"}, indent=1))
    return path


def put_video(root: Path, take: str, camera: str, video: Path, small: bool = False) -> Path:
    folder = root / "takes" / take / "frame_aligned_videos"
    if small:
        folder = folder / "downscaled" / "448"
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(video, folder / f"{camera}.mp4"))


def write_processed(root: Path, uid: str, cameras: tuple[str, ...] = ("aria01_214-1", "cam01")) -> Path:
    """A take in the processed layout: frames 0, 30 and 60, the object hidden in the last."""
    for camera in cameras:
        (root / uid / camera).mkdir(parents=True)
        for frame in (0, 30, 60):
            cv2.imwrite(str(root / uid / camera / f"{frame}.jpg"), picture(frame)[..., ::-1])
    masks = {
        camera: {
            str(frame): {"size": list(SIZE), "counts": RunLengthMask.encode(square_mask(frame)).counts}
            for frame in (0, 30)
        }
        for camera in cameras
    }
    document = {"masks": {"red mug_0": masks}, "subsample_idx": [0, 30, 60]}
    (root / uid / "annotation.json").write_text(json.dumps(document))
    return root / uid
