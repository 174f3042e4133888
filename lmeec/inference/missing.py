"""Rows for frames without a prediction, so that a score counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec.data.truth import FrameTruth, TargetTruth
from lmeec.errors import DataError
from lmeec.inference.plan import camera_pairs
from lmeec.tables.schema import Missing, ResultRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from lmeec.config import Direction, MaskSize, Targets
    from lmeec.data.take import Take
    from lmeec.data.tracks import MaskTrack


def missing_rows(
    take: Take,
    direction: Direction,
    reason: Missing,
    *,
    objects: Sequence[str] = (),
    targets: Targets = "all",
    cameras: Collection[str] | None = None,
    mask_size: MaskSize = "evaluation",
) -> Iterator[ResultRow]:
    """Yield a row for every frame that would have been predicted, had a take or a camera not failed.

    Nothing is opened. A ground truth mask that cannot be used leaves its frame unannotated, as it may be what failed.

    Args:
        take: the take.
        direction: which views are queries.
        reason: why there are no predictions.
        objects: only these objects; empty means all.
        targets: as in `PredictConfig`.
        cameras: only pairs with one of these cameras, as query or target; None means all.
        mask_size: as in `PredictConfig`.
    """
    truth = TargetTruth(take, mask_size=mask_size)
    for masks, target in camera_pairs(take, direction, objects, targets):
        if cameras is None or masks.camera in cameras or target in cameras:
            for frame in masks.frames:
                try:
                    known = truth.at(masks.object, target, frame)
                except DataError:
                    known = FrameTruth("unannotated", None)
                yield missing_row(take, direction, masks, target, frame, reason, known, truth)


def missing_row(
    take: Take,
    direction: Direction,
    masks: MaskTrack,
    target: str,
    frame: int,
    reason: Missing,
    known: FrameTruth,
    truth: TargetTruth,
) -> ResultRow:
    """The row of one frame of an object's query masks without a prediction."""
    return ResultRow(
        take_uid=take.uid,
        take_name=take.name,
        scenario=take.scenario,
        object=masks.object,
        query_cam=masks.camera,
        target_cam=target,
        direction=direction,
        frame=frame,
        step=None,
        mask=None,
        object_score=None,
        predicted_iou=None,
        gt_state=known.state,
        gt=known.mask,
        missing=reason,
        size=truth.size(masks.object, target),
    )
