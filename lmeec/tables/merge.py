"""Joining the parts of a run into one sorted Parquet file, or into a folder with one file a take and direction."""

from __future__ import annotations

import itertools
import json
import operator
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.errors import OutputError
from lmeec.files.locations import is_local, names_in
from lmeec.files.names import show
from lmeec.files.whole import made_whole, written_whole
from lmeec.tables.coverage import COVERAGE_KEY, Entry, encode_entries
from lmeec.tables.history import history_metadata
from lmeec.tables.metadata import CONTENTS_KEY, Contents, file_metadata
from lmeec.tables.output import Output
from lmeec.tables.parts import COMPRESSION, PartInfo, check_part, read_part_info, set_aside, table_name
from lmeec.tables.read import open_results, scan_results
from lmeec.tables.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from typing import TypeAlias

    from lmeec.files.locations import Location
    from lmeec.tables.history import Step

    Finish: TypeAlias = Callable[[pa.Table], pa.Table]

ROW_GROUP_ROWS = 8_192

_ORDER_IN_TAKE = ("object", "query_cam", "target_cam", "frame")
_READERS = 16
_AHEAD = {True: 2, False: 16}
"""Takes that are read while others are written; a store takes a while to answer for each."""


def merge_parts(
    parts: Sequence[Location | PartInfo],
    out: Location | str | Output,
    *,
    overwrite: bool = False,
    finish: Finish = lambda rows: rows,
    history: Sequence[Step] = (),
) -> int:
    """Join part files into one results table, which appears under its name only when whole.

    Rows are sorted by take_uid, direction, object, query_cam, target_cam and frame. A row group holds rows of
    one take and direction. The parts of a few takes and directions at a time are in memory.

    In an object store a folder has no name of its own that could appear at once: its files appear one by one, and
    each says how many there must be, which reading checks.

    Args:
        parts: part files of one run, or what is known of them.
        out: the results file, or the folder to fill when the name ends in a slash.
        overwrite: replace an existing output.
        finish: is given all rows of a take and direction, sorted, and returns them as they are to be written.
        history: how they came to be, to be kept with them.

    Returns:
        The number of rows.

    Raises:
        OutputError: `out` exists, there are no parts, a part is damaged, parts are of different runs, two
            parts hold the same rows, or the output cannot be written.
    """
    out = Output.of(out)
    check_free(out, overwrite=overwrite)
    if not parts:
        raise OutputError(f"there are no parts to make {out} of")
    known = [part for part in parts if isinstance(part, PartInfo)]
    others = [part for part in parts if not isinstance(part, PartInfo)]
    infos = sorted([*known, *read_part_infos(others)], key=_order)
    _check_same_run(infos)
    _check_no_duplicates(infos)
    contents = Contents.of(_take_and_direction(info) for info in infos)
    about = file_metadata(infos[0].run) | {CONTENTS_KEY: json.dumps(asdict(contents)).encode()}
    about |= history_metadata(history)
    takes = [list(group) for _, group in itertools.groupby(infos, _take_and_direction)]
    if out.partitioned:
        _write_folder(takes, out.path, about, finish)
    else:
        _write_file(takes, (rows for _, rows in _read_ahead(takes)), out.path, about, finish)
    return sum(info.rows for info in infos)


def read_part_infos(parts: Sequence[Location], *, skip_damaged: bool = False) -> list[PartInfo]:
    """Read what parts hold, several at a time, as an object store takes a while to answer for each.

    Args:
        parts: part files.
        skip_damaged: leave out those that cannot be read.

    Raises:
        OutputError: one is damaged.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        infos = pool.map(_info_or_none if skip_damaged else read_part_info, parts)
        return [info for info in infos if info is not None]


def set_aside_damaged(parts: Sequence[Location]) -> tuple[list[PartInfo], dict[Location, OutputError]]:
    """Look through parts, rows and all, and rename those that are damaged.

    Returns:
        What the others hold; and where the damaged ones are now, and why.

    Raises:
        OutputError: a damaged one cannot be renamed.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        looked = list(zip(parts, pool.map(_info_or_problem, parts), strict=True))
    damaged = {set_aside(path): found for path, found in looked if isinstance(found, OutputError)}
    return [found for _, found in looked if isinstance(found, PartInfo)], damaged


def _info_or_problem(path: Location) -> PartInfo | OutputError:
    try:
        return check_part(path)
    except OutputError as error:
        return error


def _info_or_none(path: Location) -> PartInfo | None:
    try:
        return read_part_info(path)
    except OutputError:
        return None


def check_free(out: Location | str | Output, *, overwrite: bool) -> None:
    """Refuse an output that exists already; to be asked before hours of work as well as before writing.

    Raises:
        OutputError: there is a file and `overwrite` is false, or there is a folder that is not ours to replace.
    """
    out = Output.of(out)
    if out.partitioned:
        _check_folder_free(out, overwrite=overwrite)
    elif out.path.exists() and not overwrite:
        raise OutputError(
            f"{out} exists already: name another file, or pass `overwrite=True` to replace it", settings=["overwrite"]
        )


def _check_folder_free(out: Output, *, overwrite: bool) -> None:
    if out.path.exists() and not out.path.is_dir():
        raise OutputError(f"{out} is a file, not a folder: leave out the slash at the end, or name another folder")
    names = list(names_in(out.path))
    if not names:
        return
    foreign = [name for name in names if not _is_ours(out.path / name)]
    if foreign:
        raise OutputError(
            f"{out} is a folder with other files than results ({foreign[0]}): name a file in it, as "
            f"{out.path / 'results.parquet'}, or another folder"
        )
    if not overwrite:
        raise OutputError(
            f"{out} exists already: name another folder, or pass `overwrite=True` to replace it", settings=["overwrite"]
        )


def _is_ours(path: Location) -> bool:
    if path.name.startswith(".") or not path.name.endswith(".parquet"):
        return False
    try:
        with open_results(path):
            return True
    except OutputError:
        return False


def _take_and_direction(info: PartInfo) -> tuple[str, str]:
    return info.take_uid, info.direction


def _order(info: PartInfo) -> tuple[str, str, str]:
    return info.take_uid, info.direction, info.path.name


def _table(infos: Sequence[PartInfo]) -> pa.Table:
    table = pa.Table.from_batches([batch for info in infos for batch in scan_results(info.path)], schema=SCHEMA)
    return table.sort_by([(name, "ascending") for name in _ORDER_IN_TAKE])


def _read_ahead(takes: Sequence[Sequence[PartInfo]]) -> Iterator[tuple[Sequence[PartInfo], pa.Table]]:
    """Read and sort the rows of takes, in their order, a few ahead of who writes them."""
    ahead = _AHEAD[is_local(takes[0][0].path)]
    with ThreadPoolExecutor(ahead) as pool:
        waiting: deque[tuple[Sequence[PartInfo], Future[pa.Table]]] = deque()
        try:
            for infos in takes:
                waiting.append((infos, pool.submit(_table, infos)))
                if len(waiting) > ahead:
                    done, rows = waiting.popleft()
                    yield done, rows.result()
            while waiting:
                done, rows = waiting.popleft()
                yield done, rows.result()
        finally:
            for _, rows in waiting:
                rows.cancel()


def _entry(infos: Sequence[PartInfo]) -> Entry:
    coverage = reduce(operator.or_, (info.coverage for info in infos))
    return Entry(infos[0].take_uid, infos[0].direction, coverage)


def _write_file(
    takes: Sequence[Sequence[PartInfo]],
    tables: Iterable[pa.Table],
    out: Location,
    about: Mapping[bytes, bytes],
    finish: Finish,
) -> None:
    coverage = {COVERAGE_KEY: encode_entries(map(_entry, takes))}
    schema = SCHEMA.with_metadata({**about, **coverage})
    with (
        written_whole(out) as file,
        pq.ParquetWriter(file, schema, compression=COMPRESSION, write_page_checksum=True) as writer,
    ):
        for rows in tables:
            writer.write_table(finish(rows), ROW_GROUP_ROWS)


def _write_folder(
    takes: Sequence[Sequence[PartInfo]], out: Location, about: Mapping[bytes, bytes], finish: Finish
) -> None:
    if not isinstance(out, Path):
        kept = set(_write_files(takes, out, about, finish))
        for name in names_in(out):
            if name not in kept:
                (out / name).unlink()
        return
    with made_whole(out) as aside:
        for _ in _write_files(takes, aside, about, finish):
            pass


def _write_files(
    takes: Sequence[Sequence[PartInfo]], folder: Location, about: Mapping[bytes, bytes], finish: Finish
) -> Iterator[str]:
    """Write a file a take and direction; yields their names."""
    for infos, rows in _read_ahead(takes):
        name = table_name(infos[0].take_uid, infos[0].direction)
        _write_file([infos], [rows], folder / name, about, finish)
        yield name


def _check_same_run(infos: Sequence[PartInfo]) -> None:
    first = infos[0]
    for info in infos[1:]:
        if info.run != first.run:
            lines = "".join(f"\n  {line}" for line in first.run.differences(info.run))
            raise OutputError(
                f"parts of different runs are not joined; {first.path} and {info.path} differ in{lines}\n"
                f"remove the parts of the run you do not want from {info.path.parent}, or name another output"
            )


def _check_no_duplicates(infos: Sequence[PartInfo]) -> None:
    for _, group in itertools.groupby(infos, _take_and_direction):
        for first, second in itertools.combinations(group, 2):
            pieces = set(first.coverage.pairs), set(second.coverage.pairs)
            if not any(pieces) or not pieces[0].isdisjoint(pieces[1]):
                raise OutputError(
                    f"{first.path} and {second.path} hold the same take and direction "
                    f"({show(first.take_uid)}, {first.direction}): remove one of them"
                )
