"""LZString, as browsers write it: the text compression of the masks in relations files."""

from __future__ import annotations

import numpy as np

from lmeec.errors import DataError

MAX_TEXT = 4 * 2**20
"""Longest text, in characters, that is decompressed: masks of real 4K frames need under a hundred thousand."""

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-$"
_BITS_PER_CHARACTER = 6
_UNKNOWN = 255
_NEW_8_BIT, _NEW_16_BIT, _END = 0, 1, 2


def _digit_table() -> np.ndarray:
    table = np.full(256, _UNKNOWN, np.uint8)
    table[np.frombuffer(_ALPHABET, np.uint8)] = np.arange(len(_ALPHABET))
    table[ord("$")] = 0  # padding
    table[ord(" ")] = table[ord("+")]  # what URL decoding makes of a plus sign
    return table


_DIGITS = _digit_table()


class _BitReader:
    """Reads numbers, lowest bit first, from text of six bits a character, highest bit first."""

    def __init__(self, text: str) -> None:
        try:
            digits = _DIGITS[np.frombuffer(text.encode("ascii"), np.uint8)]
        except UnicodeEncodeError:
            raise DataError("holds characters outside of LZString's alphabet") from None
        if (digits == _UNKNOWN).any():
            raise DataError("holds characters outside of LZString's alphabet")
        bits = np.unpackbits(digits[:, None], axis=1)[:, 8 - _BITS_PER_CHARACTER :].ravel()
        self._bytes = np.packbits(bits, bitorder="little").tobytes()
        self._length = len(bits)
        self._position = 0

    def read(self, width: int) -> int:
        start = self._position
        self._position = end = start + width
        if end > self._length:
            raise DataError("ends in the middle of its LZString data")
        window = int.from_bytes(self._bytes[start >> 3 : (end + 7) >> 3], "little")
        return (window >> (start & 7)) & ((1 << width) - 1)


def decompress(text: str, max_length: int = MAX_TEXT) -> str:
    """Undo LZString's `compressToEncodedURIComponent`.

    A few bytes of LZString can stand for gigabytes of text, so the length is checked while decoding, which
    the `lzstring` package cannot do (and it takes about twenty times as long).

    Args:
        text: The compressed text, of the letters `A-Za-z0-9+-$`.
        max_length: Longest result accepted, in characters.

    Returns:
        The text as it was.

    Raises:
        DataError: The text is empty, is not LZString, is cut short, or stands for more than `max_length`
            characters. The message reads on from the name of what was decoded.
    """
    if not text:
        raise DataError("is empty")
    bits = _BitReader(text)
    phrases = ["", "", ""]  # the first three codes are orders, not phrases
    width = 2
    codes_left = 1  # codes still to come before one more bit is needed
    previous = ""
    pieces: list[str] = []
    length = 0
    while True:
        code = bits.read(width)
        if code == _END:
            return "".join(pieces)
        if code in (_NEW_8_BIT, _NEW_16_BIT):
            phrases.append(chr(bits.read(8 if code == _NEW_8_BIT else 16)))
            code = len(phrases) - 1
            codes_left -= 1
            if previous and codes_left == 0:
                codes_left = 1 << width
                width += 1
        if code < len(phrases):
            phrase = phrases[code]
        elif code == len(phrases) and previous:
            phrase = previous + previous[0]
        else:
            raise DataError("is not LZString data")
        length += len(phrase)
        if length > max_length:
            raise DataError(f"stands for more than {max_length:,} characters")
        pieces.append(phrase)
        if previous:
            phrases.append(previous + phrase[0])
            codes_left -= 1
            if codes_left == 0:
                codes_left = 1 << width
                width += 1
        else:
            width, codes_left = 3, 4
        previous = phrase
