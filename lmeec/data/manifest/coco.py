"""Masks in COCO's JSON: run lengths, compressed or not, and polygons.

The format, as far as it is used here::

    {"images": [{"id", "file_name", "height", "width", "frame"}], "categories": [{"id", "name"}],
     "annotations": [{"image_id", "category_id", "segmentation", "track_id" or "attributes": {"track_id"}}]}

An image is the frame that `frame` says, which is no key of COCO's own, or the number at the end of its file name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
from pycocotools import mask as coco

from lmeec.data.manifest.numbering import number_in
from lmeec.data.relations import FrameNumber
from lmeec.data.tracks import EncodedMask
from lmeec.errors import DataError
from lmeec.files.json import decode_file, decoder_of
from lmeec.files.names import show
from lmeec.masks import MAX_PIXELS, RunLengthMask

if TYPE_CHECKING:
    from lmeec.data.manifest.numbering import Numbering
    from lmeec.files.places import Place

_LONGEST_OUTLINE = 10**6  # pixels; drawing takes a time that grows with it
_Side = Annotated[int, msgspec.Meta(ge=1, le=MAX_PIXELS)]
_Id = int | str


class _Image(msgspec.Struct, gc=False):
    id: _Id
    height: _Side
    width: _Side
    file_name: str = ""
    frame: FrameNumber | None = None


class _Category(msgspec.Struct, gc=False):
    id: _Id
    name: str


class _RunLengths(msgspec.Struct, gc=False):
    size: tuple[int, int]
    counts: str | list[int]


class _Attributes(msgspec.Struct, gc=False):
    track_id: _Id | None = None


class _Annotation(msgspec.Struct, gc=False):
    image_id: _Id
    category_id: _Id
    segmentation: _RunLengths | list[list[float]] | None = None
    track_id: _Id | None = None
    attributes: _Attributes | None = None

    @property
    def track(self) -> str | None:
        """What tells objects of a category apart."""
        known = self.track_id if self.track_id is not None else self.attributes and self.attributes.track_id
        return None if known is None else str(known)


class _Document(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation] = []
    categories: list[_Category] = []


class _Drawn(msgspec.Struct):
    """What is drawn only when a mask is asked for, as text."""

    size: tuple[int, int]
    polygons: list[list[float]] | None = None
    lengths: list[int] | None = None


class FoundMasks(msgspec.Struct):
    """Masks of one camera out of one file or folder.

    Attributes:
        looked_at: frames of the take that were looked at.
        masks: object to frame to mask.
        between: how many masks are at frames that the take does not read.
    """

    looked_at: set[int]
    masks: dict[str, dict[int, EncodedMask]]
    between: int = 0


def read_coco(path: Place, images: str, numbering: Numbering) -> FoundMasks:
    """Read the masks of a camera; they stay encoded.

    Args:
        path: the file.
        images: only images whose file name begins so.
        numbering: how frames are numbered.

    Raises:
        DataError: the file cannot be read or is of another format, two images are the same frame, or objects of a
            category cannot be told apart.
    """
    document = decode_file(path, _Document)
    frames = _frames(document, path, images, numbering)
    shown = {image.id: image for image in document.images}
    names = {category.id: category.name for category in document.categories}
    tracks: dict[_Id, set[str | None]] = {}
    for one in document.annotations:
        tracks.setdefault(one.category_id, set()).add(one.track)
    looked_at = {frame for frame in frames.values() if frame is not None and numbering.is_asked_for(frame)}
    found = FoundMasks(looked_at, {name: {} for category, name in names.items() if len(tracks.get(category, ())) < 2})
    for one in document.annotations:
        if one.image_id not in shown:
            raise DataError(f"{path}: a mask is of image {show(str(one.image_id))}, which the file does not list")
        if one.category_id not in names:
            raise DataError(f"{path}: a mask is of category {show(str(one.category_id))}, which the file does not list")
        if not one.segmentation or one.image_id not in frames:  # a box alone, or of another camera
            continue
        frame = frames[one.image_id]
        if frame is None:
            found.between += 1
        elif numbering.is_asked_for(frame):
            name = names[one.category_id]
            if len(tracks[one.category_id]) > 1:
                name = name if one.track is None else f"{name}_{one.track}"
            masks = found.masks.setdefault(name, {})
            if frame in masks:
                raise DataError(
                    f"{path}: image {show(shown[one.image_id].file_name or str(one.image_id))} has two masks of "
                    f"{show(name)}: give each object a category of its own, or its annotations a `track_id`"
                )
            masks[frame] = _encoded(one.segmentation, shown[one.image_id], path)
    return found


def _frames(document: _Document, path: Place, images: str, numbering: Numbering) -> dict[_Id, int | None]:
    """The take's frame of each image of the camera; None where the take does not read it."""
    frames: dict[_Id, int | None] = {}
    seen: dict[int, str] = {}
    for image in document.images:
        if not image.file_name.startswith(images):
            continue
        number = image.frame if image.frame is not None else number_in(image.file_name, path)
        if number in seen or image.id in frames:
            raise DataError(
                f"{path}: images {show(seen.get(number, image.file_name))} and {show(image.file_name)} are both frame "
                f"{number}, or have the same id: where they are of several cameras or takes, name those of each by how "
                "their file names begin, with `images`"
            )
        seen[number] = image.file_name
        try:
            frames[image.id] = numbering.frame(number)
        except DataError as error:
            raise DataError(f"{path}: image {show(image.file_name)}: {error}") from error
    if not frames:
        begins = f" whose file name begins with {show(images)}" if images else ""
        raise DataError(f"{path}: holds no image{begins}; correct the manifest")
    return frames


def _encoded(segmentation: _RunLengths | list[list[float]], image: _Image, path: Place) -> EncodedMask:
    size = (image.height, image.width)
    if isinstance(segmentation, list):
        return EncodedMask(*size, _as_text(_Drawn(size, polygons=segmentation)))
    if segmentation.size != size:
        raise DataError(
            f"{path}: image {show(image.file_name)} is {image.height}x{image.width} (height x width), and a mask of it "
            f"{segmentation.size[0]}x{segmentation.size[1]}; export it anew"
        )
    if isinstance(segmentation.counts, list):
        return EncodedMask(*size, _as_text(_Drawn(size, lengths=segmentation.counts)))
    return EncodedMask(*size, segmentation.counts)


def _as_text(drawn: _Drawn) -> str:
    return msgspec.json.encode(drawn).decode()


def read_counts(text: str) -> str:
    """COCO counts of a mask as `read_coco` keeps it.

    Raises:
        DataError: it cannot be drawn.
    """
    if not text.startswith("{"):  # which is no character of counts
        return text
    drawn = decoder_of(_Drawn).decode(text)
    if drawn.polygons is not None:
        return draw_polygons(drawn.polygons, *drawn.size).counts
    return RunLengthMask.from_lengths(drawn.lengths or [], *drawn.size).counts


def draw_polygons(polygons: list[list[float]], height: int, width: int) -> RunLengthMask:
    """Draw polygons as COCO's own code does; what lies outside of the image is cut off.

    Args:
        polygons: x and y of the corners in turn, in pixels, for each.
        height: rows of the image.
        width: columns of the image.

    Raises:
        DataError: a polygon has fewer than three corners, an odd number of values, or is absurdly long.
    """
    RunLengthMask.empty(height, width)  # refuses absurd sizes
    outline = 0.0
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise DataError(f"a polygon of {len(polygon)} values is none: it has x and y of three corners at least")
        corners = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
        if not np.isfinite(corners).all():
            raise DataError("a polygon has corners that are no numbers")
        outline += float(np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum())
    if outline > _LONGEST_OUTLINE:
        raise DataError(f"its polygons are {outline:.3g} pixels long; {_LONGEST_OUTLINE:,} are accepted")
    parts = coco.frPyObjects(polygons, height, width)
    return RunLengthMask.from_counts(coco.merge(parts)["counts"].decode("ascii"), height, width)
