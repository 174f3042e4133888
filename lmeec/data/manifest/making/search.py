"""Videos and masks in a folder, as takes and cameras: by how folders and files are called."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lmeec.errors import DataError
from lmeec.files.names import path_component_problem
from lmeec.files.places import in_order, naming_unreadable
from lmeec.files.remote.place import RemotePath

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lmeec.files.places import Place

_VIDEOS = frozenset({".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mts", ".mpg"})
_DEEPEST = 6
_MOST = 10**6
_EGO = re.compile(r"(?i)(?:^|[^a-z])(?:ego|head|fpv|pov|first|aria|glasses|helmet|hmd|wearer|chest)")
_EXO = re.compile(
    r"(?i)(?:^|[^a-z])(?:exo|side|static|third|gp|gopro|cam|tripod|wall|ceiling|left|right|front|back|top)"
)
_LAST_PART = re.compile(r"(.+)[_\-. ]+([^_\-. ]+)")

Grouping = Literal["folders", "cameras", "names"]


@dataclass(frozen=True, slots=True)
class Found:
    """A file, or a folder of PNG files.

    Attributes:
        place: it.
        parts: its way from the folder that was searched, without its suffix.
    """

    place: Place
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """A video that is a camera of a take.

    Attributes:
        take: name of the take.
        name: name of the camera.
        video: the video.
        folder: the take's own folder; None where it has none.
    """

    take: str
    name: str
    video: Found
    folder: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Contents:
    """What a folder holds.

    Attributes:
        videos: videos.
        masks: files and folders that may hold masks.
        left_out: what has a name that cannot be one of a take or camera.
    """

    videos: Sequence[Found]
    masks: Sequence[Found]
    left_out: Sequence[str]


def look_through(folder: Place) -> Contents:
    """Find videos, JSON files and folders of PNG files.

    Raises:
        DataError: the folder cannot be read, or holds more than a million files.
    """
    videos: list[Found] = []
    masks: list[Found] = []
    left_out: list[str] = []
    with naming_unreadable(folder):
        if isinstance(folder, RemotePath):
            folder.list_below()
        for place, above in _walk(folder, ()):
            parts = (*above, place.stem)
            kind = place.suffix.lower()
            if kind in _VIDEOS:
                if any(path_component_problem(part) for part in parts):
                    left_out.append(str(place))
                else:
                    videos.append(Found(place, parts))
            elif kind == ".json":
                masks.append(Found(place, parts))
            elif kind == ".png" and not any(one.parts == above for one in masks[-1:]):
                masks.append(Found(place.parent, above))
    return Contents(videos, masks, left_out)


def _walk(folder: Place, above: tuple[str, ...]) -> Iterator[tuple[Place, tuple[str, ...]]]:
    waiting = [(folder, above)]
    seen = 0
    while waiting:
        place, parts = waiting.pop()
        below = []
        for child in in_order(place.iterdir()):
            seen += 1
            if seen > _MOST:
                raise DataError(f"{folder}: holds more than {_MOST:,} files; name a folder below it")
            if child.name.startswith("."):
                continue
            if child.is_dir():
                below.append((child, (*parts, child.name)))
            elif child.is_file():
                yield child, parts
        if len(parts) < _DEEPEST:
            waiting.extend(reversed(below))


def grouped(videos: Sequence[Found], folder_name: str) -> tuple[list[FoundCamera], Grouping]:
    """Videos as cameras of takes.

    A folder with several videos is a take; or folders are cameras, where they are called as one is and hold videos of
    the same names; or videos of one folder are called TAKE_CAMERA.

    Args:
        videos: the videos.
        folder_name: name of the take whose videos are in no folder below the one that was searched.
    """
    by_folder: dict[tuple[str, ...], list[Found]] = defaultdict(list)
    for video in videos:
        by_folder[video.parts[:-1]].append(video)
    if _are_cameras(by_folder):
        return [FoundCamera(_joined(*one.parts[:-2], one.parts[-1]), one.parts[-2], one) for one in videos], "cameras"
    split = [_LAST_PART.fullmatch(video.parts[-1]) for video in videos]
    if len(by_folder) == 1 and len(videos) > 2 and all(split):
        names = [(found[1], found[2]) for found in split if found]
        takes, cameras = Counter(take for take, _ in names), Counter(camera for _, camera in names)
        if min(takes.values()) > 1 and min(cameras.values()) > 1:
            return [FoundCamera(*name, video) for name, video in zip(names, videos, strict=True)], "names"
    return [
        FoundCamera(_joined(*one.parts[:-1]) or folder_name, one.parts[-1], one, one.parts[:-1]) for one in videos
    ], "folders"


def _joined(*parts: str) -> str:
    return " ".join(parts)


def _are_cameras(by_folder: dict[tuple[str, ...], list[Found]]) -> bool:
    """Whether folders are called as cameras are and the videos in them are not."""
    if len(by_folder) < 2 or () in by_folder or len({parts[:-1] for parts in by_folder}) > 1:
        return False
    stems = [{video.parts[-1] for video in found} for found in by_folder.values()]
    called = any(_EGO.search(parts[-1]) for parts in by_folder)
    others = any(_EGO.search(stem) or _EXO.search(stem) for found in stems for stem in found)
    return called and not others and bool(set.intersection(*stems))


def is_called_ego(camera: str) -> bool:
    """Whether a camera is called as one is that a person wears.

    Example:
        >>> is_called_ego("GoPro_head"), is_called_ego("side")
        (True, False)
    """
    return _EGO.search(camera) is not None


def camera_of(masks: Found, cameras: Sequence[FoundCamera]) -> FoundCamera | None:
    """The camera whose masks a file or folder has, by the names on its way; None if there is none, or several.

    Args:
        masks: the file or folder.
        cameras: all cameras.
    """
    words = _words(masks)
    by_video = [one for one in cameras if one.folder is None and _is_among(one.video.parts[-1], words, but=one.take)]
    found = by_video or [one for one in cameras if one.name.casefold() in words and _is_of(masks, one, words)]
    return found[0] if len(found) == 1 else None


def take_of(masks: Found, cameras: Sequence[FoundCamera]) -> str | None:
    """The take that a file or folder belongs to, by where it is; None if that does not tell."""
    words = _words(masks)
    takes = {camera.take for camera in cameras if _is_of(masks, camera, words)}
    return takes.pop() if len(takes) == 1 else None


def _is_among(name: str, words: set[str], *, but: str) -> bool:
    return name != but and name.casefold() in words


def _is_of(masks: Found, camera: FoundCamera, words: set[str]) -> bool:
    folder = camera.folder
    if folder is not None and (masks.parts[: len(folder)] == folder or (folder and folder[-1].casefold() in words)):
        return True
    return camera.take.casefold() in words


def _words(masks: Found) -> set[str]:
    """What a file and the folders above it are called, without what says that they are of masks."""
    return {_without_ending(part).casefold() for part in masks.parts} | {part.casefold() for part in masks.parts}


def _without_ending(part: str) -> str:
    """A name without what says that it is one of masks."""
    return re.sub(r"(?i)[_\-. ]*(?:masks?|coco|annotations?|instances|labels?)$", "", part) or part
