"""The rows of a results table of which a condition is true, as a table of its own, and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lmeec.analysis.bootstrap import RESAMPLES, SEED, draws, interval_of
from lmeec.analysis.expression import Expression
from lmeec.analysis.groups import Estimate, number
from lmeec.analysis.risk import RANKED, RiskCoverage, curves_of
from lmeec.analysis.signs import signs_of
from lmeec.errors import ConfigError, DataError
from lmeec.files.reading import named, understanding
from lmeec.tables.history import Step
from lmeec.tables.read import read_contents, read_coverage, read_history, read_metadata
from lmeec.tables.rewrite import check_new_file, rewritten
from lmeec.tables.schema import SCHEMA
from lmeec.tables.takes import scan_takes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmeec.analysis.expected_iou import IouRule
    from lmeec.files.locations import Location
    from lmeec.tables.metadata import RunMetadata

EXPECTED = "expected_iou"
"""Column of a condition: the IoU that a rule expects."""


@dataclass(frozen=True)
class KeptOf:
    """What is kept of one direction.

    Attributes:
        rows: rows of the table.
        kept: rows that are kept.
        unknown: rows left out because a column of the condition is null there.
        predictions: rows with a prediction.
        kept_predictions: of these, those that are kept.
        visible: predictions with the object visible by the ground truth.
        kept_visible: of these, those that are kept.
        absent: predictions with the object absent by the ground truth.
        kept_absent: of these, those that are kept.
        iou: mean IoU of the visible ones that are kept, with its interval over takes; no value without ground truth.
        iou_of_all: mean IoU of all visible ones.
        curves: risk against coverage of the visible ones, by sign.
        expected: mean IoU that the rule expects of the predictions that are kept; None without a rule.
        expected_of_all: the same of all predictions.
    """

    rows: int
    kept: int
    unknown: int
    predictions: int
    kept_predictions: int
    visible: int
    kept_visible: int
    absent: int
    kept_absent: int
    iou: Estimate
    iou_of_all: Estimate
    curves: Mapping[str, RiskCoverage]
    expected: float | None = None
    expected_of_all: float | None = None


@dataclass
class _Gathered:
    """A few numbers of each row of one direction."""

    take: list[int] = field(default_factory=list)
    rows: list[NDArray[np.float64]] = field(default_factory=list)
    kept: list[NDArray[np.bool_]] = field(default_factory=list)
    unknown: int = 0

    def add(self, take: int, rows: pa.Table, kept: NDArray[np.bool_], unknown: int) -> None:
        predicted = np.asarray(pc.is_null(rows["missing"]))
        states = [np.asarray(pc.equal(rows["gt_state"], state)) for state in ("visible", "absent")]
        values = [
            np.asarray(pc.fill_null(rows[name].cast(pa.float64()), np.nan))
            if name in rows.column_names
            else np.full(rows.num_rows, np.nan)
            for name in ("iou", EXPECTED, *RANKED)
        ]
        self.rows.append(np.stack([np.full(rows.num_rows, float(take)), predicted, *states, *values]))
        self.kept.append(kept)
        self.unknown += unknown


def select(
    results: Location | str,
    where: str,
    out: Location | str,
    *,
    rule: IouRule | None = None,
    overwrite: bool = False,
    command: str = "",
) -> dict[str, KeptOf]:
    """Write the rows of which a condition is true to a table that says that it is a selection.

    The rows of one take and direction are in memory at a time, and a few numbers of each row.

    Args:
        results: a results table.
        where: a condition on a row's columns, as DuckDB writes it; with a rule, on `expected_iou` too.
        out: file to write.
        rule: says which IoU is to be expected.
        overwrite: replace an existing file.
        command: the call that asks for it, to be kept with the table; empty for none.

    Returns:
        What is kept and what it is worth, by direction.

    Raises:
        ConfigError: the condition is none, or DuckDB is not installed.
        OutputError: the table cannot be read, or the file is there or cannot be written.

    Example:
        >>> kept = select("results.parquet", "confidence > 0.6 and area > 100", "kept.parquet")
        >>> 0 < kept["ego2exo"].kept < kept["ego2exo"].rows
        True
    """
    check_new_file(out, overwrite=overwrite)
    run = read_metadata(results)
    schema = SCHEMA if rule is None else SCHEMA.append(pa.field(EXPECTED, pa.float64()))
    with Expression(where, schema) as condition:
        rows = sum(table.num_rows for *_, table in scan_takes(results, ()))
        selected = _selected(run, where, rows)
        gathered: dict[str, _Gathered] = {}
        takes: dict[str, int] = {}
        written = rewritten(
            out,
            selected,
            read_contents(results),
            read_coverage(results),
            history=[*read_history(results), Step(command)],
            overwrite=overwrite,
        )
        with written as add:
            for uid, direction, table in scan_takes(results, SCHEMA.names):
                if rule is not None:
                    with understanding(results, DataError, "a results table", "predict again"):
                        expected = rule.expected(direction, signs_of(table), uid)
                    table = table.append_column(EXPECTED, pa.array(expected, from_pandas=True))  # noqa: PLW2901
                kept, unknown = condition.of(table)
                add(table.filter(pa.array(kept)))
                one = gathered.setdefault(direction, _Gathered())
                one.add(takes.setdefault(uid, len(takes)), table, kept, unknown)
            if not any(some.any() for one in gathered.values() for some in one.kept):
                raise ConfigError(
                    f"`where` is true of none of the {rows:,} rows of {named(results)}, so that nothing is left",
                    settings=["where"],
                )
    return {direction: _kept_of(gathered[direction], len(takes)) for direction in sorted(gathered)}


def _selected(run: RunMetadata, where: str, rows: int) -> RunMetadata:
    before = run.selection
    both = where if before is None else f"({before}) and ({where})"
    return replace(run, predict={**run.predict, "selection": both, "selected_from": run.selected_from or rows})


def _kept_of(gathered: _Gathered, takes: int) -> KeptOf:
    take, predicted, visible, absent, iou, expected, *ranked = np.concatenate(gathered.rows, axis=1)
    kept = np.concatenate(gathered.kept)
    is_predicted = predicted > 0
    seen, unseen = is_predicted & (visible > 0), is_predicted & (absent > 0)
    codes = take.astype(np.int64)
    return KeptOf(
        rows=kept.size,
        kept=int(kept.sum()),
        unknown=gathered.unknown,
        predictions=int(is_predicted.sum()),
        kept_predictions=int((kept & is_predicted).sum()),
        visible=int(seen.sum()),
        kept_visible=int((kept & seen).sum()),
        absent=int(unseen.sum()),
        kept_absent=int((kept & unseen).sum()),
        iou=mean_over_takes(iou, codes, kept & seen, takes),
        iou_of_all=mean_over_takes(iou, codes, seen, takes),
        curves=curves_of(
            dict(zip((EXPECTED, *RANKED), (values[seen] for values in (expected, *ranked)), strict=True)), iou[seen]
        ),
        expected=_mean(expected[kept & is_predicted]),
        expected_of_all=_mean(expected[is_predicted]),
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def mean_over_takes(
    values: NDArray[np.float64], takes: NDArray[np.int64], rows: NDArray[np.bool_], count: int
) -> Estimate:
    """Mean of some rows, pooled over takes, with its interval from drawing takes anew.

    Args:
        values: float64 [rows].
        takes: int64 [rows], numbers of takes.
        rows: bool [rows], which count.
        count: how many takes there are.
    """
    sums = np.stack(
        [np.bincount(takes[rows], weights, count) for weights in (values[rows], np.ones(int(rows.sum())))], axis=1
    )
    sums = sums[sums[:, 1] > 0]
    if not len(sums):
        return Estimate(None)
    mean = float(sums[:, 0].sum() / sums[:, 1].sum())
    if len(sums) < 2:
        return Estimate(mean)
    drawn = draws(len(sums), RESAMPLES, SEED) @ sums
    low, high = interval_of((drawn[:, 0] / drawn[:, 1])[:, None])[:, 0]
    return Estimate(mean, number(low), number(high))
