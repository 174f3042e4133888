"""Ground truth to score imported predictions against: a relations file, or the benchmark's processed file.

The processed file, as ego-exo4d-relation's evaluation reads it::

    {"annotations": {take_uid: {"masks": {object: {camera: {frame: {"size": [height, width], "counts": COCO counts}}}},
        "annotated_frames": {object: {camera: [frame, ...]}}}}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from lmeec.data.relations import FrameNumber, RelationsFile
from lmeec.data.tracks import EncodedMask, MaskTrack, as_written
from lmeec.errors import DataError
from lmeec.files.json import decode_file, decode_part
from lmeec.files.names import show

if TYPE_CHECKING:
    from lmeec.files.places import Place


_Annotated = dict[str, dict[str, list[FrameNumber]]]


class _Any(msgspec.Struct):
    pass


class _Head(msgspec.Struct):
    masks: _Any | None = None
    object_masks: _Any | None = None


class _Document(msgspec.Struct):
    annotations: dict[str, msgspec.Raw]


class _Mask(msgspec.Struct, gc=False):
    size: tuple[int, int]
    counts: str


class _Take(msgspec.Struct):
    masks: dict[str, dict[str, dict[FrameNumber, _Mask | None]]]
    annotated_frames: _Annotated | None = None


@dataclass(frozen=True, slots=True)
class TakeTruth:
    """The annotations of a take.

    Attributes:
        uid: its uid.
        name: its name; the uid where the file has no names.
        scenario: the activity, if the file has it.
        tracks: (object, camera) to the object's masks in the camera.
    """

    uid: str
    name: str
    scenario: str | None
    tracks: Mapping[tuple[str, str], MaskTrack]

    @property
    def cameras(self) -> list[str]:
        """Names of the annotated cameras."""
        return list(dict.fromkeys(camera for _, camera in self.tracks))


class TruthFile:
    """A file of either form, of which takes are decoded as they are asked for.

    Args:
        path: the file.

    Attributes:
        path: the file.
        uids: uids of its takes, in the file's order.

    Raises:
        DataError: the file cannot be read, is broken JSON (with line and column) or of neither form.
    """

    def __init__(self, path: Place) -> None:
        self.path = path
        self._raw = decode_file(path, _Document).annotations
        self._relations: RelationsFile | None = None
        heads = {uid: decode_part(raw, _Head, path, f"take {show(uid)}") for uid, raw in self._raw.items()}
        if not heads:
            raise DataError(f"{path}: holds no takes")
        if all(head.object_masks is not None for head in heads.values()):
            self._relations = RelationsFile(path)
            for reason in self._relations.unreadable.values():
                raise DataError(reason)
        elif any(head.masks is None for head in heads.values()):
            uid = next(uid for uid, head in heads.items() if head.masks is None)
            raise DataError(
                f"{path}: take {show(uid)} has neither 'object_masks', as in a relations file, nor 'masks', as in the "
                "benchmark's processed ground truth"
            )
        self.uids = tuple(heads)

    def take(self, uid: str) -> TakeTruth:
        """Decode a take's annotations; masks stay encoded.

        Raises:
            DataError: they do not have the expected fields and types.
        """
        if self._relations is not None:
            head, tracks = self._relations.heads[uid], self._relations.tracks(uid)
            return TakeTruth(uid, head.take_name or uid, head.scenario, tracks)
        take = decode_part(self._raw[uid], _Take, self.path, f"take {show(uid)}")
        tracks = {
            (name, camera): self._track(uid, name, camera, take.annotated_frames, masks)
            for name, cameras in take.masks.items()
            for camera, masks in cameras.items()
        }
        return TakeTruth(uid, uid, None, tracks)

    def _track(
        self, uid: str, name: str, camera: str, annotated: _Annotated | None, masks: Mapping[int, _Mask | None]
    ) -> MaskTrack:
        encoded = {
            frame: EncodedMask(*mask.size, mask.counts) for frame, mask in sorted(masks.items()) if mask is not None
        }
        return MaskTrack(
            object=name,
            camera=camera,
            annotated_frames=None if annotated is None else tuple(sorted(set(annotated.get(name, {}).get(camera, ())))),
            encoded=encoded,
            take=uid,
            source=self.path,
            read_counts=as_written,
            null_frames=frozenset(masks.keys() - encoded.keys()),
        )
