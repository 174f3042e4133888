"""The masks of a camera, wherever its manifest says they are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from lmeec.data.manifest.coco import FoundMasks, read_coco, read_counts
from lmeec.data.manifest.document import CocoMasks, PngMasks, ResultsMasks
from lmeec.data.manifest.png import PngCounts, png_files, read_png
from lmeec.data.tracks import EncodedMask, MaskTrack, as_written
from lmeec.errors import DataError, OutputError
from lmeec.files.names import first_few, show
from lmeec.files.places import local_file, naming_unreadable
from lmeec.files.reading import check_regular
from lmeec.tables.takes import scan_takes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lmeec.data.manifest.document import Masks, RelationsMasks
    from lmeec.data.manifest.numbering import Numbering
    from lmeec.data.relations import RelationsFile
    from lmeec.files.places import Place

_VISIBLE = 0.5  # confidence over which an object is held to be visible
_COLUMNS = ("take_name", "object", "query_cam", "frame", "height", "width", "mask_rle", "area", "confidence")


@dataclass(frozen=True, slots=True)
class MasksAt:
    """Where masks of a camera are.

    Attributes:
        spec: what the manifest says.
        path: the file or folder that it names.
        uid: the take's unique identifier.
        take: the take's name.
        camera: the camera's name.
        mistake: makes the error of something that is wrong with them, which says where the manifest names them.
    """

    spec: Masks
    path: Place
    uid: str
    take: str
    camera: str
    mistake: Callable[[str, Sequence[str]], DataError]

    def tracks(self, numbering: Numbering, open_relations: Callable[[Place], RelationsFile]) -> Iterator[MaskTrack]:
        """The mask tracks, one an object.

        Args:
            numbering: how files number the camera's own frames. Tables and relations files have the take's.
            open_relations: reads a relations file, which takes of a manifest share.

        Raises:
            DataError: they cannot be read.
        """
        try:
            yield from self._tracks(numbering, open_relations)
        except DataError as error:
            raise self.mistake(str(error), error.settings) from error

    def _tracks(self, numbering: Numbering, open_relations: Callable[[Place], RelationsFile]) -> Iterator[MaskTrack]:
        spec = self.spec
        if isinstance(spec, CocoMasks):
            found = read_coco(self.path, spec.images, replace(numbering, first=spec.first_frame))
            yield from self._of(self._matching(found, numbering.every), read_counts)
        elif isinstance(spec, PngMasks):
            found = read_png(self.path, spec.object, spec.by_index, replace(numbering, first=spec.first_frame))
            yield from self._of(self._matching(found, numbering.every), PngCounts(self.path))
        elif isinstance(spec, ResultsMasks):
            yield from self._of(self._predicted(spec), as_written)
        else:
            yield from self._annotated(spec, open_relations(self.path))

    def _matching(self, found: FoundMasks, every: int) -> FoundMasks:
        """Masks of which some are at frames that are asked for.

        Raises:
            DataError: none is.
        """
        if found.looked_at:
            return found
        if every == 1 or found.between:
            raise DataError(
                f"{self.path}: its masks or pictures are all of frames that the take does not count, before its start "
                "or between its frames: correct `first_frame`, the offset or the `frame_rate`"
            )
        raise DataError(
            f"{self.path}: has nothing at frames that are asked for, which are multiples of {every}: take others with "
            "`every`",
            settings=["every"],
        )

    def _of(self, found: FoundMasks, counts: Callable[[str], str]) -> Iterator[MaskTrack]:
        for name, masks in found.masks.items():
            yield MaskTrack(
                object=name,
                camera=self.camera,
                annotated_frames=tuple(sorted(found.looked_at)),
                encoded=dict(sorted(masks.items())),
                take=self.take,
                source=self.path,
                read_counts=counts,
                between=found.between,
            )

    def _predicted(self, spec: ResultsMasks) -> FoundMasks:
        """What was predicted in the camera: visible where the run held it to be."""
        wanted = spec.take or self.uid
        keep = (pc.field("take_uid") == wanted) | (pc.field("take_name") == wanted)
        keep &= pc.field("target_cam") == (spec.camera or self.camera)
        if spec.query is not None:
            keep &= pc.field("query_cam") == spec.query
        found = FoundMasks(set(), {})
        queries: set[str] = set()
        try:
            with naming_unreadable(self.path), local_file(self.path) as table:
                for _, _, rows in scan_takes(table, (*_COLUMNS, "target_cam"), keep):
                    columns = (rows[name].to_pylist() for name in _COLUMNS[1:])
                    for name, query, frame, height, width, counts, area, confidence in zip(*columns, strict=True):
                        queries.add(query)
                        found.looked_at.add(frame)
                        if area and confidence > _VISIBLE:
                            found.masks.setdefault(name, {})[frame] = EncodedMask(height, width, counts)
        except OutputError as error:
            raise DataError(str(error)) from error
        what = f"take {show(wanted)} with target camera {show(spec.camera or self.camera)}"
        if not queries:
            raise DataError(f"{self.path}: has no row of {what}; say which with `take`, `camera` and `query`")
        if len(queries) > 1:
            raise DataError(
                f"{self.path}: has predictions of {what} from {first_few(sorted(queries))}: choose one with `query`"
            )
        return found

    def _annotated(self, spec: RelationsMasks, file: RelationsFile) -> Iterator[MaskTrack]:
        wanted = spec.take or self.uid
        names = (spec.take, self.uid, self.take) if spec.take is None else (spec.take,)
        uids = [uid for uid, head in file.heads.items() if uid in names or head.take_name in names]
        if len(uids) != 1:
            reasons = [reason for uid, reason in file.unreadable.items() if uid in names]
            how_many = "two takes" if uids else "no take"
            otherwise = f"{self.path}: has {how_many} {show(wanted)}; name its uid with `take`"
            raise DataError(reasons[0] if reasons else otherwise)
        camera = spec.camera or self.camera
        tracks = [track for (_, name), track in file.tracks(uids[0]).items() if name == camera]
        if not tracks:
            raise DataError(f"{self.path}: take {show(wanted)} has no masks in {show(camera)}; name the `camera`")
        for track in tracks:
            yield replace(track, camera=self.camera, take=self.take)


def digest_of(path: Place, *, pictures: bool) -> str:
    """SHA-256 over a file, or over names and contents of a folder's pictures; of what is not there, over nothing."""
    digest = hashlib.sha256()
    try:
        for file in png_files(path) if pictures else [path]:
            check_regular(file, DataError)  # a pipe or device has no end
            with local_file(file) as local, local.open("rb") as data:
                digest.update(f"{file.name if pictures else ''}\0".encode(errors="surrogateescape"))
                digest.update(hashlib.file_digest(data, "sha256").digest())
    except (OSError, DataError):  # reading the masks says why
        return ""
    return digest.hexdigest()


def by_object(tracks: Iterator[MaskTrack], where: str) -> Mapping[tuple[str, str], MaskTrack]:
    """Tracks by object and camera.

    Raises:
        DataError: two are of the same object and camera.
    """
    found: dict[tuple[str, str], MaskTrack] = {}
    for track in tracks:
        key = (track.object, track.camera)
        if key in found:
            raise DataError(
                f"{where}: camera {show(track.camera)} has masks of {show(track.object)} in both {found[key].source} "
                f"and {track.source}: leave one out, or call the object otherwise"
            )
        found[key] = track
    return found
