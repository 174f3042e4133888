"""Reading a results table take by take, so that memory holds one take however long the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lmeec.tables.read import scan_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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


def _runs(rows: pa.RecordBatch) -> Iterator[tuple[tuple[str, str], pa.RecordBatch]]:
    """Split where the take or the direction changes."""
    ends = [pc.run_end_encode(rows[name]).run_ends.to_pylist() for name in _KEY if rows.num_rows]
    start = 0
    for end in sorted({end for some in ends for end in some}):
        yield (rows["take_uid"][start].as_py(), rows["direction"][start].as_py()), rows.slice(start, end - start)
        start = end
