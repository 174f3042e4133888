"""The rows of a results table as what is drawn: tracks, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lmeec.errors import DataError
from lmeec.files.names import and_nearest
from lmeec.masks import RunLengthMask
from lmeec.tables.masks import predicted_mask
from lmeec.tables.read import scan_results
from lmeec.tables.takes import scan_takes

if TYPE_CHECKING:
    from lmeec.files.locations import Location

_TRACK = ("object", "query_cam", "target_cam")
_FRAME = ("frame", "height", "width", "mask_rle", "confidence", "gt_state", "gt_rle", "iou", "missing", "cycle_iou")


@dataclass(frozen=True, slots=True)
class PredictedFrame:
    """One row of a results table.

    Attributes:
        frame: frame number.
        mask: predicted mask, at the evaluation size; empty without a prediction.
        confidence: probability of the object being visible.
        gt_state: what the annotations say.
        gt: ground truth mask where visible.
        iou: where visible.
        missing: why there is no prediction; None where there is one.
        cycle_iou: of the round trip with the query mask; None where none was made.
    """

    frame: int
    mask: RunLengthMask
    confidence: float
    gt_state: str
    gt: RunLengthMask | None
    iou: float | None
    missing: str | None = None
    cycle_iou: float | None = None


@dataclass(frozen=True, slots=True)
class PredictedTrack:
    """One object from one camera in another.

    Attributes:
        take_uid: its take.
        direction: `ego2exo` or `exo2ego`.
        object: object name.
        query_cam: camera whose masks are given.
        target_cam: camera in which the object is segmented.
        frames: frame number to prediction, in order.
    """

    take_uid: str
    direction: str
    object: str
    query_cam: str
    target_cam: str
    frames: dict[int, PredictedFrame]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tracks of a table; an empty field means all.

    Attributes:
        takes: names or uids.
        objects: names.
        direction: one of the two.
    """

    takes: Sequence[str] = ()
    objects: Sequence[str] = ()
    direction: str | None = None

    def expression(self) -> pc.Expression | None:
        """The selection as a filter of Arrow; None for all."""
        conditions = []
        if self.takes:
            names = pa.array(self.takes, pa.string())
            conditions.append(pc.field("take_uid").isin(names) | pc.field("take_name").isin(names))
        if self.objects:
            conditions.append(pc.field("object").isin(pa.array(self.objects, pa.string())))
        if self.direction is not None:
            conditions.append(pc.field("direction") == self.direction)
        return reduce(lambda one, other: one & other, conditions) if conditions else None


def check_names(results: Location | str, selection: Selection) -> None:
    """Refuse a selection of takes or objects that a table does not hold.

    Raises:
        DataError: names what is unknown, and the names that are most like it.
        OutputError: the table cannot be read.
    """
    if not selection.takes and not selection.objects:
        return
    held: dict[str, set[str]] = {"take_uid": set(), "take_name": set(), "object": set()}
    for batch in scan_results(results, tuple(held)):
        for column, values in held.items():
            values.update(pc.unique(batch[column]).drop_null().to_pylist())
    for what, wanted, known in (
        ("take", selection.takes, held["take_uid"] | held["take_name"]),
        ("object", selection.objects, held["object"]),
    ):
        if unknown := [name for name in wanted if name not in known]:
            raise DataError(f"{results} holds no {what} {and_nearest(unknown, known)}")


def scan_tracks(results: Location | str, keep: pc.Expression | None = None) -> Iterator[list[PredictedTrack]]:
    """Yield tracks of one take and direction after the other.

    Args:
        results: a results table.
        keep: which rows, as `Selection.expression` gives; all without.

    Raises:
        OutputError: the table cannot be read.
    """
    columns = ("take_name", *_TRACK, *_FRAME)
    for uid, direction, rows in scan_takes(results, columns, keep):
        tracks: dict[tuple[str, ...], PredictedTrack] = {}
        names = zip(*(rows[name].to_pylist() for name in _TRACK), strict=True)
        values = zip(*(rows[name].to_pylist() for name in _FRAME), strict=True)
        for key, (frame, height, width, counts, confidence, state, truth, iou, missing, back) in zip(
            names, values, strict=True
        ):
            name, query, target = key
            track = tracks.setdefault(key, PredictedTrack(uid, direction, name, query, target, {}))
            track.frames[frame] = PredictedFrame(
                frame=frame,
                mask=predicted_mask(height, width, counts),
                confidence=confidence,
                gt_state=state,
                gt=None if truth is None or state != "visible" else RunLengthMask(height, width, truth),
                iou=iou,
                missing=missing,
                cycle_iou=back,
            )
        yield list(tracks.values())
