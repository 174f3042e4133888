"""Changes of MP4 files: their tree of boxes, the tables in these, the coded pictures, their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tests.fuzz.mutation import octets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

_HOLDERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"moof", b"traf", b"mvex", b"udta"}
_KINDS = (
    b"moov", b"trak", b"mdia", b"stbl", b"stsd", b"stts", b"ctts", b"stsz", b"stco", b"co64", b"stsc", b"stss", b"elst",
    b"avc1", b"hvc1", b"mp4v", b"xxxx", b"avcC", b"free", b"mdat", b"ftyp", b"tkhd", b"mdhd", b"hdlr", b"sidx",
    b"\0\0\0\0",
)  # fmt: skip
_NUMBERS = (0, 1, 2, 3, 24, 255, 600, 0x7FFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 1_000_000)


@dataclass(frozen=True)
class Box:
    """A box: where it is in the file, where its content begins, and where it ends."""

    kind: bytes
    start: int
    content: int
    end: int


def mutate(data: bytes, random: Random) -> bytes:
    """Change an MP4 file."""
    drawn = random.random()
    if drawn < 0.2:
        return octets.mutate(data, random)
    changed = bytearray(data)
    boxes = _boxes(data)
    # From the end on, so that the places of what is before stay.
    chosen = sorted((random.choice(boxes) for _ in range(random.randint(1, 4))), key=lambda box: -box.start)
    for box in chosen:
        _change(changed, box, boxes, random)
    if drawn > 0.95:
        del changed[random.randrange(len(changed)) :]
    return bytes(changed)


def _change(data: bytearray, box: Box, boxes: list[Box], random: Random) -> None:
    how = random.random()
    if how < 0.5 and box.end - box.content >= 4:
        # A field of a table, most of which are of 32 bits.
        at = box.content + 4 * random.randrange((box.end - box.content) // 4)
        if random.random() < 0.3:
            number = (int.from_bytes(data[at : at + 4], "big") + random.choice((-1, 1, 2, 256))) % 2**32
        else:
            number = random.choice(_NUMBERS)
        data[at : at + 4] = number.to_bytes(4, "big")
    elif how < 0.65:
        content = octets.mutate(bytes(data[box.content : box.end]), random, 2)[: box.end - box.content]
        data[box.content : box.content + len(content)] = content
    elif how < 0.75:
        data[box.start + 4 : box.start + 8] = random.choice(_KINDS)
    elif how < 0.85:
        data[box.start : box.start + 4] = random.choice((*_NUMBERS, box.end - box.start + 1)).to_bytes(4, "big")
    elif how < 0.9:
        data[box.start + 4 : box.start + 8] = b"free"  # is as good as removed, and what follows stays in its place
    elif how < 0.95:
        other = random.choice(boxes)
        data[box.start : box.end] = data[other.start : other.end]
    else:
        data[box.start : box.start] = data[box.start : box.end]


@lru_cache(16)
def _boxes(data: bytes) -> list[Box]:
    return list(_within(data, 0, len(data)))


def _within(data: bytes, start: int, end: int) -> Iterator[Box]:
    while start + 8 <= end:
        size = int.from_bytes(data[start : start + 4], "big")
        size = end - start if size < 8 else size
        box = Box(data[start + 4 : start + 8], start, start + 8, min(start + size, end))
        yield box
        if box.kind in _HOLDERS:
            yield from _within(data, box.content, box.end)
        elif box.kind == b"stsd":
            yield from _within(data, box.content + 8, box.end)
        elif box.kind == b"avc1":
            yield from _within(data, box.content + 78, box.end)
        start = box.end
