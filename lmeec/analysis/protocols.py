"""The protocols that a results table can be scored by: the benchmark's, and the one of the paper's own scripts.

They differ in the masks that they compare and in the frames that they count::

                 benchmark                                   paper
    masks        longer side 480, aspect kept                480x480, whatever the frame's shape
    frames       in K(query) and A(target)                   predicted ones whose number is a multiple of 30
    visible      in A(target) and K(target)                  the ground truth has a pixel at 480x480
    absent       in A(target), not in K(target)              all others, whether annotators looked at them or not
    predicted    confidence > 0.5                            area over 0.1% of the frame
    visible

K are the frames under which the annotations have a mask, A those that annotators looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmeec.analysis.areas import mask_areas
from lmeec.config import ScoreProtocol
from lmeec.errors import ConfigError, DataError
from lmeec.masks import SQUARE_SIZE, RunLengthMask
from lmeec.metrics import METRICS, frame_metrics
from lmeec.tables.metadata import METADATA_KEY, RunMetadata
from lmeec.tables.read import read_metadata, scan_results

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


RULE_SHARE = 0.001
"""The released rule: visible where the mask covers more than this share of the frame."""

FRAME_STEP = 30
"""The released code sees the frames of which it wrote JPEG files: one a second."""

PAPER_COLUMNS = (
    "frame",
    "missing",
    "height",
    "width",
    "mask_rle",
    "area",
    "confidence",
    "gt_state",
    "gt_rle",
    *METRICS,
)
"""What `as_paper_counts` reads of a row."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Frames of a table that the paper's protocol does not count.

    Attributes:
        missing: those without a prediction.
        between: those that are predicted, but no multiples of 30.
    """

    missing: int
    between: int


def check_protocol(results: pa.Table | Path | str, protocol: ScoreProtocol) -> None:
    """Refuse a table whose masks are not those that a protocol compares.

    Args:
        results: a results table, or where `lmeec predict` wrote one. Of a table in memory whose schema's metadata does
            not have its run, nothing is known but the size of its masks.
        protocol: what it is to be scored by.

    Raises:
        ConfigError: no such protocol.
        OutputError: the file is missing, damaged or not a results table.
        DataError: the masks are of the other protocol's size.
    """
    if protocol not in get_args(ScoreProtocol):
        raise ConfigError(f"there is no protocol {protocol!r}: choose from {', '.join(get_args(ScoreProtocol))}")
    if isinstance(results, pa.Table):
        name = "the table"
        square = _all_square(results) if protocol == "paper" else _is_of_square_run(results)
    else:
        run = read_metadata(results)
        name, square = str(results), run.has_square_masks
        if protocol == "paper" and run.predict.get("targets", "all") != "all":
            raise DataError(
                f"{name}: target cameras without ground truth were left out, which the paper's protocol counts: "
                'predict with `targets="all"`',
                settings=["targets"],
            )
    if protocol == "paper" and not square:
        raise DataError(f"{name}: {_NOT_SQUARE}", settings=["mask_size"])
    if protocol == "benchmark" and square:
        raise DataError(
            f'{name}: its masks are at 480x480 whatever the frame\'s shape (`mask_size="square"`), which the benchmark '
            'does not compare: score them with `protocol="paper"`, or predict without `mask_size="square"`',
            settings=["mask_size", "protocol"],
        )


_NOT_SQUARE = (
    "the paper's protocol compares masks at 480x480, to which logits are resized before the threshold, and this table "
    'has masks in the shape of the frames: predict with `mask_size="square"`'
)


def left_out(results: Path | str) -> LeftOut:
    """Count what the paper's protocol leaves out of a table.

    Raises:
        OutputError: the file is missing, damaged or not a results table.
    """
    missing = between = 0
    for batch in scan_results(results, ("frame", "missing")):
        there = np.asarray(batch["missing"].is_null())
        missing += int((~there).sum())
        between += int((there & (np.asarray(batch["frame"]) % FRAME_STEP != 0)).sum())
    return LeftOut(missing, between)


def as_paper_counts(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The frames that the paper's protocol counts, with state, confidence and metrics as it has them.

    Args:
        batch: rows with `PAPER_COLUMNS` and others, masks at 480x480.

    Returns:
        The same columns; `confidence` is 1 or 0, `gt_state` visible or absent.

    Raises:
        DataError: a mask has damaged counts.
    """
    counted = np.asarray(batch["missing"].is_null()) & (np.asarray(batch["frame"]) % FRAME_STEP == 0)
    batch = batch.filter(pa.array(counted))
    has_mask = np.asarray(batch["gt_rle"].is_valid())
    visible = has_mask.copy()
    visible[has_mask] = mask_areas(batch["gt_rle"].drop_null()) > 0
    pixels = np.asarray(batch["height"]).astype(np.int64) * np.asarray(batch["width"])
    changed = {
        "gt_state": pa.array(np.where(visible, "visible", "absent")),
        "confidence": pa.array((np.asarray(batch["area"]) > RULE_SHARE * pixels).astype(np.float64)),
        **_metrics(batch, visible),
    }
    columns = [changed.get(field.name, batch[field.name]) for field in batch.schema]
    return pa.record_batch(columns, schema=batch.schema)


def _metrics(batch: pa.RecordBatch, visible: NDArray[np.bool_]) -> dict[str, pa.Array]:
    """Metrics of visible frames; the table has none of masks outside the annotated frames."""
    values = {name: np.asarray(pc.fill_null(batch[name], np.nan)).copy() for name in METRICS}
    for row in np.flatnonzero(visible & np.asarray(batch["iou"].is_null())):
        height, width = batch["height"][row].as_py(), batch["width"][row].as_py()
        pred, gt = (RunLengthMask(height, width, batch[name][row].as_py()) for name in ("mask_rle", "gt_rle"))
        metrics = frame_metrics(pred, gt)
        for name in METRICS:
            values[name][row] = getattr(metrics, name)
    return {name: pa.array(column, mask=~visible) for name, column in values.items()}


def _is_of_square_run(results: pa.Table) -> bool:
    stored = (results.schema.metadata or {}).get(METADATA_KEY)
    try:
        return stored is not None and RunMetadata.from_json(stored).has_square_masks
    except ValueError as error:
        raise DataError(f"the table holds damaged run settings ({error}): predict again") from error


def _all_square(results: pa.Table) -> bool:
    return all(
        name in results.column_names and bool(pc.all(pc.equal(results[name], side)).as_py())
        for name, side in zip(("height", "width"), SQUARE_SIZE, strict=True)
    )
