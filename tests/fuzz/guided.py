"""Inputs guided by coverage, for one reader: libFuzzer, by way of atheris, chooses what the mutations draw.

    python -m tests.fuzz.guided READER [OPTION OF LIBFUZZER ...]

Stops at the first failure, whose input libFuzzer leaves in the working directory as what was drawn; the file that was
made of it is printed. atheris is not among what `make install-dev` installs: `pip install atheris`.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path


class Drawn(random.Random):
    """Chance that is read from bytes; zeros where they end."""

    def __new__(cls, data: bytes) -> Drawn:
        return super().__new__(cls, 0)

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self._data, self._at = data, 0

    def random(self) -> float:
        """A float in [0, 1)."""
        return self.getrandbits(32) / 2**32

    def getrandbits(self, k: int) -> int:
        """Bits of the next bytes."""
        size = -(-k // 8)
        taken = self._data[self._at : self._at + size].ljust(size, b"\0")
        self._at += size
        return int.from_bytes(taken, "little") & ((1 << k) - 1)


def main() -> None:
    """Fuzz a reader."""
    try:
        import atheris
    except ImportError:
        sys.exit("coverage-guided runs need atheris: pip install atheris")
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["lmeec", "lmeec_cli"]):
        from tests.fuzz.inputs import Place, seeds_of
        from tests.fuzz.judging import judge
        from tests.fuzz.readers import READERS

        reader = READERS[name]
        place = Place(reader, Path(tempfile.mkdtemp()))
        for data in seeds_of(reader):
            judge(reader, place.put(data))  # what it imports is instrumented

    def one(drawn: bytes) -> None:
        chance = Drawn(drawn)
        path = place.put(reader.mutate(chance.choice(seeds_of(reader)), chance))
        failures = judge(reader, path).failures
        if failures:
            raise RuntimeError(f"{path}: {failures}")

    atheris.Setup([sys.argv[0], "-len_control=0", "-max_len=256", *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
