"""Find the takes of a data set on disk, in whichever layout it is.

Release layout, as the `egoexo` downloader leaves it::

    takes.json                                                          (may be absent)
    annotations/relations_{train,val,test}.json
    takes/<take_name>/frame_aligned_videos/<camera>.mp4
    takes/<take_name>/frame_aligned_videos/downscaled/448/<camera>.mp4  (if downloaded)

Processed layout, as the ego-exo4d-relation benchmark extracts it::

    <take_uid>/annotation.json
    <take_uid>/<camera>/<frame>.jpg

Manifest, for recordings of one's own: a file that names takes, cameras and masks (`lmeec.data.manifest.document`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lmeec.data.layouts import (
    FoundTake,
    Inventory,
    Layout,
    is_processed,
    read_processed,
    read_processed_by_relations,
    read_release,
    release_takes_folder,
    unreadable_folders,
)
from lmeec.data.manifest.reading import is_manifest
from lmeec.data.manifest.takes import read_manifest
from lmeec.data.take import Camera, Take
from lmeec.errors import DataError, require
from lmeec.files.names import and_nearest, first_few, show
from lmeec.files.places import Place, is_folder, look_up, naming_unreadable, place
from lmeec.tables.metadata import digest_of_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lmeec.config import Video
    from lmeec.data.tracks import MaskTrack
    from lmeec.files.remote.cache import FileCache

__all__ = ["Camera", "Missing", "Take", "TakeSet", "find_takes"]


@dataclass(frozen=True, slots=True)
class Missing:
    """What annotations name and the disk does not hold.

    Attributes:
        takes: Names of takes.
        cameras: (take, camera) of cameras without a source, in takes that are there.
    """

    takes: tuple[str, ...] = ()
    cameras: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TakeSet:
    """The takes of a data set; iterating reads the annotations of one take at a time.

    Attributes:
        root: The folder that was searched.
        layout: How it is laid out.
        annotations: The annotation files.
        missing: What annotations name and the disk does not hold.
        warnings: What the user should know, in words.
        synthetic: Whether the takes are known to be drawn (`lmeec synth`).
        every: Only masks at frames that are multiples of it are there.

    Example:
        >>> for take in find_takes("egoexo4d"):
        ...     print(take.name, take.objects, list(take.cameras))
        synth_playroom_3_0000 ('pink tape roll_0', 'green bowl_0', 'pink tape roll_1') ['aria01_214-1', 'gp01', 'gp02']
        synth_playroom_3_0001 ('grey teapot_0', 'grey mug_0', 'grey teapot_1') ['aria01_214-1', 'gp01', 'gp02']
    """

    root: Place
    layout: Layout
    annotations: tuple[Place, ...]
    missing: Missing
    warnings: tuple[str, ...]
    synthetic: bool
    _found: tuple[FoundTake, ...] = field(repr=False)
    every: int = 1
    _digest: Callable[[], str] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Take]:
        for found in self._found:
            yield _read(found, self.every)

    @property
    def annotation_digest(self) -> str:
        """SHA-256 of all annotations, in hexadecimal, whichever takes were asked for."""
        return digest_of_files(self.annotations) if self._digest is None else self._digest()

    def __getitem__(self, index: int) -> Take:
        """Read the annotations of one take, by its place in the iteration."""
        return _read(self._found[index], self.every)


def find_takes(
    root: Place | str,
    *,
    annotations: Place | str | None = None,
    video: Video = "auto",
    names: Sequence[str] = (),
    every: int = 1,
    cache: FileCache | None = None,
) -> TakeSet:
    """Find takes, whichever layout they are in.

    Takes that cannot be used for what their annotations say (broken, or with a name that is no file name) are part
    of the result, with the reason in `Take.problems`; takes that are not on disk are only counted.

    Args:
        root: The data set's folder, or its `takes` folder, or a manifest of other recordings: a path, or a URL as
            `s3://bucket/egoexo4d`.
        annotations: A relations file, as a path or URL; None takes all of
            `annotations/relations_{train,val,test}.json`. In the processed layout it takes the place of the takes' own
            annotations, matched by take uid.
        video: "448" takes the videos of 448 pixels, "full" those of full size, "auto" the small ones where there
            are any.
        names: Names or uids of the takes to find; empty finds all.
        every: Only masks at frames that are multiples of it, where masks are dense.
        cache: Where whole files are kept that URLs name; None reads the parts of videos that are needed.

    Raises:
        ConfigError: `every` is not positive.
        DataError: No takes are there, a name is unknown, or an annotation file cannot be read.
    """
    require(every >= 1, "every", every, "1 or more")
    root = place(root, cache)
    annotations = None if annotations is None else place(annotations, cache)
    if is_manifest(root):
        inventory = _search_manifest(root, annotations, video, frozenset(names), every)
    else:
        inventory = _search_folder(root, annotations, video, frozenset(names))
    unknown = [name for name in names if name not in inventory.names]
    if unknown:
        raise DataError(
            f"{_places(inventory.sources) or root}: there is no take {and_nearest(unknown, inventory.names)}; "
            f"`lmeec takes` lists all"
        )
    if not inventory.takes:
        raise DataError(
            f"{root}: none of the {len(inventory.missing)} takes that {_places(inventory.sources)} names is on disk "
            f"({first_few(inventory.missing)}); download their videos or give another folder"
        )
    look_up(camera.source for take in inventory.takes for camera in take.cameras.values() if camera.source is not None)
    missing_cameras = [
        (take.name, camera.name) for take in inventory.takes for camera in take.cameras.values() if camera.problem
    ]
    return TakeSet(
        root=root,
        layout=inventory.layout,
        annotations=tuple(inventory.sources),
        missing=Missing(tuple(inventory.missing), tuple(missing_cameras)),
        warnings=tuple(_warnings(inventory, missing_cameras)),
        synthetic=inventory.synthetic,
        _found=tuple(sorted(inventory.takes, key=lambda take: (take.name, take.uid))),
        every=every,
        _digest=inventory.digest,
    )


def _search_manifest(
    path: Place, annotations: Place | None, video: Video, wanted: frozenset[str], every: int
) -> Inventory:
    if annotations is not None:
        raise DataError(
            f"{path}: is a manifest, which names the masks of its takes: go without `annotations`",
            settings=["annotations"],
        )
    if video == "448":
        raise DataError(
            f"{path}: is a manifest, which names the videos of its takes: go without `video`", settings=["video"]
        )
    return read_manifest(path, wanted, every)


def _search_folder(root: Place, annotations: Place | None, video: Video, wanted: frozenset[str]) -> Inventory:
    with naming_unreadable(root):
        if not is_folder(root):
            raise DataError(
                f"{root}: there is no such folder; give the folder of the data set, or a manifest, which ends in .yaml "
                "or .parquet, as `takes`",
                settings=["takes"],
            )
    if annotations is not None:
        with naming_unreadable(annotations):
            if not annotations.is_file():
                raise DataError(f"{annotations}: there is no such relations file")
    return _search(root, annotations, video, wanted)


def _search(root: Place, annotations: Place | None, video: Video, wanted: frozenset[str]) -> Inventory:
    with naming_unreadable(root):
        folder = release_takes_folder(root, annotations)
        if folder is not None:
            return read_release(folder, annotations, video, wanted)
        if is_processed(root):
            if annotations is not None:
                return read_processed_by_relations(root, annotations, wanted)
            return read_processed(root, wanted)
        unreadable = unreadable_folders(root)
    if unreadable:
        raise DataError(f"{root}: holds no takes that can be read: {first_few(unreadable)}")
    raise DataError(
        f"{root}: holds no takes. Looked for the release layout (annotations/relations_val.json or _train or _test, "
        "and takes/TAKE/frame_aligned_videos/CAMERA.mp4) and for the processed layout (TAKE/annotation.json and "
        "TAKE/CAMERA/FRAME.jpg)"
    )


def _read(found: FoundTake, every: int) -> Take:
    problems = list(found.problems)
    tracks: Mapping[tuple[str, str], MaskTrack] = {}
    try:
        tracks = {key: track.thinned(every) for key, track in found.read_tracks().items()}
    except DataError as error:
        problems.append(str(error))
    return Take(
        uid=found.uid,
        name=found.name,
        scenario=found.scenario,
        cameras=found.cameras,
        tracks=tracks,
        problems=tuple(problems),
        annotation_digest=found.digest(),
    )


def _warnings(inventory: Inventory, missing_cameras: list[tuple[str, str]]) -> Iterator[str]:
    if inventory.missing:
        total = len(inventory.missing) + len(inventory.takes)
        yield (
            f"{len(inventory.missing)} of {total} annotated takes are not on disk and are left out: "
            f"{first_few(inventory.missing)}"
        )
    if inventory.unnamed:
        yield (
            f"{len(inventory.unnamed)} takes on disk are not in {_places(inventory.sources)} and are left out: "
            f"{first_few(inventory.unnamed)}"
        )
    if missing_cameras:
        shown = first_few(f"{take}: {camera}" for take, camera in missing_cameras)
        yield f"{len(missing_cameras)} annotated cameras cannot be used, as they have no video: {shown}"
    for take in inventory.takes:
        egos = [camera.name for camera in take.cameras.values() if camera.is_ego]
        if len(egos) > 1:
            yield f"take {show(take.name)} has {len(egos)} ego cameras, each is used: {first_few(egos, len(egos))}"
        if not take.cameras:
            yield f"take {show(take.name)} cannot be used: {'; '.join(take.problems)}"


def _places(sources: Sequence[Place]) -> str:
    return " or ".join(str(source) for source in sources[:3])
