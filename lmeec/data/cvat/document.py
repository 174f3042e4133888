"""CVAT for video 1.1: an XML document of one video, with a track an object.

docs.cvat.ai, "XML annotation format", has its elements. What CVAT makes of them decides what is written here: it reads
of a track of masks the first one only, and writes a track for each mask itself; a track of polygons has a shape a
frame, between which it interpolates; and labels are all that it keeps of an object's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import quoteattr

import msgspec
from defusedxml.ElementTree import iterparse

from lmeec.data.cvat.shapes import BoxedMask, Polygon, drawn, unboxed
from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.files.reading import in_short, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

    import numpy as np
    from numpy.typing import NDArray

TASKS = "tasks.json"
"""The file beside the documents that says which of them is of what, as CVAT keeps none of it."""

_LARGEST = 2**29  # bytes
_LONGEST_ATTRIBUTE = 2**24  # characters
_LAST_FRAME = 2**31 - 1


class CvatTask(msgspec.Struct, frozen=True):
    """What one document is of.

    Attributes:
        file: the document, as a path below the folder of `tasks.json`.
        take_uid: the take.
        take_name: its name.
        scenario: its activity, if that is known.
        direction: of the predictions.
        query_cam: camera that they were predicted from.
        target_cam: camera whose video is annotated.
        height: rows of the video.
        width: columns of the video.
        frames: number in the video and in the take of the frames that were predicted.
    """

    file: str
    take_uid: str
    take_name: str
    scenario: str | None
    direction: str
    query_cam: str
    target_cam: str
    height: int
    width: int
    frames: list[tuple[int, int]]


class CvatTasks(msgspec.Struct, frozen=True):
    """What `tasks.json` holds."""

    tasks: list[CvatTask]


class CvatShape(NamedTuple):
    """A shape of a frame.

    Attributes:
        label: the object.
        frame: number in the video.
        keyframe: whether it was drawn, and not interpolated.
        mask: bool [height, width].
    """

    label: str
    frame: int
    keyframe: bool
    mask: NDArray[np.bool_]


class LeftOut(NamedTuple):
    """A shape of a kind that is no mask, as a box."""

    kind: str


def attribute(value: object) -> str:
    """Text in quotes, for XML; characters that XML does not have become question marks."""
    text = "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "?"
        for c in str(value)
    )
    return quoteattr(text)


def polygon_points(polygon: Polygon) -> str:
    """Corners, as the attribute `points` has them."""
    return ";".join(f"{x:.2f},{y:.2f}" for x, y in polygon)


def read_shapes(path: Path, height: int, width: int, wanted: frozenset[int]) -> Iterator[CvatShape | LeftOut]:
    """Read the shapes of a document, one after the other.

    Args:
        path: the XML file.
        height: rows of the video.
        width: columns of the video.
        wanted: frames of the video at which interpolated shapes are read too.

    Raises:
        DataError: the file cannot be read, or is of another format or size; a shape cannot be drawn. Documents that
            declare entities are not read.
    """
    with reading(path, DataError, "CVAT's XML for video", "export it again as CVAT for video 1.1", most=_LARGEST):
        label: str | None = None
        size: dict[str, str] = {}
        elements = iterparse(path, events=("start", "end"), forbid_dtd=True)
        _, root = next(elements)
        if root.tag != "annotations":
            raise DataError(f"{path}: is no document of CVAT: it begins with {show(root.tag)}; export it again")
        for event, element in elements:
            if event == "start":
                if element.tag == "track":
                    label = element.attrib["label"]
                elif element.tag == "image":
                    raise DataError(
                        f"{path}: is of CVAT for images; export it as CVAT for video 1.1, which numbers the frames"
                    )
                continue
            if element.tag == "original_size":
                size = {child.tag: child.text or "" for child in element}
                _check_size(path, size, height, width)
            elif label is not None and element.get("frame") is not None:
                found = _shape(path, label, element, height, width, wanted)
                if found is not None:
                    yield found
                element.clear()
            elif element.tag == "track":
                label = None
                root.clear()


def _check_size(path: Path, size: dict[str, str], height: int, width: int) -> None:
    if (int(size["height"]), int(size["width"])) != (height, width):
        raise DataError(
            f"{path}: is of a video of {in_short(size['width'], 12)}x{in_short(size['height'], 12)} (width x height), "
            f"and masks of {width}x{height} were exported: annotate a video of their size, or export masks of the "
            'video\'s (`mask_size="source"`)',
            settings=["mask_size"],
        )


def _shape(
    path: Path, label: str, element: Element, height: int, width: int, wanted: frozenset[int]
) -> CvatShape | LeftOut | None:
    """A shape, if it is to be seen and asked for."""
    if element.get("outside", "0") != "0":
        return None
    keyframe = element.get("keyframe", "1") != "0"
    frame = int(element.attrib["frame"])
    if not 0 <= frame <= _LAST_FRAME:
        raise DataError(f"{path}: object {show(label)} has a shape at frame {in_short(str(frame), 20)}")
    if element.tag not in ("mask", "polygon"):
        return LeftOut(element.tag)
    if not keyframe and frame not in wanted:
        return LeftOut("interpolated shape")
    try:
        return CvatShape(label, frame, keyframe, _mask(element, height, width))
    except (DataError, KeyError, ValueError) as error:
        raise DataError(
            f"{path}: object {show(label)}, frame {frame}: the {element.tag} cannot be used "
            f"({in_short(str(error), 120)}); export it again"
        ) from error


def _mask(element: Element, height: int, width: int) -> NDArray[np.bool_]:
    text = element.attrib["rle" if element.tag == "mask" else "points"]
    if len(text) > _LONGEST_ATTRIBUTE:
        raise DataError(f"it has {len(text):,} characters")
    if element.tag == "polygon":
        corners = [pair.split(",") for pair in text.split(";")]
        return drawn([[(float(x), float(y)) for x, y in corners]], height, width)
    sides = [int(element.attrib[name]) for name in ("left", "top", "width", "height")]
    return unboxed(BoxedMask(list(map(int, text.split(","))), *sides), height, width)
