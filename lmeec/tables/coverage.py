"""What the rows of a part or of a table are of: pairs of cameras, and the videos that these were read from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec

from lmeec.config import Direction
from lmeec.errors import OutputError
from lmeec.files.json import decoder_of
from lmeec.files.reading import in_short

Pair: TypeAlias = tuple[str, str]
"""Query camera and target camera."""

COVERAGE_KEY = b"lmeec.coverage"

_USUAL_RATE = 30.0
_WORDS = {"full": "full size", "448": "448 pixels", "frames": "frames"}


class Source(msgspec.Struct, frozen=True):
    """What a camera was read from, so that another file in its place is told from it.

    Attributes:
        kind: a video of full size, the one of 448 pixels, or a folder of frames.
        size: bytes of the video, or number of frames.
        names: of frames, the beginning of a digest of their files' names, as other frames can be as many.
        counted: of a video, frames a second that the take counts, by which its own frames are found.
        content: the beginning of a digest of its ends and samples between them, as another file can be as large; for
            frames, of the first and last file. Empty where an earlier version took the note, or there are no frames.
    """

    kind: Literal["full", "448", "frames"]
    size: int
    names: str = ""
    counted: float = _USUAL_RATE
    content: str = ""

    def __str__(self) -> str:
        unit = f" files with names {self.names}" if self.kind == "frames" else " bytes"
        counted = "" if self.counted == _USUAL_RATE else f", {self.counted:.5g} frames a second counted"
        content = f", digest {self.content}" if self.content else ""
        return f"{_WORDS[self.kind]}, {self.size:,}{unit}{content}{counted}"

    def agrees(self, other: Source) -> bool:
        """Whether both can be the same file, by what both tell."""
        both_tell = self.content and other.content
        return self == (other if both_tell else msgspec.structs.replace(other, content=self.content))


class Coverage(msgspec.Struct, frozen=True):
    """What is done of a take in a direction; frames without a prediction are done too where the data have none.

    Attributes:
        pairs: query and target camera, sorted.
        sources: what each of these cameras was read from; None for one that was not on disk.
    """

    pairs: tuple[Pair, ...] = ()
    sources: Mapping[str, Source | None] = msgspec.field(default_factory=dict)

    def of(self, pairs: Iterable[Pair]) -> Coverage:
        """What is covered of these pairs."""
        kept = tuple(sorted(set(self.pairs).intersection(pairs)))
        cameras = {camera for pair in kept for camera in pair}
        return Coverage(kept, {name: source for name, source in self.sources.items() if name in cameras})

    def changed(self, now: Mapping[str, Source | None]) -> list[str]:
        """Cameras that are on disk now and were not, or are another file; one that is gone stays as it was."""
        return [
            name
            for name, source in self.sources.items()
            if (there := now.get(name)) and not (source and source.agrees(there))
        ]

    def current(self, now: Mapping[str, Source | None]) -> Coverage:
        """What would not come out otherwise now."""
        changed = set(self.changed(now))
        return self.of(pair for pair in self.pairs if changed.isdisjoint(pair))

    def __or__(self, other: Coverage) -> Coverage:
        return Coverage(tuple(sorted({*self.pairs, *other.pairs})), {**self.sources, **other.sources})


class Entry(msgspec.Struct, frozen=True):
    """The coverage of a take in a direction, as files keep it."""

    take_uid: str
    direction: Direction
    coverage: Coverage


def encode_entries(entries: Iterable[Entry]) -> bytes:
    """What a file keeps, as JSON."""
    return msgspec.json.encode(list(entries))


def coverage_in(metadata: Mapping[bytes, bytes] | None, name: str) -> dict[tuple[str, str], Coverage]:
    """Read, by take and direction, what the rows of a file are of; nothing for files that do not tell.

    Args:
        metadata: key-value metadata of the file.
        name: the file, for messages.

    Raises:
        OutputError: it is damaged.
    """
    try:
        entries = decoder_of(list[Entry]).decode((metadata or {}).get(COVERAGE_KEY, b"[]"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        said = in_short(str(error))
        raise OutputError(f"{name} holds damaged notes of what its rows are of ({said}): predict again") from error
    return {(entry.take_uid, entry.direction): entry.coverage for entry in entries}
