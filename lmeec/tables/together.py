"""Several tables of the same tracks side by side, a take and direction at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec.errors import DataError, OutputError
from lmeec.files.names import show
from lmeec.files.reading import named
from lmeec.tables.read import read_metadata, result_files
from lmeec.tables.takes import scan_takes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from lmeec.files.locations import Location
    from lmeec.tables.metadata import RunMetadata

Key = tuple[str, str]
"""Take uid and direction."""


def check_same_data(runs: Sequence[Location | str]) -> list[RunMetadata]:
    """Refuse tables that are not whole runs over the same annotations with masks of the same size.

    Returns:
        What the rows of each depend on.

    Raises:
        OutputError: a table cannot be read.
        DataError: they are; the message names the two, or the one.
    """
    found = [read_metadata(run) for run in runs]
    for run, metadata in zip(runs, found, strict=True):
        if metadata.selection is not None:
            raise DataError(
                f"{named(run)} is a selection ({metadata.selection[:80]}), whose rows are not all of its run: give the "
                "table that it was selected from"
            )
        if metadata.fused:
            raise DataError(
                f"{named(run)} is fused already, of {', '.join(metadata.fused)[:120]}: give those tables instead"
            )
        if metadata.annotation_digest != found[0].annotation_digest:
            raise DataError(
                f"{named(runs[0])} and {named(run)} are of different annotations: predict or import both with the same "
                "`annotations`",
                settings=["annotations"],
            )
        if metadata.mask_size != found[0].mask_size:
            raise DataError(
                f"{named(runs[0])} and {named(run)} have masks of different sizes: predict both with the same "
                "`mask_size`",
                settings=["mask_size"],
            )
    return found


def keys_of(run: Location | str) -> list[Key]:
    """Takes and directions of a table's rows, in the order in which `take_by_take` gives them.

    Raises:
        OutputError: the table cannot be read, or its rows are not sorted by take and direction.
    """
    return [(uid, direction) for uid, direction, _ in _sorted_takes(run, ())]


def take_by_take(
    runs: Sequence[Location | str], columns: Sequence[str]
) -> Iterator[tuple[str, str, list[pa.Table | None]]]:
    """Yield the rows that each table has of one take and direction after the other, sorted by both.

    Args:
        runs: results tables; files or folders.
        columns: names of the columns to read.

    Yields:
        Take uid, direction and the rows of each table, None of one that has none.

    Raises:
        OutputError: a table cannot be read, or its rows are not sorted by take and direction.
    """
    scans = [_sorted_takes(run, columns) for run in runs]
    heads = [next(scan, None) for scan in scans]
    while keys := [head[:2] for head in heads if head is not None]:
        first = min(keys)
        found = [head is not None and head[:2] == first for head in heads]
        yield *first, [head[2] if head is not None and here else None for head, here in zip(heads, found, strict=True)]
        heads = [next(scan, None) if here else head for scan, head, here in zip(scans, heads, found, strict=True)]


def _sorted_takes(run: Location | str, columns: Sequence[str]) -> Iterator[tuple[str, str, pa.Table]]:
    """The takes of a table; the files of a folder, which are sorted by names, come in the order of their takes."""
    files = result_files(run)
    if len(files) > 1:
        files.sort(key=lambda file: next(((uid, way) for uid, way, _ in scan_takes(file, ())), ("", "")))
    last: Key | None = None
    for file in files:
        for uid, direction, rows in scan_takes(file, columns):
            if last is not None and (uid, direction) <= last:
                raise OutputError(
                    f"{named(run)}: rows of take {show(uid)} ({direction}) come after those of {show(last[0])} "
                    f"({last[1]}): the table was changed after it was written; predict again"
                )
            last = uid, direction
            yield uid, direction, rows
