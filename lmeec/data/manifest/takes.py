"""Takes of a manifest: their cameras, and their masks as they are asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lmeec.data.layouts import FoundTake, Inventory
from lmeec.data.manifest.masks import MasksAt, by_object, digest_of
from lmeec.data.manifest.numbering import Numbering
from lmeec.data.manifest.reading import read_document
from lmeec.data.relations import RelationsFile
from lmeec.data.take import Camera, check_views
from lmeec.errors import DataError
from lmeec.files.places import Place, is_url, look_up, place
from lmeec.files.reading import named
from lmeec.files.remote.place import RemotePath
from lmeec.files.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lmeec.data.manifest.document import CameraEntry, TakeEntry
    from lmeec.data.manifest.reading import Keys, Manifest
    from lmeec.data.tracks import MaskTrack

_FINEST_RATE = 10**5
_FINEST_OFFSET = 10**6
"""Denominators: a millionth of a second is a thirtieth of a frame of a camera of thirty thousand frames a second."""


def read_manifest(path: Place, wanted: frozenset[str], every: int) -> Inventory:
    """List the takes of a manifest.

    Args:
        path: the manifest.
        wanted: names and uids of the takes to list; empty lists all.
        every: only masks at frames that are multiples of it.

    Raises:
        DataError: the manifest cannot be read, or says something that it may not.
    """
    takes = _Takes(read_document(path), every)
    document = takes.manifest.document
    inventory = Inventory("manifest", sources=[path], digest=takes.digest)
    chosen = []
    for number, take in enumerate(document.takes):
        inventory.names |= {take.name, take.identifier}
        if not wanted or not wanted.isdisjoint((take.name, take.identifier)):
            chosen.append(takes.take(number))
    look_up(source for take in chosen for source in take.sources)
    inventory.takes = [take.found() for take in chosen]
    return inventory


class _Takes:
    """The takes of a manifest, which share folders and files of masks.

    Args:
        manifest: the manifest.
        every: only masks at frames that are multiples of it.
    """

    def __init__(self, manifest: Manifest, every: int) -> None:
        self.manifest, self.every = manifest, every
        self._folder = manifest.path.parent
        self._cache = self._folder.cache if isinstance(self._folder, RemotePath) else None
        if manifest.document.root is not None:
            self._folder = self._below(self._folder, manifest.document.root, ("root",))
        self.open_relations = cache(RelationsFile)
        self.digest_once = cache(lambda place, pictures: digest_of(place, pictures=pictures))

    def take(self, number: int) -> _TakeAt:
        """A take, by its place in the manifest."""
        take = self.manifest.document.takes[number]
        root = self._folder
        if take.root is not None:
            root = self._below(root, take.root, ("takes", number, "root"))
        return _TakeAt(self, number, take, root)

    def digest(self) -> str:
        """SHA-256 of the takes and their masks, wherever the folder is."""
        digest = hashlib.sha256()
        for number in range(len(self.manifest.document.takes)):
            digest.update(self.take(number).digest().encode())
        return digest.hexdigest()

    def at(self, root: Place, path: str) -> Place:
        """What a path below a folder, or a URL, names."""
        return place(path, self._cache) if is_url(path) else root / path

    def _below(self, folder: Place, root: str, keys: Keys) -> Place:
        """A folder that paths are relative to; a manifest from elsewhere names none of this machine.

        Raises:
            DataError: it does.
        """
        if is_url(root):
            return place(root, self._cache)
        local = Path(root).expanduser()
        if isinstance(folder, Path):
            return folder / local
        if local.is_absolute():
            raise self.manifest.mistake(keys, "is a folder of this machine, and the manifest is from elsewhere")
        return folder / root


@dataclass(frozen=True)
class _TakeAt:
    """A take of a manifest, with the folder that its paths are relative to."""

    takes: _Takes
    number: int
    entry: TakeEntry
    root: Place

    @property
    def sources(self) -> list[Place]:
        """The videos."""
        return [self.takes.at(self.root, camera.video) for camera in self.entry.cameras]

    def found(self) -> FoundTake:
        """What is there of it."""
        cameras = {
            camera.name: self._camera(which, camera, source)
            for which, (camera, source) in enumerate(zip(self.entry.cameras, self.sources, strict=True))
        }
        return FoundTake(
            self.entry.identifier,
            self.entry.name,
            self.entry.scenario,
            cameras,
            tuple(check_views(cameras, "as `view` says in the manifest")),
            self._tracks,
            self.digest,
        )

    def digest(self) -> str:
        """SHA-256 of what the manifest says of the take, without credentials, and of its masks."""
        said = msgspec.json.encode(self.entry.model_dump(exclude_defaults=True))
        digest = hashlib.sha256(without_secrets(said.decode()).encode())
        for camera in range(len(self.entry.cameras)):
            for masks in self._masks(camera):
                digest.update(self.takes.digest_once(masks.path, masks.spec.are_pictures).encode())
        return digest.hexdigest()

    def _camera(self, number: int, camera: CameraEntry, source: Place) -> Camera:
        problem = _problem_of(source)
        if problem is not None:
            keys: Keys = ("takes", self.number, "cameras", number, "video")
            problem = str(self.takes.manifest.mistake(keys, problem))
        return Camera(
            camera.name,
            camera.view,
            source,
            problem,
            frame_rate=_rate(self.entry.frame_rate),
            offset=_offset(self.entry, camera),
            own_rate=None if camera.frame_rate is None else _rate(camera.frame_rate),
            upright=True,
            masks_count_own=any(masks.counts_own_frames for masks in camera.masks),
        )

    def _tracks(self) -> Mapping[tuple[str, str], MaskTrack]:
        return by_object(self._each_track(), f"take {self.entry.name!r}")

    def _each_track(self) -> Iterator[MaskTrack]:
        rate = _rate(self.entry.frame_rate)
        for number, camera in enumerate(self.entry.cameras):
            own = rate if camera.frame_rate is None else _rate(camera.frame_rate)
            numbering = Numbering(start=_offset(self.entry, camera) * rate, step=own / rate, every=self.takes.every)
            for masks in self._masks(number):
                yield from masks.tracks(numbering, self.takes.open_relations)

    def _masks(self, number: int) -> Iterator[MasksAt]:
        camera = self.entry.cameras[number]
        for which, spec in enumerate(camera.masks):
            keys: Keys = ("takes", self.number, "cameras", number, "masks", which, spec.kind)
            mistake = partial(self.takes.manifest.mistake, keys)
            path = self.takes.at(self.root, spec.path)
            yield MasksAt(spec, path, self.entry.identifier, self.entry.name, camera.name, mistake)


def _problem_of(source: Place) -> str | None:
    """Why a video, or folder of frames, cannot be opened, as far as that can be told from outside."""
    try:
        return None if source.is_file() or source.is_dir() else f"there is no file {named(source)}"
    except (OSError, ValueError) as error:
        return f"{named(source)} cannot be read: {getattr(error, 'strerror', None) or error}"
    except DataError as error:
        return str(error)


def _rate(given: float) -> Fraction:
    return Fraction(given).limit_denominator(_FINEST_RATE)


def _offset(take: TakeEntry, camera: CameraEntry) -> Fraction:
    """Seconds."""
    if camera.offset_frames is not None:
        return camera.offset_frames / _rate(take.frame_rate)
    return Fraction(camera.offset_seconds or 0).limit_denominator(_FINEST_OFFSET)
