"""Runs in which nothing can be predicted, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.inference.plan import camera_pairs

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lmeec.config import Direction, Targets
    from lmeec.data.take import Take
    from lmeec.data.takes import TakeSet
    from lmeec.runs.jobs import Job


def refuse_nothing_to_predict(
    takes: TakeSet, jobs: Collection[Job], objects: Sequence[str] = (), targets: Targets = "all"
) -> None:
    """Refuse a run whose jobs have no step, and say why; takes that cannot be used at all are left to fail.

    Args:
        takes: the takes.
        jobs: all jobs of the run.
        objects: only these objects; empty means all.
        targets: as in `PredictConfig`.

    Raises:
        DataError: no query mask has a target camera on disk.
    """
    if any(job.steps for job in jobs) or any(take.problems and not (take.tracks and take.cameras) for take in takes):
        return
    directions = sorted({job.direction for job in jobs})
    reasons = [f"take {show(take.name)}: {why_nothing(take, directions, objects, targets)}" for take in takes]
    more = f" (and {len(reasons) - 1} more takes)" if len(reasons) > 1 else ""
    raise DataError(
        f"{takes.root}: there is nothing to predict, so no table is written. {reasons[0]}{more}; `lmeec takes` lists "
        "cameras, objects and masks",
        settings=[] if targets == "all" else ["targets"],
    )


def why_nothing(
    take: Take, directions: Sequence[Direction], objects: Sequence[str] = (), targets: Targets = "all"
) -> str:
    """Why nothing of a take can be predicted, in words.

    Args:
        take: the take.
        directions: which views are queries.
        objects: only these objects; empty means all.
        targets: as in `PredictConfig`.
    """
    pairs = [pair for direction in directions for pair in camera_pairs(take, direction, objects)]
    if targets == "annotated" and any(masks.frames for masks, _ in pairs):
        pairs = [pair for direction in directions for pair in camera_pairs(take, direction, objects, targets)]
        if not pairs:
            return (
                'no target camera has ground truth, which `targets="annotated"` asks for: predict with `targets="all"`'
            )
    asked = [(take.cameras[masks.camera], take.cameras[target]) for masks, target in pairs if masks.frames]
    if any(query.source is not None and target.source is not None for query, target in asked):
        return "query masks have no foreground, or videos end before them"
    has_both_views = {camera.view for camera in take.cameras.values()} == {"ego", "exo"}
    if not asked and has_both_views:
        return f"{'no object' if not objects else 'none of the wanted objects'} has a mask in a query view"
    return "; ".join(take.problems) or "no query view has a target view"
