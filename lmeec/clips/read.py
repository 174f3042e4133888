"""Reading clips tables, with messages for files that are missing, damaged or foreign."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.clips.schema import SCHEMA_VERSION
from lmeec.clips.summary import ClipsSummary
from lmeec.errors import OutputError
from lmeec.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

METADATA_KEY = b"lmeec.clips"
VERSION_KEY = b"lmeec.clips.schema_version"
SUMMARY_KEY = b"lmeec.clips.summary"

_BATCH_ROWS = 65_536


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
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except FileNotFoundError:
        raise OutputError(f"{path} does not exist: check the name, or make it with `lmeec clips`") from None
    except (pa.ArrowException, OSError) as error:
        raise OutputError(f"{path} is not a whole Parquet file: it is damaged or of another kind ({error})") from error
    if METADATA_KEY not in metadata:
        raise OutputError(f"{path} is a Parquet file, but not a clips table: give a file that `lmeec clips` wrote")
    version = metadata.get(VERSION_KEY, b"").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        raise OutputError(
            f"{path} has columns of version {version or 'unknown'}, this lmeec ({__version__}) reads version "
            f"{SCHEMA_VERSION}: make it again"
        )
    return ClipsMetadata(json.loads(metadata[METADATA_KEY]), ClipsSummary.from_dict(json.loads(metadata[SUMMARY_KEY])))


def check_replaceable(path: Path) -> None:
    """Allow clips tables of any version to be replaced, and files that cannot be read; no other Parquet files.

    Raises:
        OutputError: The file is another table.
    """
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (pa.ArrowException, OSError):
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
    for batch in _batches(path, columns):
        for run in _takes(batch):
            if held and held[0]["take_uid"][0] != run["take_uid"][0]:
                yield pa.Table.from_batches(held)
                held = []
            held.append(run)
    if held:
        yield pa.Table.from_batches(held)


def _batches(path: Path, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    try:
        yield from pq.ParquetFile(path).iter_batches(_BATCH_ROWS, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise OutputError(
            f"{path} is damaged: make it again with `lmeec clips` and `overwrite=True` ({error})",
            settings=["overwrite"],
        ) from error


def _takes(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Split where the take changes."""
    uids = rows["take_uid"].to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.concatenate([[True], uids[1:] != uids[:-1]])).tolist()
    for start, end in zip(starts, [*starts[1:], len(uids)], strict=True):
        yield rows.slice(start, end - start)
