"""Relations files of Ego-Exo4D (`annotations/relations_{train,val,test}.json`).

The format, as far as it is used here::

    {"annotations": {take_uid: {"take_name", "scenario", "object_masks": {object: {camera: {
        "annotation": {frame: {"width", "height", "encodedMask"}}, "annotated_frames": [frame, ...]}}}}}}

Files reach a gigabyte, most of it click data. The file is mapped into memory and one take is decoded at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import re
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from lmeec.data import lz
from lmeec.data.tracks import EncodedMask, MaskTrack
from lmeec.errors import DataError
from lmeec.files.json import decode_file, decode_part, decoder_of
from lmeec.files.names import show
from lmeec.files.places import local_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmeec.files.places import Place

T = TypeVar("T")

_ESCAPES = re.compile(
    rb"\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_REPLACEMENT = rb"\ufffd"

FrameNumber = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class _Document(msgspec.Struct):
    annotations: dict[str, msgspec.Raw]


class _Skipped(msgspec.Struct):
    pass


class TakeHead(msgspec.Struct):
    """What a relations file says of a take, without its masks.

    Attributes:
        take_name: The take's name, which is its folder's name too.
        scenario: The activity, e.g. "Cooking".
        object_masks: For each object the cameras that it was annotated in; the values hold nothing.
    """

    take_name: str | None = None
    scenario: str | None = None
    object_masks: dict[str, dict[str, _Skipped]] = {}

    @property
    def cameras(self) -> list[str]:
        """Names of the annotated cameras, in the file's order."""
        return list(dict.fromkeys(camera for cameras in self.object_masks.values() for camera in cameras))


class _Mask(msgspec.Struct, rename={"text": "encodedMask"}, gc=False):
    width: int
    height: int
    text: str | None = None


class _CameraMasks(msgspec.Struct):
    annotation: dict[FrameNumber, _Mask | None] = {}
    annotated_frames: list[FrameNumber] | None = None


class _TakeMasks(msgspec.Struct):
    object_masks: dict[str, dict[str, _CameraMasks]] = {}


def _decode_document(path: Place) -> _Document:
    """Decode the file; halves of surrogate pairs in it, which are no text, become U+FFFD.

    One in the name of an object would make the whole file unreadable.
    """
    try:
        return decode_file(path, _Document)
    except DataError:
        mended = _without_lone_surrogates(path)
        if mended is None:
            raise
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return decoder_of(_Document).decode(mended)
        raise


def _without_lone_surrogates(path: Place) -> mmap.mmap | None:
    """A private map of a file, of which only pages that change take memory; None if nothing is to change."""
    with contextlib.suppress(OSError, ValueError), local_file(path) as local, local.open("rb") as file:
        # ValueError of an empty file
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        lone = [found.span(1) for found in _ESCAPES.finditer(data) if found[1] is not None]
        for start, end in lone:
            data[start:end] = _REPLACEMENT
        return data if lone else None
    return None


class RelationsFile:
    """One relations file, of which takes are decoded as they are asked for.

    Args:
        path: The file.

    Attributes:
        path: The file.
        heads: Take uid to what the file says of the take, in the file's order.
        unreadable: Take uid to the reason why its annotations cannot be used.

    Raises:
        DataError: The file cannot be read, is broken JSON (with line and column) or no relations file.

    Example:
        >>> from pathlib import Path
        >>> relations = RelationsFile(Path("egoexo4d/annotations/relations_val.json"))
        >>> for uid, head in relations.heads.items():
        ...     print(head.take_name, len(relations.tracks(uid)))
        synth_playroom_3_0000 9
        synth_playroom_3_0001 9
    """

    def __init__(self, path: Place) -> None:
        self.path = path
        self._raw = _decode_document(path).annotations
        self.heads: dict[str, TakeHead] = {}
        self.unreadable: dict[str, str] = {}
        for uid in self._raw:
            try:
                self.heads[uid] = self._decode(uid, TakeHead)
            except DataError as error:
                self.unreadable[uid] = str(error)

    def keep(self, uids: Iterable[str]) -> None:
        """Forget all takes but these."""
        wanted = set(uids)
        self._raw = {uid: raw for uid, raw in self._raw.items() if uid in wanted}
        self.heads = {uid: head for uid, head in self.heads.items() if uid in wanted}
        self.unreadable = {uid: reason for uid, reason in self.unreadable.items() if uid in wanted}

    def tracks(self, uid: str) -> dict[tuple[str, str], MaskTrack]:
        """Decode a take's mask tracks, keyed (object, camera); their masks stay encoded.

        Raises:
            DataError: The take's annotations do not have the expected fields and types.
        """
        take = self.heads[uid].take_name or uid
        objects = self._decode(uid, _TakeMasks).object_masks
        return {
            (name, camera): self._track(take, name, camera, masks)
            for name, cameras in objects.items()
            for camera, masks in cameras.items()
        }

    def digest(self, uid: str) -> str:
        """SHA-256 of the take's annotations as they stand in the file, in hexadecimal."""
        return hashlib.sha256(self._raw[uid]).hexdigest()

    def _decode(self, uid: str, kind: type[T]) -> T:
        return decode_part(self._raw[uid], kind, self.path, f"take {show(uid)}")

    def _track(self, take: str, name: str, camera: str, masks: _CameraMasks) -> MaskTrack:
        encoded = {
            frame: EncodedMask(mask.height, mask.width, mask.text)
            for frame, mask in sorted(masks.annotation.items())
            if mask is not None and mask.text is not None
        }
        annotated = masks.annotated_frames
        return MaskTrack(
            object=name,
            camera=camera,
            annotated_frames=None if annotated is None else tuple(sorted(set(annotated))),
            encoded=encoded,
            take=take,
            source=self.path,
            read_counts=lz.decompress,
            null_frames=frozenset(masks.annotation.keys() - encoded.keys()),
        )
