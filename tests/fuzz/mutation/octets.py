"""Changes of bytes, whatever they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

_NUMBERS = (
    0,
    1,
    2,
    7,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63 - 1,
    2**64 - 1,
)
_LONGEST = 1 << 16
_TOKENS = (
    b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\",
    b"\\ud800", b"\\u0000", b"1e999", b"-0", b"NaN", b"null", b"PAR1", b"PK\3\4", b"mdat", b"\0\0\0\1", b"\x80\x02",
)  # fmt: skip


def mutate(data: bytes, random: Random, rounds: int | None = None) -> bytes:
    """Change some bytes, once to six times."""
    changed = bytearray(data)
    for _ in range(rounds or random.randint(1, 6)):
        random.choice(_CHANGES)(changed, random)
    return bytes(changed[: len(data) + _LONGEST])


def _place(data: bytearray, random: Random) -> int:
    return random.randrange(len(data)) if data else 0


def _span(data: bytearray, random: Random) -> tuple[int, int]:
    start = _place(data, random)
    return start, min(start + random.choice((1, 2, 4, 8, 16, 64, 256, 4096)), len(data))


def _flip(data: bytearray, random: Random) -> None:
    if data:
        data[_place(data, random)] ^= 1 << random.randrange(8)


def _set(data: bytearray, random: Random) -> None:
    if data:
        data[_place(data, random)] = random.randrange(256)


def _number(data: bytearray, random: Random) -> None:
    size = random.choice((1, 2, 4, 8))
    at = _place(data, random)
    number = random.choice(_NUMBERS) & ((1 << 8 * size) - 1)
    data[at : at + size] = number.to_bytes(size, random.choice(("big", "little")))


def _add(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    new = data[slice(*_span(data, random))]
    old = data[at : at + size] if (size := len(new)) and random.random() < 0.5 else b""
    data[at : at + len(old)] = new


def _insert(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    data[at:at] = random.choice(_TOKENS) * random.choice((1, 1, 1, 2, 300))


def _remove(data: bytearray, random: Random) -> None:
    start, end = _span(data, random)
    del data[start:end]


def _blank(data: bytearray, random: Random) -> None:
    start, end = _span(data, random)
    data[start:end] = bytes([random.choice((0, 0xFF, 0x20))]) * (end - start)


def _cut(data: bytearray, random: Random) -> None:
    del data[_place(data, random) :]


_CHANGES = (_flip, _flip, _set, _set, _number, _number, _add, _insert, _remove, _blank, _cut)
