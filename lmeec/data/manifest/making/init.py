"""A manifest of what a folder holds, and what had to be assumed for it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmeec.data.layouts import is_processed, release_takes_folder
from lmeec.data.manifest.making.draft import CameraDraft, Draft, TakeDraft
from lmeec.data.manifest.making.kinds import NAMED_BY_FOLDER, UNNAMED, entries_of, is_masks_file
from lmeec.data.manifest.making.looked_at import Looks, look_at
from lmeec.data.manifest.making.search import (
    FoundCamera,
    Grouping,
    camera_of,
    grouped,
    is_called_ego,
    look_through,
    take_of,
)
from lmeec.errors import DataError
from lmeec.files.names import first_few, show
from lmeec.files.places import Place, is_folder, naming_unreadable
from lmeec.files.remote.place import RemotePath
from lmeec.video.instants import USUAL_RATE, same_rate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lmeec.data.manifest.making.search import Found

_GROUPED: dict[Grouping, str] = {
    "folders": "a folder with videos is a take, and its videos are its cameras",
    "cameras": "a folder with videos is a camera, and videos of the same name are a take",
    "names": "videos are called TAKE_CAMERA",
}


@dataclass(frozen=True)
class Made:
    """A draft, and what whoever uses it should look at.

    Attributes:
        draft: the manifest.
        assumed: what was assumed, in words.
        doubts: what does not fit, or cannot be used as it is, in words.
    """

    draft: Draft
    assumed: Sequence[str]
    doubts: Sequence[str]


def draft_of_folder(folder: Place, ego: Sequence[str] = (), *, beside: Path | None = None) -> Made:
    """Make a manifest of what a folder holds. Videos are opened, and none decoded.

    Args:
        folder: the folder.
        ego: names of the ego cameras; empty tells by how cameras are called.
        beside: the folder that the manifest will be in; None is the folder itself.

    Raises:
        DataError: it cannot be read, holds no video, or is Ego-Exo4D; or no camera is called as `ego` says.
    """
    with naming_unreadable(folder):
        if not is_folder(folder):
            raise DataError(f"{folder}: there is no such folder; give the folder of the recordings")
        if release_takes_folder(folder, None) is not None or is_processed(folder):
            raise DataError(
                f"{folder}: is Ego-Exo4D's layout, which needs no manifest: give the folder itself as TAKES"
            )
    contents = look_through(folder)
    if not contents.videos:
        raise DataError(f"{folder}: holds no video; give the folder of the recordings")
    cameras, grouping = grouped(contents.videos, folder.name or "take")
    unknown = set(ego) - {camera.name for camera in cameras}
    if unknown:
        raise DataError(
            f"{folder}: no camera is called {first_few(sorted(unknown))}; there are "
            f"{first_few(sorted({camera.name for camera in cameras}), 6)}",
            settings=["ego"],
        )
    maker = _Maker(folder, frozenset(ego), cameras)
    maker.doubts += [f"left out, as its name cannot be one of a take or camera: {one}" for one in contents.left_out]
    maker.find_masks(contents.masks)
    takes = [maker.take(name, of) for name, of in _by_take(cameras).items()]
    notes = ["Cameras of a take are assumed to begin at the same instant: `offset_seconds` says otherwise."]
    own = beside is None or (isinstance(folder, Path) and beside.resolve() == folder.resolve())
    root = None if own else str(folder) if isinstance(folder, RemotePath) else str(folder.resolve())
    return Made(Draft(root, takes, notes), [_GROUPED[grouping], *maker.assumed, notes[0]], maker.doubts)


def _by_take(cameras: Sequence[FoundCamera]) -> Mapping[str, list[FoundCamera]]:
    takes: dict[str, list[FoundCamera]] = defaultdict(list)
    for camera in cameras:
        takes[camera.take].append(camera)
    return takes


@dataclass
class _Maker:
    """Makes drafts of takes.

    Attributes:
        folder: what paths are relative to.
        ego: names of the ego cameras.
        cameras: all cameras.
        assumed: what was assumed.
        doubts: what does not fit.
    """

    folder: Place
    ego: frozenset[str]
    cameras: Sequence[FoundCamera]
    assumed: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    _masks: dict[tuple[str, str], list[Found]] = field(default_factory=lambda: defaultdict(list))

    def find_masks(self, masks: Sequence[Found]) -> None:
        """Say which camera each file or folder of masks belongs to; one that names none is of the only ego camera."""
        astray = []
        for found in masks:
            camera = camera_of(found, self.cameras) or self._only_ego(found)
            if camera is not None:
                self._masks[camera.take, camera.name].append(found)
            elif found.place.suffix.lower() != ".json" or is_masks_file(found.place):
                astray.append(str(found.place))
        if astray:
            self.doubts.append(
                f"{len(astray)} files or folders of masks belong to no camera by name: {first_few(astray)}"
            )

    def _only_ego(self, masks: Found) -> FoundCamera | None:
        take = take_of(masks, self.cameras)
        egos = [one for one in self.cameras if one.take == take and self._view_of(one.name)[0] == "ego"]
        if len(egos) != 1 or (masks.place.suffix.lower() == ".json" and not is_masks_file(masks.place)):
            return None
        self.assumed.append(f"{masks.place} is of {show(egos[0].name)}, as it names no camera")
        return egos[0]

    def _view_of(self, camera: str) -> tuple[Any, str]:
        if self.ego:
            return ("ego" if camera in self.ego else "exo"), ""
        return ("ego", "its name says so") if is_called_ego(camera) else ("exo", "its name does not say ego")

    def take(self, name: str, cameras: Sequence[FoundCamera]) -> TakeDraft:
        """The draft of one take."""
        looks = {camera.name: look_at(camera.video.place) for camera in cameras}
        drafts = [self._camera(camera, looks[camera.name]) for camera in cameras]
        self.doubts += self._doubts(name, drafts, looks)
        with_masks = [draft.name for draft in drafts if draft.masks]
        rates = [rate for one in (*with_masks, *looks) if (rate := looks[one].frame_rate) is not None]
        frame_rate = min(max(rates[0] if rates else float(USUAL_RATE), 0.1), 1000.0)
        return TakeDraft(name, frame_rate, [_with_own_rate(draft, looks[draft.name], frame_rate) for draft in drafts])

    def _camera(self, camera: FoundCamera, looks: Looks) -> CameraDraft:
        view, why = self._view_of(camera.name)
        masks: list[dict[str, Any]] = []
        assumed: list[str] = []
        for found in self._masks[camera.take, camera.name]:
            try:
                entries, said = entries_of(found.place, self._named(found.place), looks.frames)
            except DataError as error:
                if found.place.suffix.lower() != ".json" or is_masks_file(found.place):
                    self.doubts.append(f"left out: {error}")
                continue
            if "object" in entries[0] and found.parts[-1].casefold() not in self._common_words(camera):
                entries[0]["object"] = found.parts[-1]
                said = said.replace(UNNAMED, NAMED_BY_FOLDER)
            masks += entries
            assumed += [said] * bool(said)
        video = self._named(camera.video.place)
        return CameraDraft(camera.name, view, video, why, looks.words, masks, "; ".join(dict.fromkeys(assumed)))

    def _common_words(self, camera: FoundCamera) -> set[str]:
        """What a folder is called that is not called by an object."""
        own = {camera.name, camera.take, camera.video.parts[-1]}
        return {
            word.casefold()
            for one in own
            for word in (one, f"{one}_mask", f"{one}_masks", f"{one}-masks", f"{one} masks")
        } | {"mask", "masks", "labels", "annotations", "segmentation", "segmentations", "png"}

    def _named(self, place: Place) -> str:
        if isinstance(place, RemotePath) and isinstance(self.folder, RemotePath):
            return str(place.relative_to(self.folder))
        assert isinstance(place, Path)
        assert isinstance(self.folder, Path)
        return place.relative_to(self.folder).as_posix()

    def _doubts(self, name: str, drafts: Sequence[CameraDraft], looks: Mapping[str, Looks]) -> Iterator[str]:
        views = {draft.view for draft in drafts}
        cameras = first_few(draft.name for draft in drafts)
        if "ego" not in views:
            yield f"take {show(name)}: no camera is ego by its name ({cameras}): set the `view` of the one that is"
        elif "exo" not in views:
            yield f"take {show(name)}: every camera is ego by its name ({cameras}): set the `view` of the others"
        if not any(draft.masks for draft in drafts):
            yield f"take {show(name)}: no masks were found, and nothing is predicted without; name them as `masks`"
        for camera, one in looks.items():
            if one.frames is None:
                yield f"take {show(name)}, camera {show(camera)}: {one.words}"


def _with_own_rate(draft: CameraDraft, looks: Looks, rate: float) -> CameraDraft:
    """The draft of a camera whose masks are numbered by frames of another rate than the take's."""
    own = looks.frame_rate
    if not draft.masks or own is None or same_rate(Fraction(own), Fraction(rate)):
        return draft
    return replace(draft, frame_rate=own)
