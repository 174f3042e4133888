"""Keeps the index of a run's parts while it goes; `lmeec.tables.index` says what is in it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from lmeec.files.growing import GrowingFile
from lmeec.runs.beside import ToldOnce
from lmeec.tables.index import index_files, info_of, line_of, read_notes, that_hold
from lmeec.tables.notes import INDEX_END, INDEX_START

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lmeec.files.locations import Location
    from lmeec.files.stamps import Stamp
    from lmeec.tables import PartInfo, RunMetadata
    from lmeec.tables.notes import Note


class RunIndex:
    """What is known of the parts of a run. That it cannot be kept is told once, and does not stop the run.

    Each driver writes a file of its own. It takes the place of earlier ones once it holds what they did, so that of
    drivers which take an output over from each other, or are killed, none harms what another noted.

    Args:
        parts: the folder of the parts.
        run: what their rows must depend on; of others nothing is known.
        notice: is told, in words, that it cannot be kept.
    """

    def __init__(self, parts: Location, run: RunMetadata, notice: Callable[[str], None]) -> None:
        self._parts = parts
        self._run = run
        self._fingerprint = run.fingerprint
        self._notes: dict[str, Note] = {}
        self._file: GrowingFile | None = None
        self._telling = ToldOnce(notice, "parts are not noted, so that going on will look into each")

    def read(self) -> None:
        """Take over what earlier drivers noted."""
        with self._telling():
            self._notes = {
                name: note for name, note in read_notes(self._parts).items() if note.run == self._fingerprint
            }

    def known(self, stamps: Mapping[str, Stamp]) -> dict[str, PartInfo]:
        """What is known of files that are as they were when they were noted, by name."""
        held = that_hold(self._notes, stamps)
        return {name: info_of(note, self._parts, self._run) for name, note in held.items()}

    def add(self, note: Note | None) -> None:
        """Note a part; None is one of which nothing can be said."""
        if note is None or not note.stamp.version or note.run != self._fingerprint:
            return
        self._notes[note.name] = note
        if self._file is not None:
            with self._telling():
                self._file.write(line_of(note))

    def begin(self, stamps: Mapping[str, Stamp]) -> None:
        """Write what is known of files into one file, in place of those that are there; only who owns the output may.

        Args:
            stamps: of the files that are there.
        """
        self._notes = that_hold(self._notes, stamps)
        with self._telling():
            earlier = index_files(self._parts)
            self._file = GrowingFile(self._parts, f"{INDEX_START}{secrets.token_hex(4)}", INDEX_END)
            for note in self._notes.values():
                self._file.write(line_of(note))
            self._file.flush()
            for path in earlier:
                path.unlink(missing_ok=True)

    def flush(self) -> None:
        """See that what was noted outlives this process, where the parts are in a store.

        Raises:
            OutputError: it cannot be written; it waits for the next time.
        """
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Let go of the file."""
        with self._telling():
            self.flush()
            if self._file is not None:
                self._file.close()

    def discard(self) -> None:
        """Forget all, so that every part is looked through before it counts again."""
        self.close()
        self._notes.clear()
        self._file = None
        with self._telling():
            for path in index_files(self._parts):
                path.unlink(missing_ok=True)
