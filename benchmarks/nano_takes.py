"""Synthetic takes to judge nano on, in the processed layout, from seeds that were fixed before anything was scored.

Scenes of training have seeds from `TRAINING_SEEDS` on, those of takes lie below 2^32, and the splits draw from seeds of
their own; the demo's takes and the tests' are of `lmeec synth`, with seeds below 10,000.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import numpy as np
from lzstring import LZString
from PIL import Image

from lmeec.data.takes import TakeSet, find_takes
from lmeec.masks import RunLengthMask
from lmeec.synthetic.render import Renderer
from lmeec.synthetic.scene import Camera, Scene, SceneConfig
from lmeec.synthetic.scene_builder import make_scene
from lmeec.synthetic.writer import MIN_VISIBLE_PIXELS, frame_size, take_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

SECONDS = (6, 16, 26)
"""Lengths of the takes."""

Split = Literal["validation", "test"]

SEEDS: dict[Split, int] = {"validation": 10260, "test": 20260}
"""Takes of the i-th length have the seed of the split plus i. Weights, thresholds and designs are chosen on
`validation`; `test` is for numbers that are published."""


def held_out_takes(root: Path, each: int, split: Split) -> TakeSet:
    """Takes of all lengths, `each` of every length; those that are there already are kept."""
    scenes = {
        f"held-out-{seconds:02d}s-{number:03d}": _scene(take_seed(SEEDS[split] + length, number), seconds)
        for length, seconds in enumerate(SECONDS)
        for number in range(each)
    }
    return annotated_takes(root, scenes)


def annotated_takes(root: Path, scenes: Mapping[str, Callable[[], Scene]]) -> TakeSet:
    """Takes by name, of the scenes that are made for them; those that are there already are kept.

    Every frame is annotated for every object in every view, which the takes' own files cannot say: a relations file
    does, so that an object that is not visible is absent instead of unannotated.
    """
    folders = [root / name for name in scenes]
    for folder, scene in zip(folders, scenes.values(), strict=True):
        if not (folder / "annotation.json").exists():
            write_take(folder, scene())
    relations = root / "relations.json"
    relations.write_text(json.dumps({"annotations": {folder.name: _relation(folder) for folder in folders}}))
    return find_takes(root, annotations=relations)


def _scene(seed: int, seconds: int) -> Callable[[], Scene]:
    return lambda: make_scene(seed, SceneConfig(seconds=float(seconds), exo_cameras=(2, 2)))


def write_take(folder: Path, scene: Scene) -> None:
    """Render the annotated frames of a scene, one a second."""
    frames = range(0, scene.config.frames, scene.config.fps)
    masks: dict[str, dict[str, dict[str, object]]] = {thing.name: {} for thing in scene.objects}
    for camera in scene.cameras:
        for frame, objects in rendered(folder / camera.name, scene, camera, frames):
            for index, thing in enumerate(scene.objects):
                mask = objects == index + 1
                track = masks[thing.name].setdefault(camera.name, {})
                if np.count_nonzero(mask) >= MIN_VISIBLE_PIXELS:
                    encoded = RunLengthMask.encode(mask)
                    track[str(frame)] = {"size": list(mask.shape), "counts": encoded.counts}
    document = {"masks": masks, "subsample_idx": list(frames)}
    (folder / "annotation.json").write_text(json.dumps(document))


def rendered(folder: Path, scene: Scene, camera: Camera, frames: Iterable[int]) -> list[tuple[int, np.ndarray]]:
    """Write a camera's frames as JPEG files; returns their maps of objects."""
    folder.mkdir(parents=True, exist_ok=True)
    renderer = Renderer(scene, camera, frame_size(camera, 448))
    maps = []
    for number in frames:
        frame = renderer.render(number)
        Image.fromarray(frame.rgb).save(folder / f"{number}.jpg", quality=90)
        maps.append((number, frame.objects))
    return maps


def _relation(folder: Path) -> dict[str, object]:
    """A take's entry in the relations file: every rendered frame was looked at."""
    document = json.loads((folder / "annotation.json").read_text())
    looked_at = document["subsample_idx"]
    tracks = {
        thing: {
            camera: {
                "annotation": {frame: _encoded(mask) for frame, mask in masks.items()},
                "annotated_frames": looked_at,
                "annotation_fps": 1,
            }
            for camera, masks in cameras.items()
        }
        for thing, cameras in document["masks"].items()
    }
    return {"take_name": folder.name, "object_masks": tracks}


def _encoded(mask: dict[str, object]) -> dict[str, object]:
    (height, width), counts = mask["size"], mask["counts"]  # type: ignore[misc]
    return {"width": width, "height": height, "encodedMask": LZString.compressToEncodedURIComponent(counts)}
