"""The index of a run's parts: what each holds, in one file beside them, so that going on needs no look into each.

A line a part, as its writer left it: a checksum and JSON. A line counts for a file of the same name, size and time of
change (in a store, ETag) alone; a part without one is looked into, so that an index that is missing, torn or of before
costs time and nothing else. `lmeec.runs.index` writes it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import msgspec

from lmeec.errors import OutputError
from lmeec.files.json import decoder_of
from lmeec.files.locations import names_in
from lmeec.tables.notes import Note, is_index
from lmeec.tables.parts import PartInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lmeec.files.locations import Location
    from lmeec.files.stamps import Stamp
    from lmeec.tables.metadata import RunMetadata


def note_of(info: PartInfo, stamp: Stamp) -> Note:
    """The note of a part that was looked through, rows and all.

    Args:
        info: what it holds.
        stamp: of its file, from before it was read.
    """
    run = info.run.fingerprint
    return Note(info.path.name, stamp, info.take_uid, info.direction, info.rows, run, info.coverage)


def info_of(note: Note, parts: Location, run: RunMetadata) -> PartInfo:
    """What a part holds by its note.

    Args:
        note: of the part.
        parts: the folder.
        run: what its rows depend on, of the note's fingerprint.
    """
    return PartInfo(parts / note.name, note.take_uid, note.direction, note.rows, run, note.coverage)


def index_files(parts: Location) -> list[Location]:
    """The files of an index, in the folder of the parts."""
    return [parts / name for name in names_in(parts) if is_index(name)]


def read_notes(parts: Location) -> dict[str, Note]:
    """Read the index of a folder of parts, by name of file; lines that are damaged are left out.

    Raises:
        OutputError: the folder, or a file, cannot be read.
    """
    return {note.name: note for path in index_files(parts) for note in _notes_in(path)}


def that_hold(notes: Mapping[str, Note], stamps: Mapping[str, Stamp]) -> dict[str, Note]:
    """The notes of files that are as they were when they were noted, by name.

    Args:
        notes: by name of file.
        stamps: of the files that are there.
    """
    return {name: note for name, stamp in stamps.items() if (note := notes.get(name)) and note.stamp == stamp}


def line_of(note: Note) -> bytes:
    """What the index has of a part, without the line's end."""
    content = msgspec.json.encode(note)
    return b"%08x %s" % (zlib.crc32(content), content)


def _notes_in(path: Location) -> Iterator[Note]:
    decoder = decoder_of(Note)
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:  # another driver wrote a new one just now
        return
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror or error}") from error
    for line in lines:
        checksum, _, content = line.partition(b" ")
        if checksum == b"%08x" % zlib.crc32(content):
            try:
                yield decoder.decode(content)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # of another version of lmeec
                continue
