"""One table of several runs over the same tracks: of each frame the row of the run whose mask seems best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmeec.analysis.risk import RANKED, remedy_for
from lmeec.analysis.rule import own_part
from lmeec.analysis.signs import signs_of
from lmeec.config import FuseBy
from lmeec.errors import ConfigError, DataError
from lmeec.files.names import first_few, show
from lmeec.files.reading import named, understanding
from lmeec.masks import RunLengthMask
from lmeec.tables.history import Step, joined
from lmeec.tables.metadata import Contents, RunMetadata
from lmeec.tables.read import read_contents, read_coverage, read_history, scan_results
from lmeec.tables.rewrite import check_new_file, rewritten
from lmeec.tables.schema import SCHEMA
from lmeec.tables.together import check_same_data, keys_of, take_by_take

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmeec.analysis.expected_iou import IouRule
    from lmeec.files.locations import Location
    from lmeec.tables.coverage import Coverage

_TRACK = ("object", "query_cam", "target_cam")
_KEY = (*_TRACK, "frame")
_SAME = ("height", "width", "gt_state")
_MOST_NAMED = 3

Key = tuple[Hashable, ...]


@dataclass(frozen=True)
class Lacking:
    """What a run has no prediction of and another has.

    Attributes:
        frames: how many rows.
        tracks: of how many tracks.
        examples: some of these tracks, in words.
    """

    frames: int
    tracks: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Fused:
    """What was fused.

    Attributes:
        by: what decided.
        rows: rows of the table.
        missing: of these, those that no run has a prediction of.
        taken: rows that were taken from each run, by direction and name.
        lacking: what each run lacks, by name; none of a run that lacks nothing.
        notes: in what the runs may not compare by what decided.
    """

    by: FuseBy
    rows: int
    missing: int
    taken: Mapping[str, Mapping[str, int]]
    lacking: Mapping[str, Lacking]
    notes: tuple[str, ...] = ()


def fuse(
    runs: Sequence[Location | str],
    out: Location | str,
    *,
    by: FuseBy | None = None,
    rule: IouRule | None = None,
    names: Sequence[str] = (),
    overwrite: bool = False,
    command: str = "",
) -> Fused:
    """Write a table with, for each frame, the row of the run that seems best; ties go to the run that is named first.

    Rows without a prediction are taken only where no run has one, and those of which what decides is not known only
    where it is known of none. One take of each run is in memory at a time.

    Args:
        runs: results tables of the same tracks, of whatever checkpoints and settings, imported ones too.
        out: file to write.
        by: what decides; None is the rule where there is one, else the first of cycle_iou, predicted_iou and confidence
            that every run has.
        rule: the fitted rule to decide by.
        names: of the runs, for the column `source_run`; the files' names without.
        overwrite: replace an existing file.
        command: the call that asks for it, to be kept with the table; empty for none.

    Raises:
        OutputError: a table cannot be read, or the file is there or cannot be written.
        DataError: the runs are of different takes, annotations or sizes, or disagree in their ground truth.
        ConfigError: names or what decides do not fit.

    Example:
        >>> fused = fuse(["results.parquet", "results.parquet"], "fused.parquet", by="predicted_iou", names=["a", "b"])
        >>> fused.taken["ego2exo"]["a"] > 0, fused.taken["ego2exo"]["b"]
        (True, 0)
    """
    check_new_file(out, overwrite=overwrite)
    names = run_names(runs, names)
    metadata = check_same_data(runs)
    by = _decider(runs, names, by, rule)
    keys = _common_keys(runs)
    if rule is not None and (unknown := sorted({direction for _, direction in keys}.difference(rule.directions))):
        raise ConfigError(
            f"the rule says nothing of {unknown[0]}, which the runs have: fit it on runs of both directions with `fit`",
            settings=["fit"],
        )
    run = _fused_run(dict(zip(names, metadata, strict=True)), by, rule)
    coverage: dict[tuple[str, str], Coverage] = {}
    for one in reversed(runs):
        coverage |= read_coverage(one)
    fusion = _Fusion(runs, names, by, rule)
    history = [*joined(map(read_history, runs)), Step(command)]
    with rewritten(out, run, _contents(runs, keys), coverage, history=history, overwrite=overwrite) as add:
        for uid, direction, tables in take_by_take(runs, SCHEMA.names):
            add(fusion.take(uid, direction, tables))
    notes = _notes(dict(zip(names, metadata, strict=True)), runs, by, rule)
    return replace(fusion.summary(), notes=tuple(notes))


def run_names(runs: Sequence[Location | str], names: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of runs: those that are given, or those of their files.

    Raises:
        ConfigError: there is one run only, there are not as many names, or two are the same.
    """
    if len(runs) < 2:
        raise ConfigError("one run is no choice: give two runs of the same takes or more")
    if names and len(names) != len(runs):
        raise ConfigError(
            f"there are {len(names)} names for {len(runs)} runs: give `name` for each, in their order",
            settings=["name"],
        )
    found = tuple(names) or tuple(str(run).rstrip("/").rpartition("/")[2].removesuffix(".parquet") for run in runs)
    twice = [name for name, count in Counter(found).items() if count > 1]
    if twice or not all(found):
        raise ConfigError(
            f"two runs are called {show(twice[0] if twice else '')}: tell them apart with `name`, once for each run in "
            "their order",
            settings=["name"],
        )
    return found


def _decider(runs: Sequence[Location | str], names: Sequence[str], by: FuseBy | None, rule: IouRule | None) -> FuseBy:
    if by is not None and by not in get_args(FuseBy):
        raise ConfigError(f"`by` is {by!r}, but must be one of {', '.join(get_args(FuseBy))}", settings=["by"])
    if (by == "rule" and rule is None) or (by not in ("rule", None) and rule is not None):
        raise ConfigError(
            '`by="rule"` and a rule go together: give its file with `rule`, or tables with ground truth to fit one on '
            "with `fit`",
            settings=["by", "rule", "fit"],
        )
    if by == "rule" or rule is not None:
        return "rule"
    for column in (by,) if by is not None else RANKED:
        without = [name for run, name in zip(runs, names, strict=True) if not _has(run, column)]
        if not without:
            return column
    raise ConfigError(
        f"`by={by}` needs the column {by}, and run {show(without[0])} has no value in it: {remedy_for(str(by))}",
        settings=["by", "cycle"],
    )


def _notes(
    metadata: Mapping[str, RunMetadata], runs: Sequence[Location | str], by: FuseBy, rule: IouRule | None
) -> Iterator[str]:
    """In what runs may not compare by what decides."""
    weighed = {own_part(sign) for one in rule.directions.values() for sign in one.signs} if rule is not None else {by}
    for column in ("object_score", "predicted_iou", "cycle_iou"):
        lacking = [name for name, run in zip(metadata, runs, strict=True) if not _has(run, column)]
        if column in weighed and 0 < len(lacking) < len(runs):
            yield f"the rule weighs {column}, which {first_few(lacking)} lacks: it counts as average there"
    ways = {
        name: settings.get("way")
        for name, run in metadata.items()
        if isinstance(settings := run.predict.get("cycle"), dict)
    }
    if "cycle_iou" in weighed and len(set(ways.values())) > 1:
        words = ", ".join(f"{show(name)} {way}" for name, way in ways.items())
        yield f"round trips were made in different ways ({words}), so that cycle_iou may not compare between runs"


def _has(run: Location | str, column: str) -> bool:
    """Whether any row has a value."""
    return any(batch[column].null_count < batch.num_rows for batch in scan_results(run, [column]))


def _common_keys(runs: Sequence[Location | str]) -> list[tuple[str, str]]:
    """All takes and directions."""
    keys = [set(keys_of(run)) for run in runs]
    for run, some in zip(runs[1:], keys[1:], strict=True):
        if keys[0].isdisjoint(some):
            raise DataError(
                f"{named(runs[0])} and {named(run)} have no take and direction in common: fuse runs over the same takes"
            )
    return sorted(set().union(*keys))


def _contents(runs: Sequence[Location | str], keys: Sequence[tuple[str, str]]) -> Contents:
    """What the table was made of; runs tell of takes without a row too, as long as they agree."""
    found = {read_contents(run) for run in runs}
    return found.pop() if len(found) == 1 else Contents.of(keys)


def _fused_run(runs: Mapping[str, RunMetadata], by: str, rule: IouRule | None) -> RunMetadata:
    """What the rows depend on: what the runs share, and all that each has."""
    some = [asdict(run) for run in runs.values()]
    fused = {
        "by": by,
        **({} if rule is None else {"rule": rule.digest}),
        "order": list(runs),  # JSON is kept with sorted keys
        "runs": dict(zip(runs, some, strict=True)),
    }
    directions = {direction for run in runs.values() for direction in run.checkpoints}
    return RunMetadata(
        model=", ".join(dict.fromkeys(run.model for run in runs.values())),
        checkpoints={
            direction: ", ".join(dict.fromkeys(run.checkpoints.get(direction, "none") for run in runs.values()))
            for direction in sorted(directions)
        },
        memory=_shared([run.memory for run in runs.values()]),
        predict={
            **_shared([run.predict for run in runs.values()]),
            **({"synthetic": True} if any(run.predict.get("synthetic") is True for run in runs.values()) else {}),
            "fused": fused,
        },
        annotation_digest=next(iter(runs.values())).annotation_digest,
    )


def _shared(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in settings[0].items() if all(one.get(name, ...) == value for one in settings)}


@dataclass
class _Lost:
    frames: int = 0
    tracks: dict[tuple[str, ...], None] = field(default_factory=dict)


class _Fusion:
    """Fuses take after take, and counts."""

    def __init__(self, runs: Sequence[Location | str], names: Sequence[str], by: FuseBy, rule: IouRule | None) -> None:
        self._runs, self._names, self._by, self._rule = runs, names, by, rule
        self._rows = self._missing = 0
        self._taken: dict[str, Counter[str]] = {}
        self._lost = [_Lost() for _ in runs]

    def take(self, uid: str, direction: str, tables: Sequence[pa.Table | None]) -> pa.Table:
        """The rows of one take and direction, sorted."""
        rows = [self._rows_by_key(run, uid, table) for run, table in zip(self._runs, tables, strict=True)]
        keys = sorted(set().union(*rows), key=lambda key: tuple(map(_sortable, key)))
        self._check_alike(uid, keys, rows, tables)
        worth = np.full((len(tables), len(keys)), -np.inf)
        place = {key: i for i, key in enumerate(keys)}
        for run, (some, table) in enumerate(zip(rows, tables, strict=True)):
            if table is not None:
                others = [other for other in tables if other is not None and other is not table]
                worth[run, [place[key] for key in some]] = self._worth(table, others, direction, uid)
        best = worth.argmax(axis=0)  # the first of those that are as good
        self._count(uid, direction, keys, best, worth)
        chosen = [
            table.take(
                pa.array([rows[run][key] for key, one in zip(keys, best, strict=True) if one == run], pa.int64())
            )
            for run, table in enumerate(tables)
            if table is not None
        ]
        order = np.argsort(np.argsort(best, kind="stable"), kind="stable")
        fused = pa.concat_tables(chosen).take(pa.array(order))
        sources = pa.array([self._names[run] for run in best], pa.string())
        return fused.set_column(fused.column_names.index("source_run"), SCHEMA.field("source_run"), sources)

    def summary(self) -> Fused:
        """What came of it."""
        lacking = {
            name: Lacking(lost.frames, len(lost.tracks), tuple(map(_words, list(lost.tracks)[:_MOST_NAMED])))
            for name, lost in zip(self._names, self._lost, strict=True)
            if lost.frames
        }
        return Fused(self._by, self._rows, self._missing, {way: dict(one) for way, one in self._taken.items()}, lacking)

    def _rows_by_key(self, run: Location | str, uid: str, table: pa.Table | None) -> dict[Key, int]:
        if table is None:
            return {}
        keys: list[Key] = list(zip(*(table[name].to_pylist() for name in _KEY), strict=True))
        rows = {key: row for row, key in enumerate(keys)}
        if len(rows) != len(keys):
            ((*track, frame), _) = Counter(keys).most_common(1)[0]
            raise DataError(f"{named(run)} has several rows of frame {frame} of {_words((uid, *map(str, track)))}")
        return rows

    def _worth(self, table: pa.Table, others: Sequence[pa.Table], direction: str, uid: str) -> NDArray[np.float64]:
        """What decides, with lower numbers for rows of which it is not known, and lower ones without a prediction."""
        if self._rule is not None:
            # Of whichever run a mask is damaged, all of the take are looked at.
            with understanding(", ".join(map(named, self._runs)), DataError, "results tables", "predict again"):
                values = self._rule.expected(direction, signs_of(table, others), uid)
        else:
            values = np.asarray(pc.fill_null(table[self._by].cast(pa.float64()), np.nan))
        known = np.where(np.isnan(values), -1e300, values)
        worth: NDArray[np.float64] = np.where(np.asarray(pc.is_null(table["missing"])), known, -1e306)
        return worth

    def _check_alike(
        self,
        uid: str,
        keys: Sequence[Key],
        rows: Sequence[Mapping[Key, int]],
        tables: Sequence[pa.Table | None],
    ) -> None:
        """Refuse runs that differ in what is the frame's and not the run's: size and ground truth."""
        seen: dict[Key, tuple[int, tuple[Any, ...]]] = {}
        for run, (some, table) in enumerate(zip(rows, tables, strict=True)):
            if table is None:
                continue
            values = list(zip(*(table[name].to_pylist() for name in (*_SAME, "gt_rle")), strict=True))
            for key, row in some.items():
                first, expected = seen.setdefault(key, (run, values[row]))
                if not _alike(expected, values[row]):
                    what = "size" if expected[:2] != values[row][:2] else "ground truth"
                    *track, frame = key
                    raise DataError(
                        f"{named(self._runs[first])} and {named(self._runs[run])} differ in the {what} of frame {frame}"
                        f" of {_words((uid, *map(str, track)))}: predict or import both with the same annotations"
                    )

    def _count(
        self, uid: str, direction: str, keys: Sequence[Key], best: NDArray[np.int64], worth: NDArray[np.float64]
    ) -> None:
        predicted = worth > -1e305
        self._rows += len(keys)
        self._missing += int((~predicted.any(axis=0)).sum())
        taken = self._taken.setdefault(direction, Counter(dict.fromkeys(self._names, 0)))
        taken.update(self._names[run] for run in best)
        for run, lost in enumerate(self._lost):
            lacking = np.flatnonzero(predicted.any(axis=0) & ~predicted[run])
            lost.frames += lacking.size
            lost.tracks |= dict.fromkeys((uid, *map(str, keys[at][:-1])) for at in lacking.tolist())


def _alike(first: tuple[Any, ...], second: tuple[Any, ...]) -> bool:
    if first == second:
        return True
    (height, width, _, one), other = first, second[-1]
    if first[:-1] != second[:-1] or one is None or other is None:
        return False
    # The same mask may be written in several ways.
    masks = RunLengthMask(height, width, one), RunLengthMask(height, width, other)
    return np.array_equal(masks[0].toggles(), masks[1].toggles())


def _sortable(value: Hashable) -> tuple[bool, Any]:
    """Text by its bytes, as Arrow sorts it."""
    return (False, value.encode(errors="surrogatepass")) if isinstance(value, str) else (True, value)


def _words(track: Sequence[str]) -> str:
    uid, name, query, target = track
    return f"take {show(uid)}, object {show(name)} from {show(query)} in {show(target)}"


def lacking_in_words(name: str, lacking: Lacking) -> str:
    """What a run lacks, for the user."""
    more = lacking.tracks - len(lacking.examples)
    return (
        f"run {show(name)} has no prediction of {lacking.frames:,} frames of {lacking.tracks:,} tracks that another "
        f"has ({'; '.join(lacking.examples)}{f'; and {more:,} more' if more > 0 else ''})"
    )
