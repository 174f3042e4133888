"""The benchmark's four metrics of a whole results table, by direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmeec.analysis.frames import load_frames
from lmeec.analysis.groups import score_groups

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from lmeec.config import ScoreProtocol


@dataclass(frozen=True, slots=True)
class DirectionScore:
    """Metrics of one direction: means over frames, pooled over its takes.

    Attributes:
        iou: mean over visible frames; None without such frames, as the next two.
        location_error: mean over visible frames.
        contour_accuracy: mean over visible frames.
        balanced_accuracy: of confidence > 0.5 against the ground truth, over all annotated frames; None
            without such frames.
        frames: frames with a query mask.
        visible: of these, annotated with the object visible.
        absent: of these, annotated with the object not visible.
        tracks: pairs of an object and cameras.
        takes: takes.
        missing: frames without a prediction, of those with ground truth; they count as empty masks.
    """

    iou: float | None
    location_error: float | None
    contour_accuracy: float | None
    balanced_accuracy: float | None
    frames: int
    visible: int
    absent: int
    tracks: int
    takes: int
    missing: int = 0


def evaluate(results: pa.Table | Path | str, protocol: ScoreProtocol = "benchmark") -> dict[str, DirectionScore]:
    """Compute the four metrics by direction.

    Args:
        results: a table with the columns of `lmeec.tables.SCHEMA` (other columns are ignored), or the path of a
            file that `lmeec predict` wrote, which is read in pieces.
        protocol: `benchmark`, or `paper` for the protocol of the paper's own scripts, which takes tables of
            runs with square masks (`lmeec.analysis.protocols` says how they differ).

    Returns:
        The scores by direction, in alphabetical order. `lmeec.analysis` has other groups, and intervals.

    Raises:
        OutputError: the file is missing, damaged or not a results table.
        DataError: a column is missing, no frame has ground truth, or the masks are of another size than the protocol
            compares.
        ConfigError: no such protocol.

    Example:
        >>> import pyarrow as pa
        >>> frame = {"take_uid": "t", "object": "cup_0", "query_cam": "aria01", "target_cam": "cam01"}
        >>> frame |= {"direction": "ego2exo", "confidence": 0.9, "gt_state": "visible"}
        >>> frame |= {"iou": 0.5, "location_error": 0.01, "contour_accuracy": 0.7}
        >>> evaluate(pa.Table.from_pylist([frame]))["ego2exo"].iou
        0.5
    """
    return {
        one.group["direction"]: DirectionScore(
            iou=one.iou.value,
            location_error=one.location_error.value,
            contour_accuracy=one.contour_accuracy.value,
            balanced_accuracy=one.balanced_accuracy.value,
            frames=one.frames,
            visible=one.visible,
            absent=one.absent,
            tracks=one.tracks,
            takes=one.takes,
            missing=one.missing,
        )
        for one in score_groups(load_frames(results, protocol=protocol), resamples=0)
    }
