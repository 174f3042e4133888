"""Joining the parts of a run into one sorted Parquet file."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from lmeec.errors import OutputError
from lmeec.tables.files import naming_the_file, written_whole
from lmeec.tables.metadata import file_metadata
from lmeec.tables.parts import COMPRESSION, PartInfo, read_part_info
from lmeec.tables.read import read_results
from lmeec.tables.schema import SCHEMA

ROW_GROUP_ROWS = 8_192

_ORDER_IN_PART = ("object", "query_cam", "target_cam", "frame")


def merge_parts(parts: Sequence[Path], out: Path | str, *, overwrite: bool = False) -> int:
    """Join part files into one results table, which appears under its name only when whole.

    Rows are sorted by take_uid, direction, object, query_cam, target_cam and frame. A row group holds rows of
    one take and direction. One part at a time is in memory.

    Args:
        parts: part files of one run.
        out: the results file.
        overwrite: replace an existing file.

    Returns:
        The number of rows.

    Raises:
        OutputError: `out` exists, there are no parts, a part is damaged, parts are of different runs, two
            parts hold the same take and direction, or the file cannot be written.
    """
    out = Path(out)
    check_free(out, overwrite=overwrite)
    if not parts:
        raise OutputError(f"there are no parts to make {out} of")
    infos = sorted(map(read_part_info, parts), key=_take_and_direction)
    _check_same_run(infos)
    _check_no_duplicates(infos)
    schema = SCHEMA.with_metadata(file_metadata(infos[0].run))
    with (
        written_whole(out) as file,
        naming_the_file(out),
        pq.ParquetWriter(file, schema, compression=COMPRESSION) as writer,
    ):
        for info in infos:
            table = read_results(info.path).sort_by([(name, "ascending") for name in _ORDER_IN_PART])
            writer.write_table(table, ROW_GROUP_ROWS)
    return sum(info.rows for info in infos)


def _take_and_direction(info: PartInfo) -> tuple[str, str]:
    return info.take_uid, info.direction


def check_free(out: Path, *, overwrite: bool) -> None:
    """Refuse an output that exists already; to be asked before hours of work as well as before writing.

    Raises:
        OutputError: there is a file and `overwrite` is false, or there is a folder.
    """
    if out.is_dir():
        raise OutputError(f"{out} is a folder: name a file for the results, as {out / 'results.parquet'}")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already: name another file, or pass --overwrite to replace it")


def _check_same_run(infos: Sequence[PartInfo]) -> None:
    first = infos[0]
    for info in infos[1:]:
        if info.run.fingerprint != first.run.fingerprint:
            lines = "".join(f"\n  {line}" for line in first.run.differences(info.run))
            raise OutputError(
                f"parts of different runs are not joined; {first.path} and {info.path} differ in{lines}\n"
                f"remove the parts of the run you do not want from {info.path.parent}, or name another output"
            )


def _check_no_duplicates(infos: Sequence[PartInfo]) -> None:
    for first, second in itertools.pairwise(infos):
        if _take_and_direction(first) == _take_and_direction(second):
            raise OutputError(
                f"{first.path} and {second.path} hold the same take and direction "
                f"({first.take_uid}, {first.direction}): remove one of them"
            )
