"""Results tables held against each other, and what is left beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq

from lmeec.tables.history import HISTORY_KEY

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


def assert_same_but_for_the_calls(one: Path, other: Path) -> None:
    """The same rows, in the same groups, and all that is kept with them but how they came to be."""
    first, second = pq.read_table(one), pq.read_table(other)
    assert first.equals(second)
    kept = [
        {key: value for key, value in table.schema.metadata.items() if key != HISTORY_KEY} for table in (first, second)
    ]
    assert kept[0] == kept[1]
    assert pq.ParquetFile(one).num_row_groups == pq.ParquetFile(other).num_row_groups
