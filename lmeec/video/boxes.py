"""What the boxes of an MP4 file say of its samples, read before FFmpeg makes an index as long as they say.

Boxes are those of ISO/IEC 14496-12: a size and a name, then either boxes or fields. A file of kilobytes whose damaged
tables speak of millions of samples makes FFmpeg take gigabytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from lmeec.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmeec.video.source import VideoSource

_CONTAINERS = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"))
_FIRST = frozenset((b"ftyp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"styp", b"sidx"))
_RUNS = frozenset((b"stts", b"ctts"))  # entries of a count and a time
_DEEPEST = 8
_ENTRY = 8
_CHUNK = 2**16 * _ENTRY


def check_samples(source: VideoSource) -> None:
    """Refuse an MP4 file with more samples than bytes, in any of its tables; other formats pass unread.

    Raises:
        DataError: there are more.
        OSError: the file cannot be read.
    """
    size = source.size
    with source.bytes() as file:
        if file.read(8)[4:] not in _FIRST:
            return
        for name, start, end in _boxes(file, 0, size, 0):
            count = _samples(file, name, start, end)
            if count > size:
                raise DataError(
                    f"{source.path}: its index is damaged: table {name.decode()} speaks of {count:,} samples, in a "
                    f"file of {size:,} bytes; download it again"
                )


def _boxes(file: BinaryIO, start: int, end: int, depth: int) -> Iterator[tuple[bytes, int, int]]:
    """Names of the boxes that hold fields, and where these begin and end."""
    while start + 8 <= end:
        file.seek(start)
        header = file.read(16)
        size, name, body = int.from_bytes(header[:4]), header[4:8], start + 8
        if size == 1:
            size, body = int.from_bytes(header[8:16]), start + 16
        stop = end if size == 0 else min(start + size, end)
        if stop < body:
            return
        if name in _CONTAINERS and depth < _DEEPEST:
            yield from _boxes(file, body, stop, depth + 1)
        else:
            yield name, body, stop
        start = stop


def _samples(file: BinaryIO, name: bytes, start: int, end: int) -> int:
    """How many samples a table speaks of; 0 for boxes that are none."""
    file.seek(start)
    if name in (b"stsz", b"stz2"):
        return int.from_bytes(file.read(12)[8:])
    if name == b"trun":
        return int.from_bytes(file.read(8)[4:])
    if name not in _RUNS:
        return 0
    entries = min(int.from_bytes(file.read(8)[4:]), (end - start - 8) // _ENTRY)
    total, left = 0, entries * _ENTRY
    while left > 0:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            break
        total += sum(int.from_bytes(chunk[at : at + 4]) for at in range(0, len(chunk), _ENTRY))
        left -= len(chunk)
    return total
