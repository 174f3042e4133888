"""Atomic descriptions of Ego-Exo4D (`annotations/atomic_descriptions_{train,val}.json`).

The format, as far as it is used here::

    {"annotations": {take_uid: [{"annotator_id", "rejected", "descriptions": [{"text", "timestamp", "subject" or
        "narration_subject", "ego_visible", "best_exo": {"cam_id"}, "unsure"}]}]}}

Truth values appear as true and false, as "1" and "0", and as null; any field may be null or absent. The file is mapped
into memory and one take is decoded at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from lmeec.errors import DataError
from lmeec.files.json import decode_file, decode_part
from lmeec.files.names import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmeec.files.places import Place

T = TypeVar("T")

_SPLITS = ("train", "val", "test")
_Flag = bool | int | float | str | None
_Number = int | float | str | None
_TRUE = {"1", "true", "yes"}


class _Document(msgspec.Struct):
    annotations: dict[str, msgspec.Raw]


class _BestExo(msgspec.Struct, gc=False):
    cam_id: str | None = None


class _Moment(msgspec.Struct, gc=False):
    timestamp: _Number = None


class _Moments(msgspec.Struct):
    annotator_id: _Number = None
    rejected: _Flag = None
    descriptions: list[_Moment] | None = None


class _Description(msgspec.Struct, gc=False):
    text: str | None = None
    timestamp: _Number = None
    subject: str | None = None
    narration_subject: str | None = None
    ego_visible: _Flag = None
    best_exo: _BestExo | str | None = None
    unsure: _Flag = None


class _Annotation(msgspec.Struct):
    annotator_id: _Number = None
    rejected: _Flag = None
    descriptions: list[_Description] | None = None


@dataclass(frozen=True, slots=True)
class Moments:
    """When one annotator describes something in one take.

    Attributes:
        rejected: Whether the annotation was rejected by a reviewer.
        times: Seconds, in the order of the file; only those that are numbers.
    """

    rejected: bool
    times: list[float]


@dataclass(slots=True)
class TakeDescriptions:
    """All descriptions of one take, as columns of one length, in the order of the file.

    Attributes:
        annotators: Who wrote it; None if unknown.
        passes: Number from 0 of the annotator's pass over the take, as `moments` lists them. Annotations of one
            annotator are one pass; those that were rejected are a pass of their own, and so is each without a name.
        places: Number of the annotation in the take and of the description in it, both from 0.
        texts: The sentence, without spaces around it; None if there is none.
        subjects: "C" (the wearer), "O" (another person) or what else the file says; None if it says nothing.
        times: Seconds from the beginning of the take; NaN if there is no number.
        best_exos: Name of the exo camera that shows it best; None if none is named.
        ego_visible: Whether the ego camera shows it; None if unknown.
        unsure: Whether the annotator was unsure; None if unknown.
        rejected: Whether the annotation was rejected by a reviewer.
    """

    annotators: list[str | None] = field(default_factory=list)
    passes: list[int] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    texts: list[str | None] = field(default_factory=list)
    subjects: list[str | None] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    best_exos: list[str | None] = field(default_factory=list)
    ego_visible: list[bool | None] = field(default_factory=list)
    unsure: list[bool | None] = field(default_factory=list)
    rejected: list[bool] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)


class DescriptionsFile:
    """One file of atomic descriptions, of which takes are decoded as they are asked for.

    Args:
        path: The file.

    Attributes:
        path: The file.
        uids: Uids of its takes, in the file's order.

    Raises:
        DataError: The file cannot be read, is broken JSON (with line and column) or of another format.

    Example:
        >>> from pathlib import Path
        >>> file = DescriptionsFile(Path("egoexo4d/annotations/atomic_descriptions_val.json"))
        >>> file.read(file.uids[0]).texts
        ['C takes the green bowl to look at it.', 'O takes the pink tape roll from the table.', ...]
    """

    def __init__(self, path: Place) -> None:
        self.path = path
        self._raw = decode_file(path, _Document).annotations
        self.uids = tuple(self._raw)

    def read(self, uid: str) -> TakeDescriptions:
        """Decode the descriptions of a take.

        Raises:
            DataError: They do not have the expected fields and types; the message names the take.
        """
        columns = TakeDescriptions()
        passes: dict[tuple[str | int, bool], int] = {}
        for number, annotation in enumerate(self._decode(uid, list[_Annotation | None])):
            if annotation is None:
                continue
            annotator = None if annotation.annotator_id is None else str(annotation.annotator_id)
            rejected = bool(_truth(annotation.rejected))
            one_pass = passes.setdefault(_pass_of(annotator, rejected, number), len(passes))
            for place, description in enumerate(annotation.descriptions or ()):
                columns.annotators.append(annotator)
                columns.passes.append(one_pass)
                columns.places.append((number, place))
                columns.texts.append((description.text or "").strip() or None)
                columns.subjects.append(description.subject or description.narration_subject or None)
                columns.times.append(_seconds(description.timestamp))
                columns.best_exos.append(_camera(description.best_exo))
                columns.ego_visible.append(_truth(description.ego_visible))
                columns.unsure.append(_truth(description.unsure))
                columns.rejected.append(rejected)
        return columns

    def moments(self, uid: str) -> list[Moments]:
        """Decode only when a take's descriptions are, one entry a pass.

        Raises:
            DataError: As for `read`.
        """
        found: dict[tuple[str | int, bool], Moments] = {}
        for number, annotation in enumerate(self._decode(uid, list[_Moments | None])):
            if annotation is None:
                continue
            annotator = None if annotation.annotator_id is None else str(annotation.annotator_id)
            rejected = bool(_truth(annotation.rejected))
            one = found.setdefault(_pass_of(annotator, rejected, number), Moments(rejected, []))
            times = (_seconds(moment.timestamp) for moment in annotation.descriptions or ())
            one.times.extend(time for time in times if not math.isnan(time))
        return list(found.values())

    def _decode(self, uid: str, kind: type[T]) -> T:
        return decode_part(self._raw[uid], kind, self.path, f"take {show(uid)}")


def descriptions_files(root: Place) -> list[Place]:
    """Give the files of atomic descriptions that a data set's folder holds."""
    candidates = (root / "annotations" / f"atomic_descriptions_{split}.json" for split in _SPLITS)
    return [path for path in candidates if path.is_file()]


def read_descriptions(paths: list[Place]) -> Iterator[tuple[str, DescriptionsFile]]:
    """Yield every take's uid with the file that describes it, sorted by uid.

    Raises:
        DataError: A file cannot be read, or two describe the same take.
    """
    origin: dict[str, DescriptionsFile] = {}
    for path in paths:
        file = DescriptionsFile(path)
        for uid in file.uids:
            if uid in origin:
                raise DataError(
                    f"take {show(uid)} is described in both {origin[uid].path} and {path}; choose one with "
                    "`annotations`",
                    settings=["annotations"],
                )
            origin[uid] = file
    yield from sorted(origin.items())


def _pass_of(annotator: str | None, rejected: bool, number: int) -> tuple[str | int, bool]:
    """What tells passes over a take apart: the annotator, or for want of a name the annotation."""
    return (number if annotator is None else annotator), rejected


def _truth(value: _Flag) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.strip().lower() in _TRUE if value.strip() else None
    return value != 0


def _seconds(value: _Number) -> float:
    try:
        seconds = math.nan if value is None else float(value)
    except (ValueError, OverflowError):
        return math.nan
    return seconds if math.isfinite(seconds) else math.nan


def _camera(value: _BestExo | str | None) -> str | None:
    return (value.cam_id if isinstance(value, _BestExo) else value) or None
