"""Reading a results table take by take, so that memory holds one take however long the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lmeec.tables.parts import table_name
from lmeec.tables.read import open_results, result_files, scan_results, with_all_columns
from lmeec.tables.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow.parquet as pq

    from lmeec.config import Direction
    from lmeec.files.locations import Location

_KEY = ("take_uid", "direction")


def scan_takes(
    path: Location | str, columns: Sequence[str], keep: pc.Expression | None = None
) -> Iterator[tuple[str, str, pa.Table]]:
    """Yield the rows of one take and direction after the other, as the table is sorted.

    Args:
        path: a results file or folder.
        columns: names of the columns to read; `take_uid` and `direction` are always read.
        keep: which rows to yield; all without.

    Yields:
        Take uid, direction and the rows, in the table's order.

    Raises:
        OutputError: as for `read_results`.
    """
    read = list(dict.fromkeys([*_KEY, *columns]))
    batches = scan_results(path, read)
    yield from by_take(batches if keep is None else (batch.filter(keep) for batch in batches))


def by_take(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, str, pa.Table]]:
    """Join batches to the rows of one take and direction after the other.

    Args:
        batches: rows with `take_uid` and `direction`, sorted as a results table is.

    Yields:
        Take uid, direction and the rows, in their order.
    """
    key: tuple[str, str] | None = None
    held: list[pa.RecordBatch] = []
    for rows in batches:
        for run_key, run in _runs(rows):
            if key is not None and run_key != key:
                yield *key, pa.Table.from_batches(held)
                held = []
            key = run_key
            held.append(run)
    if key is not None:
        yield *key, pa.Table.from_batches(held)


def read_take(path: Location | str, take_uid: str, direction: Direction) -> pa.Table:
    """Read the rows of one take and direction, and hardly more of the table than them.

    Args:
        path: a results file or folder.
        take_uid: the take.
        direction: the direction.

    Raises:
        OutputError: as for `read_results`.
    """
    files = result_files(path)
    own = [file for file in files if file.name == table_name(take_uid, direction)]
    wanted = (pc.field("take_uid") == take_uid) & (pc.field("direction") == direction)
    found = [SCHEMA.empty_table()]
    for one in own or files:
        with open_results(one) as file:
            groups = [number for number in range(file.num_row_groups) if _may_hold(file.metadata, number, take_uid)]
            for batch in file.iter_batches(row_groups=groups):
                found.append(pa.Table.from_batches([with_all_columns(batch, SCHEMA)]).filter(wanted))
    return pa.concat_tables(found)


def _may_hold(metadata: pq.FileMetaData, group: int, take_uid: str) -> bool:
    """Whether rows of a take can be in a row group, by the smallest and largest uid in it."""
    columns = (metadata.row_group(group).column(place) for place in range(metadata.num_columns))
    known = next(column.statistics for column in columns if column.path_in_schema == "take_uid")
    return known is None or not known.has_min_max or known.min <= take_uid <= known.max


def _runs(rows: pa.RecordBatch) -> Iterator[tuple[tuple[str, str], pa.RecordBatch]]:
    """Split where the take or the direction changes."""
    ends = [pc.run_end_encode(rows[name]).run_ends.to_pylist() for name in _KEY if rows.num_rows]
    start = 0
    for end in sorted({end for some in ends for end in some}):
        yield (rows["take_uid"][start].as_py(), rows["direction"][start].as_py()), rows.slice(start, end - start)
        start = end
