"""The videos of takes in the release layout, whether or not anybody annotated masks in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from lmeec.data.layouts import (
    TakeRecord,
    camera_videos,
    is_processed,
    relations_files,
    release_takes_folder,
    take_records,
)
from lmeec.data.naming import view_by_name
from lmeec.data.relations import RelationsFile
from lmeec.errors import DataError
from lmeec.files.names import path_component_problem
from lmeec.files.places import Place, is_folder, naming_unreadable
from lmeec.files.remote.place import RemotePath
from lmeec.video.instants import USUAL_RATE

if TYPE_CHECKING:
    from lmeec.config import Video


@dataclass(frozen=True, slots=True)
class Recording:
    """The videos of one take. Can be pickled.

    Attributes:
        uid: The take's unique identifier in the data set.
        name: Its name.
        folder: Name of its folder, the same unless takes.json says otherwise.
        scenario: The activity, if it is known.
        videos: Camera to video file, sorted by camera.
        frame_rate: Frames a second that frame numbers of the take count.
        problem: Why its folder cannot be read; it has no videos then.
    """

    uid: str
    name: str
    folder: str
    scenario: str | None
    videos: Mapping[str, Place]
    frame_rate: Fraction = USUAL_RATE
    problem: str | None = None

    @property
    def ego(self) -> str | None:
        """The ego camera, the first by name if there are several; None if there is none."""
        return next((camera for camera in self.videos if view_by_name(camera) == "ego"), None)

    @property
    def exos(self) -> tuple[str, ...]:
        """The exo cameras, sorted."""
        return tuple(camera for camera in self.videos if view_by_name(camera) == "exo")


def takes_folder(root: Place) -> Place:
    """Give the folder of the takes: `root` itself or the one named `takes` in it, there or not.

    Beside it are takes.json and the folder `annotations`.

    Raises:
        DataError: There is no such folder, or it holds takes without videos.
    """
    with naming_unreadable(root):
        if not is_folder(root):
            raise DataError(
                f"{root}: there is no such folder; give the folder of the data set as `takes`", settings=["takes"]
            )
        folder = release_takes_folder(root, None)
        if folder is None and is_processed(root):
            raise DataError(
                f"{root}: holds takes as JPEG frames, one a second, of which no clips can be made; give the folder "
                "that the `egoexo` downloader filled"
            )
    return folder or root / "takes"


def find_recordings(folder: Place, uids: Collection[str], video: Video = "auto") -> dict[str, Recording]:
    """Find the videos of takes.

    A take's folder is known from takes.json; without that file from the relations files, or the folder is named by
    the uid.

    Args:
        folder: The folder of the takes, see `takes_folder`.
        uids: Uids of the takes to find.
        video: "448" takes the videos of 448 pixels, "full" those of full size, "auto" the small ones where there
            are any.

    Returns:
        Uid to recording, for the takes whose folder is on disk; they may lack videos.

    Raises:
        DataError: The folder cannot be read, or takes.json or a relations file is broken.
    """
    records = _records(folder.parent)
    try:
        if isinstance(folder, RemotePath):
            folder.list_below()
        on_disk = {child.name for child in folder.iterdir() if child.is_dir()} if folder.is_dir() else set()
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from error
    found = {}
    for uid in uids:
        record = records.get(uid, TakeRecord(uid))
        name = record.take_name or uid
        place = next((place for place in (record.folder_name, name) if place in on_disk), None)
        if place is None or path_component_problem(place) is not None:
            continue
        videos: dict[str, Place] = {}
        problem = None
        try:
            videos = dict(sorted(camera_videos(folder / place, video).items()))
        except OSError as error:
            problem = f"{folder / place}: cannot be read: {error.strerror or error}; give yourself the right to"
        found[uid] = Recording(uid, name, place, record.parent_task_name, videos, record.rate, problem)
    return found


def _records(root: Place) -> dict[str, TakeRecord]:
    if (root / "takes.json").is_file():
        return take_records(root / "takes.json")
    return {
        uid: TakeRecord(uid, head.take_name, parent_task_name=head.scenario)
        for path in relations_files(root)
        for uid, head in RelationsFile(path).heads.items()
    }
