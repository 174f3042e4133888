"""A smaller input with the same failure: parts are left out as long as it stays."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.fuzz.judging import judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.inputs import Place
    from tests.fuzz.readers import Reader

_SECONDS = 2.0


def minimised(data: bytes, fails: Callable[[bytes], bool], seconds: float = _SECONDS) -> bytes:
    """Leave out halves, then quarters and so on, of what fails.

    Args:
        data: fails.
        fails: says whether an input does.
        seconds: after so many it stays as small as it has become.
    """
    end = time.process_time() + seconds
    size = len(data) // 2
    while size and time.process_time() < end:
        start = 0
        while start < len(data) and time.process_time() < end:
            shorter = data[:start] + data[start + size :]
            if fails(shorter):
                data = shorter
            else:
                start += size
        size //= 2
    return data


def smaller(reader: Reader, place: Place, data: bytes, where: str) -> bytes:
    """The same for an input of a reader, with a failure of the same kind at the same place."""

    def fails(shorter: bytes) -> bool:
        return any(one.where == where for one in judge(reader, place.put(shorter)).failures)

    return minimised(data, fails)
