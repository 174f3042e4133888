"""Reading results tables, with messages for files that are missing, damaged or foreign."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.errors import LmeecError, OutputError
from lmeec.files.locations import is_local, names_in
from lmeec.files.reading import in_short
from lmeec.tables.coverage import Coverage, coverage_in
from lmeec.tables.history import history_in
from lmeec.tables.metadata import METADATA_KEY, VERSION_KEY, Contents, RunMetadata, contents_of, run_of
from lmeec.tables.output import Output
from lmeec.tables.schema import ADDED_COLUMNS, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lmeec.files.locations import Location
    from lmeec.tables.history import Step

_BATCH_ROWS = 65_536
_READERS = 16


def read_results(path: Location | str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a results table, or some of its columns, into memory.

    Its schema's metadata keeps the run, so that what is scored by the wrong protocol is refused from memory too.

    Args:
        path: a file that `lmeec predict` wrote, or a folder that it filled; a local path or a URL.
        columns: names of the columns; all without.

    Raises:
        OutputError: no such file, no whole Parquet file, not a results table, no such column, or a folder that
            lacks files.
    """
    table = pa.Table.from_batches(scan_results(path, columns), schema=_selected(columns))
    return table.replace_schema_metadata({METADATA_KEY: read_metadata(path).to_json()})


def scan_results(path: Location | str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a results table in record batches, however large it is.

    Raises:
        OutputError: as for `read_results`.
    """
    schema = _selected(columns)
    for one in result_files(path):
        with open_results(one) as file, _explaining(one):
            there = set(file.schema_arrow.names)
            stored = [name for name in schema.names if name in there]
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=stored or SCHEMA.names[:1]):
                yield with_all_columns(batch, schema)


def with_all_columns(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Select and order columns; those that tables of version 1 lack are null.

    Args:
        batch: rows of a results table.
        schema: columns out of `SCHEMA`.

    Raises:
        pyarrow.ArrowException: a column is of another type.
    """
    if batch.schema.equals(schema):
        return batch
    columns = [
        batch[field.name].cast(field.type) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.record_batch(columns, schema=schema)


def read_metadata(path: Location | str) -> RunMetadata:
    """Read what a table's rows depend on: model, checkpoints, settings, annotations.

    Raises:
        OutputError: as for `read_results`.
    """
    first = result_files(path)[0]
    with open_results(first) as file:
        return run_of(file.schema_arrow.metadata, str(first))


def read_history(path: Location | str) -> tuple[Step, ...]:
    """Read how a table came to be, command after command; nothing of tables that do not tell.

    Raises:
        OutputError: as for `read_results`.
    """
    first = result_files(path)[0]
    with open_results(first) as file:
        return history_in(file.schema_arrow.metadata, str(first))


def read_contents(path: Location | str) -> Contents:
    """Read which takes and directions a table was made of.

    Raises:
        OutputError: as for `read_results`.
    """
    first = result_files(path)[0]
    with open_results(first) as file:
        return contents_of(file.schema_arrow.metadata, str(first))


def read_coverage(path: Location | str) -> dict[tuple[str, str], Coverage]:
    """Read of which pairs of cameras a table's rows are, and of what videos, by take and direction.

    Rows of other pairs are those of cameras that failed. Tables that were imported or made by an earlier version do
    not tell.

    Raises:
        OutputError: as for `read_results`.
    """
    found: dict[tuple[str, str], Coverage] = {}
    with ThreadPoolExecutor(_READERS) as pool:
        for coverage in pool.map(_coverage_of, result_files(path)):
            found |= coverage
    return found


def _coverage_of(path: Location) -> dict[tuple[str, str], Coverage]:
    with open_results(path) as file:
        return coverage_in(file.schema_arrow.metadata, str(path))


def count_rows(path: Location | str) -> int:
    """Count the rows of a table without reading them.

    Raises:
        OutputError: as for `read_results`.
    """
    rows = 0
    for one in result_files(path):
        with open_results(one) as file:
            rows += file.metadata.num_rows
    return rows


def count_missing(path: Location | str) -> int:
    """Count the rows of a table that have no prediction.

    Raises:
        OutputError: as for `read_results`.
    """
    return sum(batch.num_rows - batch["missing"].null_count for batch in scan_results(path, ["missing"]))


def has_truth(path: Location | str) -> bool:
    """Whether a table has ground truth of any of its frames.

    Raises:
        OutputError: as for `read_results`.
    """
    states = (batch["gt_state"].unique().to_pylist() for batch in scan_results(path, ["gt_state"]))
    return any(set(found) - {"unannotated", None} for found in states)


def result_files(path: Location | str) -> list[Location]:
    """The Parquet files of a results table: itself, or those in a folder, sorted by name.

    Raises:
        OutputError: it does not exist, or is a folder that does not hold all files of one run.
    """
    path = Output.of(path).path
    if not path.is_dir():
        return [path]
    files = [path / name for name in names_in(path) if name.endswith(".parquet") and not name.startswith(".")]
    if not files:
        raise OutputError(f"{path} is a folder without Parquet files: give the results that `lmeec predict` wrote")
    with open_results(files[0]) as file:
        expected = contents_of(file.schema_arrow.metadata, str(files[0])).count
    if len(files) != expected:
        raise OutputError(f"{path} holds {len(files)} results files, but should hold {expected}: predict again")
    return files


@contextlib.contextmanager
def open_results(path: Location) -> Iterator[pq.ParquetFile]:
    """Open a results table or a part of one after checking that it is one.

    Raises:
        OutputError: as for `read_results`.
    """
    with contextlib.ExitStack() as stack:
        with _explaining(path):
            if path.is_dir():
                raise OutputError(f"{path} is a folder: give the Parquet file that `lmeec predict` wrote")
            if not path.exists():
                raise OutputError(f"{path} does not exist: check the name, or make it with `lmeec predict`")
            if is_local(path) and not path.is_file():  # opening a pipe would wait for who writes to it
                raise OutputError(f"{path} is a pipe or a device: give the Parquet file that `lmeec predict` wrote")
            source = path if is_local(path) else stack.enter_context(path.open("rb"))
            file = stack.enter_context(pq.ParquetFile(source, page_checksum_verification=True))
        schema = file.schema_arrow  # which is made anew each time that it is asked for
        run_of(schema.metadata, str(path))
        lacking = set(SCHEMA.names).difference(schema.names, _added(schema))
        missing = [name for name in SCHEMA.names if name in lacking]
        if missing:
            raise OutputError(f"{path} lacks the columns {', '.join(missing)}: it was changed after it was written")
        yield file


def _added(schema: pa.Schema) -> tuple[str, ...]:
    """Columns that a table of this version need not have."""
    return ADDED_COLUMNS if schema.metadata[VERSION_KEY] == b"1" else ()


@contextlib.contextmanager
def _explaining(path: Location) -> Iterator[None]:
    try:
        yield
    except LmeecError:
        raise
    except PermissionError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # Arrow's own, and what comes of text in it that is none
        raise OutputError(
            f"{path} is not a whole Parquet file; it is truncated, damaged or of another kind ({in_short(str(error))})"
        ) from error


def _selected(columns: Sequence[str] | None) -> pa.Schema:
    if columns is None:
        return SCHEMA
    unknown = [name for name in columns if name not in SCHEMA.names]
    if unknown:
        raise OutputError(f"no such column: {', '.join(unknown)}; there are {', '.join(SCHEMA.names)}")
    return pa.schema([SCHEMA.field(name) for name in columns])
