"""What is noted of a part, so that it need not be looked into again."""

from __future__ import annotations

import msgspec

from lmeec.config import Direction
from lmeec.files.stamps import Stamp
from lmeec.tables.coverage import Coverage

INDEX_START, INDEX_END = "index-", ".jsonl"
"""Of the names of files of notes, in the folder of the parts; between them the session."""


class Note(msgspec.Struct, frozen=True):
    """A part whose rows are known to be whole.

    Attributes:
        name: of its file.
        stamp: by which that file is known.
        take_uid: its take.
        direction: its direction.
        rows: number of rows.
        run: fingerprint of what its rows depend on.
        coverage: the pairs of cameras that are done by it.
    """

    name: str
    stamp: Stamp
    take_uid: str
    direction: Direction
    rows: int
    run: str
    coverage: Coverage


def is_index(name: str) -> bool:
    """Whether it is the name of a file of an index."""
    return name.startswith(INDEX_START) and name.endswith(INDEX_END)
