"""Typed JSON files, read without copying what nobody asked for."""

from __future__ import annotations

import codecs
import mmap
import re
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from lmeec.errors import DataError, OutputError
from lmeec.files.places import local_file
from lmeec.files.reading import check_regular, in_short, reading, understanding

if TYPE_CHECKING:
    from lmeec.files.locations import Location
    from lmeec.files.places import Place

T = TypeVar("T")

_CHUNK = 2**20
_MEND = "download it again"
_LARGEST_RECORD = 2**28  # bytes; a run of a hundred thousand takes needs a tenth
_MAKING = threading.Lock()
_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}


def decoder_of(kind: type[T]) -> msgspec.json.Decoder[T]:
    """The decoder of a type, made once.

    msgspec looks into a type when it meets it first. Two threads that do so at once end the process (version 0.22):
    one uses what the other has half done. So whatever threads may decode comes through here.
    """
    with _MAKING:
        if kind not in _DECODERS:
            _DECODERS[kind] = msgspec.json.Decoder(kind)
        return _DECODERS[kind]


def decode_file(path: Place, kind: type[T], mend: str = _MEND) -> T:
    """Decode a JSON file as `kind`, skipping fields that `kind` does not have.

    The file, or a copy of one that is elsewhere, is mapped, not loaded: `msgspec.Raw` fields of the result point into
    the map and keep it alive, so that a gigabyte of annotations takes no memory of its own.

    Args:
        path: The file.
        kind: A type that `msgspec` knows.
        mend: What the user can do about a damaged one.

    Raises:
        DataError: The file cannot be read, is not JSON (with line and column), or does not have the fields and
            types of `kind`.
    """
    if check_regular(path, DataError) == 0:
        raise DataError(f"{path}: the file is empty, JSON is expected; {mend}")
    with understanding(path, DataError, "a JSON file", mend):
        with local_file(path) as local, local.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            return decoder_of(kind).decode(data)
        except msgspec.ValidationError as error:
            raise DataError(f"{path}: does not have the expected content: {in_short(str(error))}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: {_syntax_problem(data, error)}; {mend}") from error
        except RecursionError as error:
            raise DataError(f"{path}: JSON is nested too deeply to be of this format") from error


def decode_part(part: msgspec.Raw, kind: type[T], path: Place, what: str) -> T:
    """Decode one part of a file that `decode_file` left raw.

    Args:
        part: The raw part.
        kind: A type that `msgspec` knows.
        path: The file that it comes from, for messages.
        what: What the part is, for messages.

    Raises:
        DataError: The part does not have the fields and types of `kind`.
    """
    with understanding(path, DataError, "a JSON file", "download it again"):
        try:
            return decoder_of(kind).decode(part)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: {what} does not have the expected content: {in_short(str(error))}") from error
        except RecursionError as error:
            raise DataError(f"{path}: {what} is nested too deeply to be of this format") from error


def read_record(path: Location, kind: type[T]) -> T | None:
    """Decode a small JSON file of lmeec's own, which may be in an object store; None where there is none.

    Raises:
        OutputError: it cannot be read, or is damaged.
    """
    try:
        with reading(path, OutputError, "a file of lmeec", "remove it", most=_LARGEST_RECORD):
            return decoder_of(kind).decode(path.read_bytes())
    except OutputError as error:
        if isinstance(error.__cause__ or error.__context__, FileNotFoundError):
            return None
        raise


def _syntax_problem(data: mmap.mmap | bytes, error: msgspec.DecodeError | UnicodeDecodeError) -> str:
    # since version 0.23 msgspec says it in an error of its own, without the place
    if isinstance(error, UnicodeDecodeError) or "UTF-8" in str(error):
        return f"{_place(data, _first_bad_utf8(data))} is not valid UTF-8"
    found = re.fullmatch(r"(?:JSON is malformed: )?(.*?)(?: \(byte (\d+)\))?", str(error))
    assert found is not None
    if found[2] is None:
        return f"the JSON breaks off at {_place(data, len(data))}"
    offset = int(found[2])
    if found[1] == "trailing characters":
        offset -= 1  # msgspec gives the byte after the one it objects to, here only
    return f"broken JSON at {_place(data, offset)}: {found[1]}"


def _place(data: mmap.mmap | bytes, offset: int) -> str:
    """Give line and column, both from 1, columns counted in bytes, of a byte offset."""
    newlines = 0
    for start in range(0, offset, _CHUNK):
        newlines += data[start : min(start + _CHUNK, offset)].count(b"\n")
    column = offset - data.rfind(b"\n", 0, offset)
    return f"line {newlines + 1}, column {column}"


def _first_bad_utf8(data: mmap.mmap | bytes) -> int:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), _CHUNK):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(data[start : start + _CHUNK], final=start + _CHUNK >= len(data))
        except UnicodeDecodeError as error:
            return start - pending + error.start
    return len(data)
