"""Marks for open answers by somebody who reads them: a language model, or a person.

No judge is called from here. `FileJudge` takes marks out of a file, whoever wrote it; a program of its own can give any
function that takes a row and returns a mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from lmeec.errors import DataError
from lmeec.mllm.data.records import read_records

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOWEST, HIGHEST = 0.0, 5.0
"""Marks that are usual for open answers, the worst first."""

_SHAPE = 'each line is {"source", "id", "mark"}, with a mark from 0 to 5'


class Judge(Protocol):
    """Marks an answer, given its row of the table; None leaves it unmarked."""

    def __call__(self, row: Mapping[str, Any]) -> float | None:
        """Give the mark of one row."""
        ...


class _Mark(msgspec.Struct):
    source: str
    id: str
    mark: float


class FileJudge:
    """Marks out of a file of JSON lines, {"source", "id", "mark"}.

    Args:
        path: The file.

    Raises:
        DataError: It is not of that shape, or a mark is outside of 0 to 5; names file, line and key.
    """

    def __init__(self, path: Path) -> None:
        self._marks: dict[tuple[str, str], float] = {}
        for where, one in read_records(path, _Mark, _SHAPE):
            if not LOWEST <= one.mark <= HIGHEST:
                raise DataError(f"{where()}: key mark: {one.mark} is not from 0 to 5; {_SHAPE}")
            self._marks[one.source, one.id] = one.mark

    def __call__(self, row: Mapping[str, Any]) -> float | None:
        """The mark of a row; None if the file has none."""
        return self._marks.get((row["source"], row["id"]))
