"""Inputs by reader, seed and number."""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.readers import READERS

if TYPE_CHECKING:
    from tests.fuzz.readers import Reader


@cache
def seeds_of(reader: Reader) -> tuple[bytes, ...]:
    """The valid files that inputs of a reader are made of."""
    with tempfile.TemporaryDirectory() as folder:
        return tuple(reader.seeds(Path(folder)))


def make(reader: Reader, seed: int, number: int) -> bytes:
    """An input; the same for the same reader, seed and number."""
    chance = random.Random(f"{reader.name}/{seed}/{number}")
    return reader.mutate(chance.choice(seeds_of(reader)), chance)


class Place:
    """A folder for the file of a reader and what stands beside it; a new file for each input.

    The one before may still be mapped: one written over it would end the process.
    """

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.path = folder / reader.place
        self.path.parent.mkdir(parents=True, exist_ok=True)
        reader.beside(folder)

    def put(self, data: bytes) -> Path:
        """Write an input."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)  # noqa: PTH108 - half the time of pathlib's, and this is done a million times
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)
        return self.path


def reader_of(kept: Path) -> Reader:
    """The reader of a kept input, by the beginning of its name: `<reader>.<digest>.<ending>`."""
    return READERS[kept.name.partition(".")[0]]
