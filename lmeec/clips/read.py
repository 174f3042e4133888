"""Reading clips tables, with messages for files that are missing, damaged or foreign."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.clips.schema import SCHEMA, SCHEMA_VERSION
from lmeec.clips.summary import ClipsSummary
from lmeec.errors import OutputError
from lmeec.files.reading import check_regular, in_short, understanding
from lmeec.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

METADATA_KEY = b"lmeec.clips"
VERSION_KEY = b"lmeec.clips.schema_version"
SUMMARY_KEY = b"lmeec.clips.summary"

_BATCH_ROWS = 65_536
_WHAT, _MEND = "a clips table", "make it again with `lmeec clips`"
_ALWAYS = frozenset(field.name for field in SCHEMA if not field.nullable) - {"mean_confidence"}


@dataclass(frozen=True, slots=True)
class ClipsMetadata:
    """What a clips table says of itself.

    Attributes:
        settings: What it was made of, as JSON values; `fingerprint` tells tables apart.
        summary: What it holds.
    """

    settings: dict[str, Any]
    summary: ClipsSummary


def read_clips_metadata(path: Path) -> ClipsMetadata:
    """Read what a clips table says of itself.

    Raises:
        OutputError: The file is missing, damaged, no clips table, or of another version.
    """
    if not path.exists():
        raise OutputError(f"{path} does not exist: check the name, or make it with `lmeec clips`")
    check_regular(path, OutputError)
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise OutputError(
            f"{path} is not a whole Parquet file: it is damaged or of another kind ({in_short(str(error))})"
        ) from error
    if METADATA_KEY not in metadata:
        raise OutputError(f"{path} is a Parquet file, but not a clips table: give a file that `lmeec clips` wrote")
    version = metadata.get(VERSION_KEY, b"").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        raise OutputError(
            f"{path} has columns of version {in_short(version, 20) or 'unknown'}, this lmeec ({__version__}) reads "
            f"version {SCHEMA_VERSION}: make it again"
        )
    with understanding(path, OutputError, _WHAT, _MEND):
        settings, summary = json.loads(metadata[METADATA_KEY]), json.loads(metadata[SUMMARY_KEY])
        return ClipsMetadata(msgspec.convert(settings, dict[str, Any]), ClipsSummary.from_dict(summary))


def check_replaceable(path: Path) -> None:
    """Allow clips tables of any version to be replaced, and files that cannot be read; no other Parquet files.

    Raises:
        OutputError: The file is another table, or a pipe or a device.
    """
    check_regular(path, OutputError)
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return
    if METADATA_KEY not in metadata:
        raise OutputError(f"{path} is a Parquet file, but not a clips table: it is not replaced; name another file")


def scan_clip_takes(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the rows of one take after the other, so that memory holds one take however long the table.

    Args:
        path: A clips table.
        columns: Names of the columns to read, `take_uid` among them; all without.

    Raises:
        OutputError: As for `read_clips_metadata`, or rows are damaged.
    """
    read_clips_metadata(path)
    held: list[pa.RecordBatch] = []
    _check_columns(path, columns)
    for batch in _batches(path, columns):
        for run in _takes(batch):
            if held and held[0]["take_uid"][0] != run["take_uid"][0]:
                yield pa.Table.from_batches(held)
                held = []
            held.append(run)
    if held:
        yield pa.Table.from_batches(held)


def _check_columns(path: Path, columns: Sequence[str] | None) -> None:
    """Refuse a table whose columns another program has changed."""
    with understanding(path, OutputError, _WHAT, _MEND):
        stored = pq.read_schema(path)
        for name in columns or SCHEMA.names:
            expected = SCHEMA.field(name).type
            found = stored.field(name).type if name in stored.names else None
            if found is None or not _holds(found, expected):
                said = "lacks" if found is None else f"has {in_short(str(found), 60)} in"
                raise OutputError(f"{path} {said} the column {name}: it was changed after it was written; {_MEND}")


def _holds(found: pa.DataType, expected: pa.DataType) -> bool:
    """Whether values of one type are what another's are read as; programs differ in how they write lists and text."""
    if pa.types.is_struct(expected):
        return pa.types.is_struct(found) and all(
            found.get_field_index(part.name) >= 0 and _holds(found.field(part.name).type, part.type)
            for part in expected
        )
    if pa.types.is_list(expected):
        return (pa.types.is_list(found) or pa.types.is_large_list(found)) and _holds(
            found.value_type, expected.value_type
        )
    if pa.types.is_string(expected):
        return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
    if pa.types.is_floating(expected):
        return bool(pa.types.is_floating(found))
    if pa.types.is_integer(expected):
        return bool(pa.types.is_integer(found))
    return bool(found == expected)


def _batches(path: Path, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    try:
        for batch in pq.ParquetFile(path).iter_batches(_BATCH_ROWS, columns=columns):
            _check_filled(path, batch)
            yield batch
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise OutputError(
            f"{path} is damaged: make it again with `lmeec clips` and `overwrite=True` ({in_short(str(error))})",
            settings=["overwrite"],
        ) from error


def _check_filled(path: Path, batch: pa.RecordBatch) -> None:
    for name in batch.schema.names:
        if name in SCHEMA.names and batch[name].null_count and name in _ALWAYS:
            raise OutputError(f"{path} has rows without {name}: it was changed after it was written; {_MEND}")


def _takes(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Split where the take changes."""
    uids = rows["take_uid"].to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.concatenate([[True], uids[1:] != uids[:-1]])).tolist()
    for start, end in zip(starts, [*starts[1:], len(uids)], strict=True):
        yield rows.slice(start, end - start)
