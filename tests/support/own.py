"""Recordings of which nothing says that they are Ego-Exo4D: other names and folders, masks in other forms."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from lmeec.data.takes import find_takes
from lmeec.export.davis import indexed_image

if TYPE_CHECKING:
    from pathlib import Path

    from lmeec.data.take import Take
    from tests.support.rendered import TakesOnDisk

NAMES = {"aria01_214-1": "cam a", "gp01": "cam b", "gp02": "côté"}
"""In the order of the names that they stand for, as tracks are batched in it."""


def write_manifest(path: Path, *takes: dict[str, Any], **keys: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(keys | {"takes": list(takes)}, file)
    return path


def own_take(takes: TakesOnDisk, folder: Path, form: str, *, name: str = "Küche 1") -> dict[str, Any]:
    """The manifest's entry of the first take, under other names, with its masks in a form.

    Args:
        takes: where it is in Ego-Exo4D's layout.
        folder: where its files are put.
        form: relations, coco, png or indexed.
        name: what it is called.
    """
    take = next(iter(find_takes(takes.root)))
    uid = take.uid
    if form == "relations":
        folder.mkdir(parents=True)
        shutil.copy(takes.relations, folder / "masks.json")
    cameras = []
    for camera in take.cameras.values():
        own = NAMES[camera.name]
        (folder / "videos").mkdir(parents=True, exist_ok=True)
        shutil.copy(camera.source, folder / "videos" / f"{own}.mp4")
        if form == "relations":
            masks: Any = {"relations": "masks.json", "take": uid, "camera": camera.name}
        elif form == "coco":
            masks = {"coco": write_coco(take, camera.name, folder / f"{own}.json").name}
        else:
            masks = write_png(take, camera.name, folder, form)
        cameras.append({"name": own, "view": camera.view, "video": f"videos/{own}.mp4", "masks": masks})
    return {
        "name": name,
        "uid": uid,
        "scenario": take.scenario,
        "frame_rate": float(camera.frame_rate),
        "cameras": cameras,
    }


def looked_at(take: Take, camera: str) -> list[int]:
    return sorted({frame for (_, one), track in take.tracks.items() if one == camera for frame in track.known_frames})


def write_coco(take: Take, camera: str, path: Path) -> Path:
    """Masks of a camera as COCO run lengths, every other one not compressed."""
    names = list(take.objects)
    sizes = {track.size for (_, one), track in take.tracks.items() if one == camera and track.size}
    (height, width) = sizes.pop()
    images = [
        {"id": 7 + frame, "file_name": f"{camera}/frame_{frame:06d}.jpg", "height": height, "width": width}
        for frame in looked_at(take, camera)
    ]
    annotations: list[dict[str, Any]] = []
    for (name, one), track in take.tracks.items():
        for frame in track.frames if one == camera else ():
            mask = track.mask(frame)
            counts = mask.counts if len(annotations) % 2 else mask.run_lengths().tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": 7 + frame,
                    "category_id": names.index(name) + 1,
                    "segmentation": {"size": [mask.height, mask.width], "counts": counts},
                    "area": mask.area,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name, "supercategory": "thing"} for number, name in enumerate(names, 1)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories, "info": {}}))
    return path


def write_png(take: Take, camera: str, folder: Path, form: str) -> Any:
    """Masks of a camera as pictures: a folder an object, or indexed ones. Objects that overlap cannot be indexed."""
    sizes = {track.size for (_, one), track in take.tracks.items() if one == camera and track.size}
    (size,) = sizes
    tracks = {name: track for (name, one), track in take.tracks.items() if one == camera}
    entries = []
    for number, (name, track) in enumerate(tracks.items(), 1):
        place = folder / "masks" / NAMES[camera] / (str(number) if form == "png" else "all")
        place.mkdir(parents=True, exist_ok=True)
        entries.append({"png": str(place.relative_to(folder)), "object": name})
        for frame in looked_at(take, camera):
            file = place / f"{frame:05d}.png"
            mask = track.mask(frame)
            pixels = np.zeros(size, bool) if mask is None else mask.decode()
            if form == "png":
                Image.fromarray(pixels.astype(np.uint8) * 255).save(file)
            else:
                there = np.array(Image.open(file)) if file.exists() else np.zeros(size, np.uint8)
                there[pixels] = number
                image = indexed_image(pixels)
                image.frombytes(there.tobytes())
                image.save(file)
    if form == "png":
        return entries
    return {"png": f"masks/{NAMES[camera]}/all", "objects": list(tracks)}
