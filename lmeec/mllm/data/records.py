"""Files of records: a JSON array, or JSON lines; mistakes are named with file, line and key."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from lmeec.errors import DataError
from lmeec.files.json import decode_file, decoder_of
from lmeec.files.reading import in_short, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

_LINES = (".jsonl", ".ndjson")
_LONGEST = 200
"""Characters of what is wrong, which may quote the record; the file and the shape belong to the message too."""


def read_records(path: Path, kind: type[T], shape: str) -> Iterator[tuple[Callable[[], str], T]]:
    """Read records one by one.

    Args:
        path: A file of one JSON array, or of one JSON object a line if its name ends in .jsonl or .ndjson.
        kind: What a record is, as `msgspec` knows it.
        shape: Which document says what a record holds, for messages.

    Yields:
        A function that says where the record is, for messages, and the record.

    Raises:
        DataError: The file is missing, empty or broken, or a record lacks a key or has another type there.
    """
    records = _lines(path) if path.suffix in _LINES else _entries(path)
    for where, raw in records:
        try:
            yield where, decoder_of(kind).decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DataError(f"{where()}: {in_short(_in_words(error), _LONGEST)}; {shape}") from error


@contextmanager
def placed(where: Callable[[], str], shape: str) -> Iterator[None]:
    """Say of which record something is wrong, where what is made of it is refused in the block.

    Args:
        where: As `read_records` gives it.
        shape: As for `read_records`.
    """
    try:
        yield
    except DataError as error:
        raise DataError(f"{where()}: {in_short(str(error), _LONGEST)}; {shape}") from error


def _lines(path: Path) -> Iterator[tuple[Callable[[], str], bytes]]:
    with reading(path, DataError, "a file of JSON lines", "make it again"), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield partial("{}, line {}".format, path, number), line


def _entries(path: Path) -> Iterator[tuple[Callable[[], str], msgspec.Raw]]:
    entries = decode_file(path, list[msgspec.Raw])
    for number, raw in enumerate(entries):
        yield partial(_place, path, entries, number), raw


def _place(path: Path, entries: list[msgspec.Raw], number: int) -> str:
    return f"{path}, line {_line_of(path, entries, number)}"


def _line_of(path: Path, entries: list[msgspec.Raw], number: int) -> int:
    """The line, from 1, on which an entry of an array begins: it is found by what the entries before it say."""
    data, place = path.read_bytes(), 0
    for raw in entries[: number + 1]:
        text = bytes(raw)
        place = data.find(text, place)
        begin, place = place, place + len(text)
    return data.count(b"\n", 0, begin) + 1


def _in_words(error: Exception) -> str:
    """What msgspec finds, with the key first."""
    said = str(error)
    what, _, where = said.partition(" - at `$")
    key = where.removesuffix("`").lstrip(".")
    return f"key {key}: {what[:1].lower()}{what[1:]}" if key else f"{what[:1].lower()}{what[1:]}"
