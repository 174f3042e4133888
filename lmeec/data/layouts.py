"""The two layouts of takes on disk: which one a folder has, and which takes are in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from lmeec.data import processed
from lmeec.data.naming import EGO_RULE, view_by_name
from lmeec.data.relations import RelationsFile, TakeHead
from lmeec.data.take import DOWNSCALED, Camera, check_views
from lmeec.data.tracks import MaskTrack
from lmeec.errors import DataError
from lmeec.files.json import decode_file
from lmeec.files.names import path_component_problem, show
from lmeec.files.places import Place, in_order
from lmeec.files.reading import is_there
from lmeec.files.remote.place import RemotePath
from lmeec.synthetic.marker import MARKER
from lmeec.video.instants import USUAL_RATE

if TYPE_CHECKING:
    from lmeec.config import Video

Layout = Literal["release", "processed", "manifest"]

_SPLITS = ("train", "val", "test")
_VIDEOS = "frame_aligned_videos"
_NOT_CAMERAS = re.compile(r"best_exo|collage|aria\d+_(?!214-1$)\d+-\d+")
"""Videos beside the cameras' own: compilations, and Aria's grey-scale and eye-tracking streams."""

_ONLY_SMALL = ", only one of 448 pixels where full size is asked for"


@dataclass(frozen=True, slots=True)
class FoundTake:
    """A take on disk whose masks are still in their file.

    Attributes:
        uid: Its unique identifier.
        name: Its name.
        scenario: The activity, if it is known.
        cameras: Name to camera.
        problems: What cannot be used and why.
        read_tracks: Reads the mask tracks; raises DataError.
        digest: Gives the digest of the annotations.
    """

    uid: str
    name: str
    scenario: str | None
    cameras: Mapping[str, Camera]
    problems: tuple[str, ...]
    read_tracks: Callable[[], Mapping[tuple[str, str], MaskTrack]]
    digest: Callable[[], str]


@dataclass(slots=True)
class Inventory:
    """What a folder holds.

    Attributes:
        layout: The layout that it has.
        takes: Takes on disk, and takes that cannot be used for what their annotations say.
        missing: Names of annotated takes that are not on disk.
        names: Every name and uid in the annotations.
        sources: The annotation files.
        unnamed: Names of takes on disk that the annotations do not name.
        synthetic: Whether the folder says that its takes are drawn.
        digest: Gives the digest of all annotations; None where that of the sources is meant.
    """

    layout: Layout
    takes: list[FoundTake] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    sources: list[Place] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    synthetic: bool = False
    digest: Callable[[], str] | None = None


class TakeRecord(msgspec.Struct):
    """What takes.json says of a take.

    Attributes:
        take_uid: Its unique identifier.
        take_name: Its name.
        root_dir: Its folder.
        parent_task_name: The activity.
        frame_rate: Frames a second that annotations of the take count; the file of Ego-Exo4D does not say, it is 30.
    """

    take_uid: str
    take_name: str | None = None
    root_dir: str | None = None
    parent_task_name: str | None = None
    frame_rate: Annotated[float, msgspec.Meta(ge=0.1, le=1000)] | None = None

    @property
    def folder_name(self) -> str | None:
        """Name of its folder, if the file tells it."""
        return PurePosixPath(self.root_dir).name if self.root_dir else None

    @property
    def rate(self) -> Fraction:
        """Frames a second that annotations of the take count."""
        return USUAL_RATE if self.frame_rate is None else Fraction(self.frame_rate).limit_denominator(1001)


def list_for_layout(root: Place) -> None:
    """Ask a store but a few times what is in a data set: a listing of its folder, of the processed layout of all."""
    if isinstance(root, RemotePath):
        names = {one.name for one in root.iterdir()}
        if names.isdisjoint(("takes", "takes.json", "annotations")):
            root.list_below()
        elif "annotations" in names:
            (root / "annotations").list_below()


def release_takes_folder(root: Place, annotations: Place | None) -> Place | None:
    """Give the folder of takes if `root` has the release layout, or is that folder itself."""
    list_for_layout(root)
    if (root / "takes").is_dir():
        return root / "takes"
    if any(is_there(child / _VIDEOS, lambda path: path.is_dir()) for child in root.iterdir()):
        return root
    if (root / "takes.json").is_file() or relations_files(root):
        return root / "takes"
    if annotations is not None and not is_processed(root):
        return root / "takes"
    return None


def read_release(folder: Place, annotations: Place | None, video: Video, wanted: frozenset[str]) -> Inventory:
    """List the takes of a release layout.

    Args:
        folder: The folder that holds the takes' folders.
        annotations: A relations file; None takes those beside the folder.
        video: Which video files to use.
        wanted: Names and uids of the takes to list; empty lists all.

    Raises:
        DataError: There are no annotations, a file is broken, or a take is in two of them.
    """
    root = folder.parent
    sources = relations_files(root) if annotations is None else [annotations]
    if not sources:
        raise DataError(
            f"{root / 'annotations'}: there is no relations_train.json, relations_val.json or relations_test.json; "
            "download the annotations of the relations benchmark (`egoexo --parts annotations --benchmarks relations`) "
            "or name a relations file with `annotations`",
            settings=["annotations"],
        )
    records = take_records(root / "takes.json")
    if isinstance(folder, RemotePath) and not wanted:
        folder.list_below()
    on_disk = {child.name: child for child in folder.iterdir() if child.is_dir()} if folder.is_dir() else {}
    inventory = Inventory("release", sources=sources, synthetic=(root / MARKER).is_file())
    origin: dict[str, Place] = {}
    for source in sources:
        relations = RelationsFile(source)
        kept: list[str] = []
        for uid in [*relations.heads, *relations.unreadable]:
            head = relations.heads.get(uid, TakeHead())
            record = records.get(uid, TakeRecord(uid))
            name = head.take_name or record.take_name or uid
            inventory.names |= {uid, name}
            if wanted and wanted.isdisjoint((uid, name)):
                continue
            if uid in origin:
                raise DataError(
                    f"take {show(name)} ({show(uid)}) is in both {origin[uid]} and {source}; "
                    "choose one with `annotations`",
                    settings=["annotations"],
                )
            origin[uid] = source
            problem = relations.unreadable.get(uid) or path_component_problem(name)
            take_folder = on_disk.get(record.folder_name or name) or on_disk.get(name)
            if problem is not None:
                inventory.takes.append(FoundTake(uid, name, head.scenario, {}, (problem,), dict, str))
            elif take_folder is None:
                inventory.missing.append(name)
            else:
                try:
                    cameras = _release_cameras(take_folder, head.cameras, video, record.rate)
                except OSError as error:
                    problem = _unreadable(take_folder, error)
                    inventory.takes.append(FoundTake(uid, name, head.scenario, {}, (problem,), dict, str))
                    continue
                inventory.takes.append(
                    FoundTake(
                        uid,
                        name,
                        head.scenario,
                        cameras,
                        tuple(check_views(cameras, EGO_RULE)),
                        partial(relations.tracks, uid),
                        partial(relations.digest, uid),
                    )
                )
                kept.append(uid)
        relations.keep(kept)
    if video == "full":
        _refuse_small_only(folder, inventory)
    return inventory


def _unreadable(folder: Place, error: OSError) -> str:
    return f"{folder}: cannot be read: {error.strerror or error}; give yourself the right to, or leave the take out"


def _refuse_small_only(folder: Place, inventory: Inventory) -> None:
    cameras = [camera for take in inventory.takes for camera in take.cameras.values()]
    if not any(camera.source for camera in cameras) and any(
        _ONLY_SMALL in (camera.problem or "") for camera in cameras
    ):
        raise DataError(
            f"{folder}: has videos of 448 pixels only, and those of full size are asked for, from which pixels as "
            "released are made; download them (`egoexo --parts takes --benchmarks relations`), or go without"
        )


def is_processed(root: Place) -> bool:
    """Say whether `root` has the processed layout."""
    return any(_has_take(child) for child in root.iterdir())


def unreadable_folders(root: Place) -> list[str]:
    """What stands in the way of telling what is in the folders of `root`, in words."""
    problems = []
    for child in in_order(root.iterdir()):
        try:
            (child / _VIDEOS).is_dir()
        except OSError as error:
            problems.append(_unreadable(child, error))
    return problems


def read_processed(root: Place, wanted: frozenset[str]) -> Inventory:
    """List the takes of a processed layout.

    Args:
        root: The folder that holds the takes' folders.
        wanted: Uids of the takes to list; empty lists all.
    """
    inventory = Inventory("processed", synthetic=(root / MARKER).is_file())
    for folder in in_order(root.iterdir()):
        source = folder / processed.ANNOTATION_FILE
        cameras: dict[str, Camera] = {}
        try:
            if not source.is_file():
                continue
            if isinstance(source, Path):
                source.open("rb").close()
            problem = None
        except OSError as error:
            problem = _unreadable(error.filename or source, error)
        inventory.names.add(folder.name)
        if wanted and folder.name not in wanted:
            continue
        if problem is not None:
            inventory.takes.append(FoundTake(folder.name, folder.name, None, {}, (problem,), dict, str))
            continue
        inventory.sources.append(source)
        try:
            annotated = dict.fromkeys(camera for _, camera in processed.read_tracks(folder))
            cameras = _processed_cameras(folder, list(annotated))
            problems = check_views(cameras, EGO_RULE)
        except OSError as error:
            problems = [_unreadable(folder, error)]
        except DataError as error:
            problems = [str(error)]
        inventory.takes.append(
            FoundTake(
                folder.name,
                folder.name,
                None,
                cameras,
                tuple(problems),
                partial(processed.read_tracks, folder) if cameras else dict,
                partial(processed.digest, folder),
            )
        )
    return inventory


def read_processed_by_relations(root: Place, annotations: Place, wanted: frozenset[str]) -> Inventory:
    """List the takes of a processed layout that a relations file names, with its masks and annotated frames.

    Args:
        root: The folder that holds the takes' folders, which are named by uid.
        annotations: The relations file.
        wanted: Names and uids of the takes to list; empty lists all.

    Raises:
        DataError: The file is broken.
    """
    relations = RelationsFile(annotations)
    on_disk = {child.name: child for child in root.iterdir() if child.is_dir()}
    inventory = Inventory("processed", sources=[annotations], synthetic=(root / MARKER).is_file())
    for uid in [*relations.heads, *relations.unreadable]:
        head = relations.heads.get(uid, TakeHead())
        name = head.take_name or uid
        inventory.names |= {uid, name}
        if wanted and wanted.isdisjoint((uid, name)):
            continue
        if uid in relations.unreadable:
            inventory.takes.append(FoundTake(uid, name, None, {}, (relations.unreadable[uid],), dict, str))
        elif uid not in on_disk:
            inventory.missing.append(name)
        else:
            try:
                cameras = _processed_cameras(on_disk[uid], head.cameras)
            except OSError as error:
                problem = _unreadable(on_disk[uid], error)
                inventory.takes.append(FoundTake(uid, name, head.scenario, {}, (problem,), dict, str))
                continue
            problems = tuple(check_views(cameras, EGO_RULE))
            tracks, digest = partial(relations.tracks, uid), partial(relations.digest, uid)
            inventory.takes.append(FoundTake(uid, name, head.scenario, cameras, problems, tracks, digest))
    if not wanted:
        named = relations.heads.keys() | relations.unreadable.keys()
        inventory.unnamed = sorted(uid for uid, folder in on_disk.items() if uid not in named and _has_take(folder))
    relations.keep(take.uid for take in inventory.takes)
    return inventory


def _has_take(folder: Place) -> bool:
    return is_there(folder / processed.ANNOTATION_FILE, lambda path: path.is_file())


def relations_files(root: Place) -> list[Place]:
    """Give the relations files that a data set's folder holds."""
    candidates = (root / "annotations" / f"relations_{split}.json" for split in _SPLITS)
    return [path for path in candidates if path.is_file()]


def take_records(path: Place) -> dict[str, TakeRecord]:
    """Read takes.json, by uid; nothing where there is no such file.

    Raises:
        DataError: The file is broken.
    """
    if not path.is_file():
        return {}
    return {record.take_uid: record for record in decode_file(path, list[TakeRecord])}


def camera_videos(folder: Place, video: Video) -> dict[str, Place]:
    """Give the video of each camera in a take's folder, without compilations and Aria's other streams."""
    return {name: path for name, path in _videos(folder, video).items() if not _NOT_CAMERAS.fullmatch(name)}


def _videos(folder: Place, video: Video) -> dict[str, Place]:
    videos: dict[str, Place] = {}
    for place in _video_folders(folder, video):  # later ones win: the small videos are quicker to decode
        if place.is_dir():
            videos |= {path.stem: path for path in in_order(place.glob("*.mp4")) if path.is_file()}
    return videos


def _video_folders(folder: Place, video: Video) -> list[Place]:
    full = folder / _VIDEOS
    small = full / DOWNSCALED
    return {"auto": [full, small], "full": [full], "448": [small]}[video]


def _release_cameras(folder: Place, annotated: list[str], video: Video, rate: Fraction) -> dict[str, Camera]:
    if isinstance(folder, RemotePath):
        folder.list_below()
    videos = _videos(folder, video)
    others = [name for name in videos if name not in annotated and not _NOT_CAMERAS.fullmatch(name)]
    places = " or ".join("/".join(place.parts[len(folder.parts) :]) for place in _video_folders(folder, video))
    left_out = _videos(folder, "448") if video == "full" else {}
    return {
        name: _camera(
            name,
            videos.get(name),
            f"there is no {show(f'{name}.mp4')} in {places}" + (_ONLY_SMALL if name in left_out else ""),
            rate,
        )
        for name in [*annotated, *others]
    }


def _processed_cameras(folder: Place, annotated: list[str]) -> dict[str, Camera]:
    on_disk = processed.camera_folders(folder)
    others = [name for name in on_disk if name not in annotated]
    return {
        name: _camera(name, folder / name if name in on_disk else None, "there is no folder of frames of that name")
        for name in [*annotated, *others]
    }


def _camera(name: str, source: Place | None, missing: str, rate: Fraction = USUAL_RATE) -> Camera:
    if source is not None:
        return Camera(name, view_by_name(name), source, frame_rate=rate)
    return Camera(name, view_by_name(name), None, path_component_problem(name) or missing, rate)
