"""What is done of a run: by its parts, and by the table that earlier ones were joined to.

Done is a pair of cameras of a take whose rows would not come out otherwise now. So it counts as not done when a camera
that was not on disk is there by now, or is another file than the one that was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lmeec.errors import OutputError
from lmeec.files.names import show
from lmeec.files.reading import in_short
from lmeec.files.stamps import stamps_in
from lmeec.tables import (
    Contents,
    PartInfo,
    PartWriter,
    list_parts,
    read_contents,
    read_coverage,
    read_metadata,
    read_part_infos,
    read_results,
    scan_takes,
)
from lmeec.tables.index import note_of
from lmeec.tables.merge import set_aside_damaged
from lmeec.tables.parts import is_part
from lmeec.tables.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeAlias

    from lmeec.files.locations import Location
    from lmeec.runs.index import RunIndex
    from lmeec.runs.jobs import Job
    from lmeec.tables import Output, RunMetadata
    from lmeec.tables.coverage import Coverage, Pair

    Key: TypeAlias = tuple[str, str]

_RESTORED = "of an earlier table"


class Inventory:
    """What is done of the jobs of a run.

    Args:
        out: the output.
        run: what its rows depend on.
        jobs: the whole jobs of the run.
        index: of the parts.

    Attributes:
        jobs: the jobs, by take and direction.
    """

    def __init__(self, out: Output, run: RunMetadata, jobs: Sequence[Job], index: RunIndex) -> None:
        self._out = out
        self._run = run
        self._index = index
        self.jobs: dict[Key, Job] = {job.key: job for job in jobs}

    def is_finished(self) -> bool:
        """Whether the output holds every job of this run, as it would come out now.

        Raises:
            OutputError: it is of another run, or of other takes than this one and the parts of its own.
        """
        if not self._out.path.exists():
            return False
        _refuse_other_run(read_metadata(self._out.path), self._run, self._out)
        contents = read_contents(self._out.path)
        mine = Contents.of(self.jobs)
        if contents != mine:
            if list_parts(self._out.parts):
                return False
            raise OutputError(
                f"{self._out} exists already and was made of {contents.count} takes and directions with the same "
                f"settings, but not of the {mine.count} of this run: name another output, or pass `overwrite=True` to "
                "replace it",
                settings=["overwrite"],
            )
        covered = read_coverage(self._out.path)
        return all(
            key in covered and job.pairs <= set(covered[key].current(job.sources).pairs)
            for key, job in self.jobs.items()
        )

    def bring_up_to_date(self, notice: Callable[[str], None]) -> None:
        """Keep what is done in parts: of parts what would not come out otherwise now, of a table what parts lack.

        Parts that are damaged are set aside under another name, and what they held is done again. Those that are as
        the index has them were whole when they were noted, and are not read.

        Args:
            notice: is told, in words, what is done again and why.

        Raises:
            OutputError: there is a part of another run, or of a take that is not in this one.
        """
        self._index.read()
        stamps = stamps_in(self._out.parts)
        known = self._index.known(stamps)
        whole, damaged = set_aside_damaged([self._out.parts / name for name in _parts(stamps) if name not in known])
        for info in whole:
            self._index.add(note_of(info, stamps[info.path.name]))
        if damaged:
            said = [f"{path} ({in_short(str(problem))})" for path, problem in damaged.items()]
            notice(
                f"{len(damaged):,} parts of an earlier run are damaged; they are set aside, and what they held is done "
                f"again: {'; '.join(said[:3])}{' and others' if len(said) > 3 else ''}"
            )
        changes: dict[str, None] = {}
        for info in list(self.parts()):
            self._prune(info, changes)
        if self._out.path.exists():
            self._restore(changes)
        if changes:
            notice(
                f"{len(changes):,} cameras are not what they were when they were predicted, so what needs them is done "
                f"again: {'; '.join(list(changes)[:3])}{' and others' if len(changes) > 3 else ''}"
            )

    def done(self) -> dict[Key, set[Pair]]:
        """Pairs of cameras that parts hold, for every take and direction of which there are parts."""
        return self.done_by(self.parts())

    def done_by(self, parts: Iterable[PartInfo]) -> dict[Key, set[Pair]]:
        """The same, of parts that were read before."""
        done: dict[Key, set[Pair]] = {}
        for info in parts:
            done.setdefault((info.take_uid, info.direction), set()).update(info.coverage.pairs)
        return done

    def parts(self) -> Iterator[PartInfo]:
        """The whole parts of this run's jobs; damaged ones are left out, to be done again.

        Raises:
            OutputError: there is a part of another run, or of a take that is not in this one.
        """
        stamps = stamps_in(self._out.parts)
        known = self._index.known(stamps)
        others = [self._out.parts / name for name in _parts(stamps) if name not in known]
        read = {info.path.name: info for info in read_part_infos(others, skip_damaged=True)}
        for _, info in sorted((known | read).items()):
            _refuse_other_run(info.run, self._run, info.path)
            if (info.take_uid, info.direction) not in self.jobs:
                raise OutputError(
                    f"{info.path} holds take {show(info.take_uid)} ({info.direction}), which is not among the takes of "
                    "this run: give the same takes again, name another output, or pass `overwrite=True` to discard it",
                    settings=["overwrite"],
                )
            yield info

    def _prune(self, info: PartInfo, changes: dict[str, None]) -> None:
        """Drop from a part what is not done; rows of failures, which are of no pair that is covered, with it."""
        job = self.jobs[info.take_uid, info.direction]
        kept = self._current(job, info.coverage, changes)
        if kept.pairs == info.coverage.pairs and (kept.pairs or not job.pairs):
            return
        written = self._write(job, kept, _rows_of(read_results(info.path), kept.pairs)) if kept.pairs else None
        if info.path != written:
            info.path.unlink(missing_ok=True)

    def _restore(self, changes: dict[str, None]) -> None:
        """Make parts of what the table holds and parts lack."""
        if read_metadata(self._out.path) != self._run:
            return
        done = self.done()
        lacking: dict[Key, Coverage] = {}
        for key, coverage in read_coverage(self._out.path).items():
            job = self.jobs.get(key)
            if job is None or (key in done and not job.pairs):
                continue
            kept = self._current(job, coverage.of(job.pairs - done.get(key, set())), changes)
            if kept.pairs or not job.pairs:
                lacking[key] = kept
        held = scan_takes(self._out.path, SCHEMA.names) if any(kept.pairs for kept in lacking.values()) else ()
        for uid, direction, rows in held:
            if (uid, direction) in lacking:
                kept = lacking.pop((uid, direction))
                self._write(self.jobs[uid, direction], kept, _rows_of(rows.select(SCHEMA.names), kept.pairs))
        for key, kept in lacking.items():
            self._write(self.jobs[key], kept, SCHEMA.empty_table())

    def _current(self, job: Job, coverage: Coverage, changes: dict[str, None]) -> Coverage:
        for camera in coverage.changed(job.sources):
            before = coverage.sources[camera]
            now = job.sources[camera]
            changes[
                f"take {show(job.take_name)}, camera {show(camera)} ({before or 'not on disk'} then, {now} now)"
            ] = None
        return coverage.current(job.sources).of(job.pairs)

    def _write(self, job: Job, coverage: Coverage, rows: pa.Table) -> Location:
        whole = set(coverage.pairs) == job.pairs
        piece = None if whole else " ".join([*sorted({name for pair in coverage.pairs for name in pair}), _RESTORED])
        with PartWriter(self._out.parts, self._run, job.take_uid, job.direction, piece, coverage) as part:
            for batch in rows.to_batches():
                part.write_batch(batch)
        self._index.add(part.note)
        return part.path


def _parts(names: Iterable[str]) -> list[str]:
    return [name for name in names if is_part(name)]


def _rows_of(rows: pa.Table, pairs: Iterable[Pair]) -> pa.Table:
    wanted = set(pairs)
    cameras = zip(rows["query_cam"].to_pylist(), rows["target_cam"].to_pylist(), strict=True)
    return rows.filter(pa.array([pair in wanted for pair in cameras], pa.bool_()))


def _refuse_other_run(theirs: RunMetadata, mine: RunMetadata, path: object) -> None:
    differences = [] if theirs == mine else list(theirs.differences(mine))
    if differences:
        raise OutputError(
            f"{path} is of a run with other settings, which are not mixed with this one: {'; '.join(differences)} "
            "(there and here). Name another output, or pass `overwrite=True` to discard what is there",
            settings=["overwrite"],
        )
