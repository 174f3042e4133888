"""Part files: the rows of one take in one direction, or of a piece of it, there only when whole."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lmeec.config import Direction
from lmeec.errors import OutputError, require
from lmeec.files.locations import is_local, names_in
from lmeec.files.names import safe_name
from lmeec.files.stamps import stamp_of
from lmeec.files.whole import TEMPORARY_SUFFIX, written_whole
from lmeec.tables.coverage import COVERAGE_KEY, Coverage, Entry, coverage_in, encode_entries
from lmeec.tables.metadata import RunMetadata, file_metadata, run_of
from lmeec.tables.notes import Note, is_index
from lmeec.tables.output import Output
from lmeec.tables.read import open_results, scan_results
from lmeec.tables.schema import SCHEMA, ResultRow, rows_to_batch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from types import TracebackType

    from lmeec.files.locations import Location

PART_KEY = b"lmeec.part"
COMPRESSION = "zstd"

_SUFFIX = ".part.parquet"
_DAMAGED = ".damaged"
_ROWS_AT_ONCE = 4096
_BATCHES_AT_ONCE = 32
"""A batch takes 22 KB besides its rows, and may have but one."""


@dataclass(frozen=True, slots=True)
class PartInfo:
    """What one part file holds.

    Attributes:
        path: the file.
        take_uid: its take.
        direction: its direction.
        rows: number of rows.
        run: what its rows depend on.
        coverage: the pairs of cameras that are done by it; none for rows that were not predicted here.
    """

    path: Location
    take_uid: str
    direction: Direction
    rows: int
    run: RunMetadata
    coverage: Coverage = field(default_factory=Coverage)


def parts_directory(out: Location | str) -> Location:
    """Return the folder of the parts of a results file: `<out>.parts` beside it."""
    return Output.of(out).parts


def part_path(directory: Location, take_uid: str, direction: Direction, piece: str | None = None) -> Location:
    """Return the part file of a take and direction, or of a piece of it, which any text names.

    The name shows what it can of the take and is told apart by a digest, so that any take name gives one file
    directly in `directory`, also where the file system ignores case.

    Example:
        >>> from pathlib import Path
        >>> part_path(Path("out.parts"), "../Küche 1", "ego2exo").name
        'K-che-1.5de3d08f0f02.ego2exo.part.parquet'
    """
    some = "" if piece is None else f".{safe_name(piece, 'piece', 20)}"
    return directory / f"{_stem(take_uid, direction)}{some}{_SUFFIX}"


def table_name(take_uid: str, direction: Direction) -> str:
    """The name of the file of a take and direction in results that are a folder."""
    return f"{_stem(take_uid, direction)}.parquet"


def _stem(take_uid: str, direction: Direction) -> str:
    return f"{safe_name(take_uid, 'take', 60)}.{direction}"


class PartWriter:
    """Writes the part file of one take and direction; owns that file until it is whole.

    A context manager: the file appears under `path` when the block ends without an exception, and not at all
    otherwise. A part of the same take and direction that was there before is replaced then.

    Args:
        directory: folder of the parts (see `parts_directory`), made when missing.
        run: what the rows depend on, stored in the file.
        take_uid: the take.
        direction: the direction.
        piece: tells several parts of one take and direction apart; None for the only one.
        coverage: which pairs of cameras the rows are of.

    Attributes:
        path: the file.
        rows: written so far.
        note: of the file once it is whole; None before, and where its file system does not tell files apart.

    Raises:
        OutputError: the file cannot be written (no space, no permission); the message names it.

    Example:
        with PartWriter(parts_directory(out), run, take.uid, "ego2exo") as part:
            for batch in lmeec.predict_take(model, take, "ego2exo"):
                part.write_batch(batch)
    """

    def __init__(
        self,
        directory: Location,
        run: RunMetadata,
        take_uid: str,
        direction: Direction,
        piece: str | None = None,
        coverage: Coverage | None = None,
    ) -> None:
        self.path = part_path(directory, take_uid, direction, piece)
        self.rows = 0
        self.note: Note | None = None
        self._run = run
        self._only = {"take_uid": take_uid, "direction": direction}
        self._entry = entry = Entry(take_uid, direction, coverage or Coverage())
        part = {PART_KEY: json.dumps(self._only).encode(), COVERAGE_KEY: encode_entries([entry])}
        self._schema = SCHEMA.with_metadata(file_metadata(run) | part)
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        file = self._stack.enter_context(written_whole(self.path))
        self._writer = pq.ParquetWriter(file, self._schema, compression=COMPRESSION, write_page_checksum=True)
        return self

    def write(self, rows: Iterable[ResultRow]) -> None:
        """Add rows of this take and direction, in any order.

        Raises:
            OutputError: they cannot be written, or are of another take or direction.
            DataError: the counts of a mask are bad.
        """
        self.write_batch(rows_to_batch(list(rows)))

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Add rows that are a record batch of `SCHEMA` already, as `lmeec.predict_take` yields them.

        Raises:
            OutputError: they cannot be written, or are of another take or direction.
        """
        for name, only in self._only.items():
            if any(value != only for value in pc.unique(batch[name]).to_pylist()):
                take_uid, *others = self._only.values()
                raise OutputError(f"{self.path} is for take {take_uid} ({', '.join(others)}) only")
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        if self._waiting_rows >= _ROWS_AT_ONCE:
            self._flush()
        elif len(self._waiting) >= _BATCHES_AT_ONCE:
            self._waiting = pa.Table.from_batches(self._waiting).combine_chunks().to_batches()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._flush()
                self._writer.close()
                # Its destructor would swallow an interrupt (Ctrl-C) that comes while the file is put on disk.
                del self._writer
            except BaseException as failure:
                self._abandon(failure)
                raise
            self._stack.close()
            self.note = self._note()
        else:
            self._abandon(error)

    def _note(self) -> Note | None:
        try:
            stamp = stamp_of(self.path)
        except Exception:  # of the store's own client as well; the part is there, and is looked into where needed
            return None
        entry, run = self._entry, self._run.fingerprint
        return Note(self.path.name, stamp, entry.take_uid, entry.direction, self.rows, run, entry.coverage)

    def _flush(self) -> None:
        if self._waiting_rows:
            self._writer.write_table(pa.Table.from_batches(self._waiting, schema=self._schema))
        self.rows += self._waiting_rows
        self._waiting.clear()
        self._waiting_rows = 0

    def _abandon(self, error: BaseException) -> None:
        with contextlib.suppress(OutputError):
            self._writer.close()
        self._stack.__exit__(type(error), error, error.__traceback__)


def list_parts(directory: Location) -> list[Location]:
    """Return the whole part files in a folder, sorted by name; none if there is no such folder."""
    return [directory / name for name in names_in(directory) if is_part(name)]


def is_part(name: str) -> bool:
    """Whether it is the name of a whole part file."""
    return name.endswith(_SUFFIX) and not name.startswith(".")


def read_part_info(path: Location) -> PartInfo:
    """Read what a part file holds, without its rows.

    Raises:
        OutputError: the file is missing, damaged or not a part.
    """
    with open_results(path) as file:
        metadata = file.schema_arrow.metadata
        try:
            part = json.loads(metadata[PART_KEY])
            take_uid, direction = str(part["take_uid"]), part["direction"]
            require(direction in get_args(Direction), "direction", direction, "a direction")
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise OutputError(f"{path} is a results table, but not a part of one: move it to another folder") from error
        run = run_of(metadata, str(path))
        coverage = coverage_in(metadata, str(path)).get((take_uid, direction), Coverage())
        return PartInfo(path, take_uid, direction, file.metadata.num_rows, run, coverage)


def check_part(path: Location) -> PartInfo:
    """Read what a part file holds and, to be sure that they can be, its rows.

    Raises:
        OutputError: as `read_part_info`, or a row is damaged.
    """
    info = read_part_info(path)
    for _ in scan_results(path):
        pass
    return info


def set_aside(path: Location) -> Location:
    """Rename a part that is damaged, so that it counts no more; gives where it is now.

    Raises:
        OutputError: it cannot be renamed.
    """
    aside = path.with_name(f"{path.name}{_DAMAGED}")
    try:
        path.rename(str(aside))
    except OSError as error:
        raise OutputError(f"cannot set {path} aside, which is damaged: {error.strerror or error}") from error
    return aside


def remove_parts(directory: Location, *, also: Collection[str] = ()) -> None:
    """Remove parts, those set aside too, their index, what killed writers left, and the folder if it is empty then.

    Args:
        directory: the folder.
        also: names of further files to remove.

    Raises:
        OutputError: a file cannot be removed.
    """
    try:
        for name in list(names_in(directory)):
            temporary = name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)
            part = name.endswith((_SUFFIX, f"{_SUFFIX}{_DAMAGED}"))
            if temporary or part or is_index(name) or name in also:
                (directory / name).unlink(missing_ok=True)
        # An object store has no folders to remove.
        if is_local(directory) and directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
    except OSError as error:
        raise OutputError(f"cannot remove the parts in {directory}: {error.strerror or error}") from error
