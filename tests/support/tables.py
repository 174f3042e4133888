"""Results tables held against each other, and what is left beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

NUMBERS = ["object_score", "confidence", "predicted_iou"]


def assert_same(rows: pa.Table, expected: pa.Table) -> None:
    """The same rows and masks; scores to rounding, as takes were predicted in other batches."""
    first, second = rows.to_pandas(), expected.to_pandas()
    pd.testing.assert_frame_equal(first.drop(columns=NUMBERS), second.drop(columns=NUMBERS))
    assert (first[NUMBERS] - second[NUMBERS]).abs().max().max() < 1e-5


def names_left(folder: Path) -> list[str]:
    """Names in a folder, sorted, without the trace that is beside each table."""
    names = {path.name for path in folder.iterdir()}
    traces = {name for name in names if name.endswith(".trace.parquet")}
    assert {name.removesuffix(".trace.parquet") for name in traces} <= names
    return sorted(names - traces)
