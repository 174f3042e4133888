"""Scores and comparisons of groups as flat records, for JSON, CSV and Parquet."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.analysis.bootstrap import ALL_METRICS
from lmeec.analysis.frames import GROUPINGS
from lmeec.analysis.groups import Estimate, GroupScore
from lmeec.files.whole import written_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lmeec.analysis.compare import GroupComparison
    from lmeec.files.locations import Location

COUNTS = ("frames", "visible", "absent", "tracks", "takes", "missing")

Record = dict[str, Any]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def record(one: GroupScore | GroupComparison) -> Record:
    """Metrics and counts of a group under plain names.

    A metric has its value under its name and its interval under `_low` and `_high`. For two runs there are three of
    each: `iou_first`, `iou_second` and `iou_difference`, and so on.
    """
    values: Record = {}
    for name in ALL_METRICS:
        metric = getattr(one, name)
        if isinstance(metric, Estimate):
            values |= _estimate(name, metric)
        else:
            for which in ("first", "second", "difference"):
                values |= _estimate(f"{name}_{which}", getattr(metric, which))
    return values | {name: getattr(one, name) for name in COUNTS}


def _estimate(name: str, estimate: Estimate) -> Record:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def table_of(tables: Mapping[tuple[str, ...], Sequence[GroupScore | GroupComparison]]) -> pa.Table:
    """One row a group of all tables.

    Args:
        tables: for each crossing of groupings, its groups.

    Returns:
        Columns `by` (the groupings, joined by commas), one for each grouping (null where it is not one of them), the
        metrics and the counts.
    """
    groups = [(by, one) for by, ones in tables.items() for one in ones]
    records = [
        {"by": ",".join(by)} | {name: one.group.get(name) for name in GROUPINGS} | record(one) for by, one in groups
    ]
    types = {name: pa.string() for name in ("by", *GROUPINGS)} | {name: pa.int64() for name in COUNTS}
    names = list(records[0]) if records else list(types)
    return pa.Table.from_pylist(records, pa.schema([(name, types.get(name, pa.float64())) for name in names]))


def to_csv(table: pa.Table) -> str:
    """The table as CSV with a header; an empty field stands for no value.

    Names come from files, and a spreadsheet computes what looks like a formula: such text begins with an apostrophe,
    which a spreadsheet takes as the sign of text.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, table.column_names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in one.items()} for one in table.to_pylist())
    return text.getvalue()


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def write_table(table: pa.Table, path: Location) -> None:
    """Write the table as Parquet, which appears only when whole.

    Raises:
        OutputError: it cannot be written.
    """
    with written_whole(path) as file:
        pq.write_table(table, file)
