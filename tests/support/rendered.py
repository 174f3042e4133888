"""Synthetic takes on disk for the tests: rendered once, copied and damaged by each test."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lmeec.synthetic.scene import SceneConfig
from lmeec.synthetic.writer import DatasetConfig, write_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

EGO = "aria01_214-1"


def render(root: Path) -> Path:
    """Two takes of 20 frames, every fifth annotated, with an ego and two exo cameras and three objects."""
    scene = SceneConfig(seconds=4, fps=5, objects=3, exo_cameras=(2, 2))
    write_dataset(root, DatasetConfig(takes=2, seed=3, scene=scene, size=64, workers=2))
    return root


class TakesOnDisk:
    """A data set that a test may damage.

    Attributes:
        root: its folder.
        relations: its relations file.
        uids: uids of its takes, in the order of their names.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.relations = root / "annotations" / "relations_val.json"
        takes = json.loads(self.relations.read_text())["annotations"]
        self.uids = sorted(takes, key=lambda uid: takes[uid]["take_name"])
        self.names = [takes[uid]["take_name"] for uid in self.uids]

    @contextmanager
    def annotations(self) -> Iterator[dict[str, Any]]:
        """The takes of the relations file, by uid; changes are written back."""
        document = json.loads(self.relations.read_text())
        yield document["annotations"]
        self.relations.write_text(json.dumps(document))

    def videos(self, take: int) -> Path:
        return self.root / "takes" / self.names[take] / "frame_aligned_videos"

    def video(self, take: int, camera: str) -> Path:
        return self.videos(take) / f"{camera}.mp4"

    def rename_camera(self, take: int, old: str, new: str) -> None:
        self.video(take, old).rename(self.video(take, new))
        with self.annotations() as takes:
            for cameras in takes[self.uids[take]]["object_masks"].values():
                cameras[new] = cameras.pop(old)

    def copy_camera(self, take: int, old: str, new: str) -> None:
        shutil.copy(self.video(take, old), self.video(take, new))
        with self.annotations() as takes:
            for cameras in takes[self.uids[take]]["object_masks"].values():
                cameras[new] = cameras[old]

    def add_copies(self, count: int) -> None:
        """Takes that are copies of the first one."""
        with self.annotations() as takes:
            for i in range(count):
                name = f"copy_{i:03d}"
                shutil.copytree(self.root / "takes" / self.names[0], self.root / "takes" / name)
                takes[f"copy-{i:03d}"] = takes[self.uids[0]] | {"take_name": name}

    def keep_queries(self, sides: Sequence[str]) -> None:
        """Make the annotations a test split: masks of one object in cameras of one side, of the next in the next's."""
        with self.annotations() as takes:
            for uid in takes:
                objects = takes[uid]["object_masks"]
                for number, name in enumerate(list(objects)):
                    wanted = sides[number % len(sides)]
                    objects[name] = {camera: one for camera, one in objects[name].items() if camera.startswith(wanted)}
                takes[uid]["object_masks"] = {name: cameras for name, cameras in objects.items() if cameras}
