"""Takes with doctored annotations, drawn by hypothesis and written to disk in both layouts.

Everything that annotations of real takes can hold and that scores depend on is drawn: empty masks under existing keys,
masks outside the annotated frames, objects that vanish, `null` masks, objects that one view lacks, odd sizes of masks,
short videos and missing frames, cameras and takes that are not on disk. As `naive_protocols`, it knows the formats, not
the package.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import lzstring
import numpy as np
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco

from tests.support.naive_protocols import View
from tests.support.videos import picture, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

EGO, OTHER_EGO, EXO, OTHER_EXO = "aria01_214-1", "aria02_214-1", "cam01", "gp_02"
CAMERAS = (EGO, OTHER_EGO, EXO, OTHER_EXO)
OBJECTS = ("cup_0", "tire lever 1")

FRAMES = {"release": (0, 15, 30, 45, 60), "processed": (0, 30, 45, 60, 90)}
"""Frames that may have masks, by layout; scored by the paper's protocol are multiples of 30 only."""

_VIDEO_LENGTHS = (61, 61, 46, 31, 1)
_MASK_SIZES = ((64, 64), (45, 61), (61, 45), (33, 500), (270, 480), (481, 480), (7, 5))
_PICTURES = {(64, 64): (64, 64), (45, 61): (46, 62), (61, 45): (62, 46)}
_USUAL_PICTURE = (48, 64)
_KINDS = (
    "seen",
    "seen",
    "seen",
    "seen",
    "outside",
    "outside",
    "empty",
    "empty outside",
    "looked",
    "looked",
    "nothing",
    "null",
)
"""What is written of a frame: a mask, one outside the annotated frames, one without a pixel, a look without a mask."""


@dataclass(frozen=True)
class DoctoredCamera:
    """A camera: the size of its masks, and the frames that can be read of it; None where it is not on disk."""

    mask_size: tuple[int, int]
    frames: tuple[int, ...] | None

    @property
    def picture_size(self) -> tuple[int, int]:
        return _PICTURES.get(self.mask_size, _USUAL_PICTURE)


@dataclass(frozen=True)
class DoctoredTake:
    """A take; `views` is object -> camera -> its masks and annotated frames."""

    uid: str
    on_disk: bool
    cameras: dict[str, DoctoredCamera]
    views: dict[str, dict[str, View]]

    @property
    def name(self) -> str:
        return f"name of {self.uid}"


@dataclass(frozen=True)
class Doctored:
    """A data set."""

    takes: tuple[DoctoredTake, ...]

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(self.summary())

    def summary(self) -> str:
        """What is in it, for messages of hypothesis; masks as the number of their pixels."""
        return "\n".join(
            f"{take.uid} {'on disk' if take.on_disk else 'not on disk'}: "
            + ", ".join(f"{name} {camera.mask_size} {_span(camera.frames)}" for name, camera in take.cameras.items())
            + "".join(
                f"\n  {name} in {camera}: { ({f: m if m is None else int(m.sum()) for f, m in view.masks.items()}) }, "
                f"looked at {sorted(view.annotated)}"
                for name, views in take.views.items()
                for camera, view in views.items()
            )
            for take in self.takes
        )

    @property
    def on_disk(self) -> list[str]:
        return [take.uid for take in self.takes if take.on_disk]

    def relations(self) -> dict[str, Any]:
        """The document of a relations file."""
        return {
            "annotations": {
                take.uid: {
                    "take_name": take.name,
                    "scenario": "Cooking",
                    "object_masks": {
                        name: {camera: _relations_view(view) for camera, view in views.items()}
                        for name, views in take.views.items()
                    },
                }
                for take in self.takes
            }
        }

    def processed(self) -> dict[str, Any]:
        """The document of each take's `annotation.json`, by uid."""
        return {
            take.uid: {
                "masks": {
                    name: {
                        camera: {str(frame): None if mask is None else _rle(mask) for frame, mask in view.masks.items()}
                        for camera, view in views.items()
                    }
                    for name, views in take.views.items()
                },
                "subsample_idx": [0, 30, 60, 90],
            }
            for take in self.takes
        }

    def write_release(self, root: Path) -> Path:
        """Write takes with videos; returns the relations file."""
        for take in self.takes:
            if take.on_disk:
                folder = root / "takes" / take.name / "frame_aligned_videos"
                folder.mkdir(parents=True)
                for name, camera in take.cameras.items():
                    if camera.frames is not None:
                        shutil.copy(_video(camera.picture_size, len(camera.frames)), folder / f"{name}.mp4")
        path = root / "annotations" / "relations_val.json"
        return _write(path, self.relations())

    def write_processed(self, root: Path) -> Path:
        """Write takes with JPEG files; returns a relations file beside them, which has the annotated frames."""
        documents = self.processed()
        for take in self.takes:
            if take.on_disk:
                _write(root / take.uid / "annotation.json", documents[take.uid])
                for name, camera in take.cameras.items():
                    for frame in camera.frames or ():
                        path = root / take.uid / name / f"{frame}.jpg"
                        path.parent.mkdir(exist_ok=True)
                        shutil.copy(_jpeg(camera.picture_size, frame), path)
        return _write(root.parent / f"{root.name}_relations.json", self.relations())


def _span(frames: tuple[int, ...] | None) -> str:
    if frames is None:
        return "not on disk"
    return f"frames to {frames[-1]}" if frames == tuple(range(len(frames))) else f"frames {frames}"


_MOSTLY = st.sampled_from([True, True, True, False])


@st.composite
def doctored(draw: st.DrawFn, layout: str) -> Doctored:
    """Two takes; an object is seen at frame 0 of the first in both views, which have all frames."""
    first = draw(_takes("take-1", layout, st.just(True), anchored=True))
    return Doctored((first, draw(_takes("take-2", layout, _MOSTLY, anchored=False))))


@st.composite
def _takes(draw: st.DrawFn, uid: str, layout: str, on_disk: st.SearchStrategy[bool], *, anchored: bool) -> DoctoredTake:
    names = [EGO, EXO, *draw(st.sets(st.sampled_from([OTHER_EGO, OTHER_EXO])))]
    cameras = {name: draw(_cameras(layout)) for name in sorted(names)}
    if all(camera.frames is None for camera in cameras.values()):
        anchored = True  # a take without a file is not on disk
    objects = draw(st.sampled_from([OBJECTS[:1], OBJECTS]))
    views = {
        name: {camera: draw(_views(layout, cameras[camera].mask_size)) for camera in cameras if draw(_MOSTLY)}
        for name in objects
    }
    if anchored:
        for name in (EGO, EXO):
            height, width = cameras[name].mask_size
            mask = np.zeros((height, width), dtype=bool)
            mask[height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] = True
            everything = tuple(range(max(_VIDEO_LENGTHS))) if layout == "release" else FRAMES[layout]
            cameras[name] = DoctoredCamera((height, width), everything)
            view = views[OBJECTS[0]].get(name, View({}, set()))
            views[OBJECTS[0]][name] = View(dict(sorted({**view.masks, 0: mask}.items())), {*view.annotated, 0})
    return DoctoredTake(uid, draw(on_disk), cameras, views)


@st.composite
def _cameras(draw: st.DrawFn, layout: str) -> DoctoredCamera:
    there = draw(_MOSTLY)
    if layout == "release":
        frames = tuple(range(draw(st.sampled_from(_VIDEO_LENGTHS))))
    else:
        frames = tuple(sorted(draw(st.sets(st.sampled_from(FRAMES[layout]), min_size=1))))
    return DoctoredCamera(draw(st.sampled_from(_MASK_SIZES)), frames if there else None)


@st.composite
def _views(draw: st.DrawFn, layout: str, size: tuple[int, int]) -> View:
    """What is written of each frame; from a seed, as hypothesis by itself prefers that all frames are alike."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    masks: dict[int, NDArray[np.bool_] | None] = {}
    annotated: set[int] = set()
    for frame in FRAMES[layout]:
        kind = rng.choice(_KINDS)
        if kind in {"seen", "outside"}:
            masks[frame] = _region(rng, *size)
        elif kind in {"empty", "empty outside"}:
            masks[frame] = np.zeros(size, dtype=bool)
        elif kind == "null":
            masks[frame] = None
        if kind in {"seen", "empty", "looked", "null"}:
            annotated.add(frame)
    return View(masks, annotated)


def _region(rng: np.random.Generator, height: int, width: int) -> NDArray[np.bool_]:
    """A mask of one or two boxes, a pixel, or everything."""
    mask = np.zeros((height, width), dtype=bool)
    kind = rng.choice(["box", "box", "boxes", "pixel", "all"])
    if kind == "all":
        mask[:] = True
    elif kind == "pixel":
        mask[rng.integers(height), rng.integers(width)] = True
    for _ in range({"box": 1, "boxes": 2}.get(kind, 0)):
        (top, bottom), (left, right) = (np.sort(rng.choice(9, 2, replace=False)) for _ in range(2))
        mask[top * height // 8 : bottom * height // 8, left * width // 8 : right * width // 8] = True
    return mask


def _rle(mask: NDArray[np.bool_]) -> dict[str, Any]:
    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


def _relations_view(view: View) -> dict[str, Any]:
    return {
        "annotation": {str(frame): mask if mask is None else _encoded(mask) for frame, mask in view.masks.items()},
        "annotated_frames": sorted(view.annotated),
        "annotation_fps": 1,
    }


def _encoded(mask: NDArray[np.bool_]) -> dict[str, Any]:
    text = lzstring.LZString().compressToEncodedURIComponent(_rle(mask)["counts"])
    return {"width": mask.shape[1], "height": mask.shape[0], "encodedMask": text}


def _write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


_FILES = TemporaryDirectory(prefix="doctored-")  # removed when the process ends


@cache
def _video(size: tuple[int, int], frames: int) -> Path:
    return write_video(Path(_FILES.name) / f"{size[0]}x{size[1]}_{frames}.mp4", frames, size=size)


@cache
def _jpeg(size: tuple[int, int], frame: int) -> Path:
    path = Path(_FILES.name) / f"{size[0]}x{size[1]}_{frame}.jpg"
    Image.fromarray(picture(frame, *size)).save(path, quality=95)
    return path
