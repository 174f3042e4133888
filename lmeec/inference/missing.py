"""Rows for frames without a prediction, so that a score counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec.data.names import show
from lmeec.data.truth import FrameTruth, TargetTruth
from lmeec.errors import DataError
from lmeec.inference.plan import camera_pairs
from lmeec.tables.schema import Missing, ResultRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from lmeec.config import Direction, MaskSize
    from lmeec.data.take import Take
    from lmeec.data.takes import TakeSet
    from lmeec.data.tracks import MaskTrack
    from lmeec.inference.jobs import Job


def missing_rows(
    take: Take,
    direction: Direction,
    reason: Missing,
    *,
    objects: Sequence[str] = (),
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
        cameras: only pairs with one of these cameras, as query or target; None means all.
        mask_size: as in `PredictConfig`.
    """
    truth = TargetTruth(take, mask_size=mask_size)
    for masks, target in camera_pairs(take, direction, objects):
        if cameras is None or masks.camera in cameras or target in cameras:
            for frame in masks.frames:
                try:
                    known = truth.at(masks.object, target, frame)
                except DataError:
                    known = FrameTruth("unannotated", None)
                yield missing_row(take, direction, masks, target, frame, reason, known, truth)


def refuse_nothing_to_predict(takes: TakeSet, jobs: Collection[Job], objects: Sequence[str] = ()) -> None:
    """Refuse a run whose jobs have no step, and say why; takes that cannot be used at all are left to fail.

    Args:
        takes: the takes.
        jobs: all jobs of the run.
        objects: only these objects; empty means all.

    Raises:
        DataError: no query mask has a target camera on disk.
    """
    if any(job.steps for job in jobs) or any(take.problems and not (take.tracks and take.cameras) for take in takes):
        return
    directions = sorted({job.direction for job in jobs})
    reasons = [f"take {show(take.name)}: {why_nothing(take, directions, objects)}" for take in takes]
    more = f" (and {len(reasons) - 1} more takes)" if len(reasons) > 1 else ""
    raise DataError(
        f"{takes.root}: there is nothing to predict, so no table is written. {reasons[0]}{more}; `lmeec takes --json` "
        "lists cameras, objects and masks"
    )


def why_nothing(take: Take, directions: Sequence[Direction], objects: Sequence[str] = ()) -> str:
    """Why nothing of a take can be predicted, in words.

    Args:
        take: the take.
        directions: which views are queries.
        objects: only these objects; empty means all.
    """
    pairs = [pair for direction in directions for pair in camera_pairs(take, direction, objects)]
    asked = [(take.cameras[masks.camera], take.cameras[target]) for masks, target in pairs if masks.frames]
    if any(query.source is not None and target.source is not None for query, target in asked):
        return "query masks have no foreground, or videos end before them"
    has_both_views = {camera.is_ego for camera in take.cameras.values()} == {True, False}
    if not asked and has_both_views:
        return f"{'no object' if not objects else 'none of the wanted objects'} has a mask in a query view"
    return "; ".join(take.problems) or "no query view has a target view"


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
