"""Reading results tables, with messages for files that are missing, damaged or foreign."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.errors import OutputError
from lmeec.tables.metadata import RunMetadata, run_of
from lmeec.tables.schema import SCHEMA

_BATCH_ROWS = 65_536


def read_results(path: Path | str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a results table, or some of its columns, into memory.

    Args:
        path: a file that `lmeec predict` wrote.
        columns: names of the columns; all without.

    Raises:
        OutputError: no such file, no whole Parquet file, not a results table, or no such column.
    """
    return pa.Table.from_batches(scan_results(path, columns), schema=_selected(columns))


def scan_results(path: Path | str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a results table in record batches, however large it is.

    Raises:
        OutputError: as for `read_results`.
    """
    path = Path(path)
    schema = _selected(columns)
    with open_results(path) as file, _explaining(path):
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=schema.names):
            yield batch.select(schema.names).cast(schema)


def read_metadata(path: Path | str) -> RunMetadata:
    """Read what a table's rows depend on: model, checkpoints, settings, annotations.

    Raises:
        OutputError: as for `read_results`.
    """
    path = Path(path)
    with open_results(path) as file:
        return run_of(file.schema_arrow.metadata, str(path))


@contextlib.contextmanager
def open_results(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a results table or a part of one after checking that it is one.

    Raises:
        OutputError: as for `read_results`.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder: give the Parquet file that `lmeec predict` wrote")
    if not path.exists():
        raise OutputError(f"{path} does not exist: check the name, or make it with `lmeec predict`")
    with _explaining(path):
        file = pq.ParquetFile(path)
    with file:
        run_of(file.schema_arrow.metadata, str(path))
        missing = [name for name in SCHEMA.names if name not in file.schema_arrow.names]
        if missing:
            raise OutputError(f"{path} lacks the columns {', '.join(missing)}: it was changed after it was written")
        yield file


@contextlib.contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}") from error
    except (pa.ArrowException, OSError) as error:
        raise OutputError(
            f"{path} is not a whole Parquet file; it is truncated, damaged or of another kind ({error})"
        ) from error


def _selected(columns: Sequence[str] | None) -> pa.Schema:
    if columns is None:
        return SCHEMA
    unknown = [name for name in columns if name not in SCHEMA.names]
    if unknown:
        raise OutputError(f"no such column: {', '.join(unknown)}; there are {', '.join(SCHEMA.names)}")
    return pa.schema([SCHEMA.field(name) for name in columns])
