"""Scores and comparisons as tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmeec.analysis.groups import FEW_ABSENT, certainty_of_balanced_accuracy
from lmeec_cli.metric_formats import METRICS
from lmeec_cli.terminal import echo

if TYPE_CHECKING:
    from rich.table import Table

    from lmeec.analysis.compare import Compared, GroupComparison
    from lmeec.analysis.groups import Certainty, Estimate, GroupScore
    from lmeec.analysis.published import Published

_COUNTS = ("visible", "absent", "takes")
_DROPPABLE = ("takes", "visible", "absent", "contour accuracy", "location error", "balanced acc. %")


def show_groups(by: Sequence[str], groups: Sequence[GroupScore] | Sequence[GroupComparison]) -> None:
    """Print one line a group, with its intervals below; of two runs three lines, with that of their difference."""
    from lmeec.analysis.compare import GroupComparison
    from lmeec_cli.console import print_fitting

    comparing = any(isinstance(one, GroupComparison) for one in groups)
    table = _table([*by, "run"] if comparing else by)
    for one in groups:
        if isinstance(one, GroupComparison):
            _add_comparison(table, one)
        else:
            _add_score(table, one)
    print_fitting(table, _DROPPABLE, "--csv")
    echo("")
    if any(_certainty(one) == "few" for one in groups):
        echo(f"* of fewer than {FEW_ABSENT} absent frames\n")


def show_published(
    groups: Sequence[GroupScore] | Sequence[GroupComparison], published: Published, protocol: str
) -> None:
    """Print published numbers under those of the run, and what they are of."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from lmeec_cli.console import Console, print_whole
    from lmeec_cli.metric_formats import shown

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for name in ("direction", "numbers of"):
        table.add_column(name, no_wrap=True)
    for form in METRICS.values():
        table.add_column(form.heading, justify="right", no_wrap=True)
    for one in groups:
        direction = one.group["direction"]
        mine = [shown(name, getattr(one, name).value) for name in METRICS]
        table.add_row(direction, "this run", *mine)
        theirs = published.directions.get(direction, {})
        table.add_row("", published.method, *(shown(name, theirs.get(name)) for name in METRICS), end_section=True)
    print_whole(table)
    said = (
        f"\n{published.method}: {published.source}; {published.split}; {published.protocol}.\n"
        f"This run: the takes of its table, protocol {protocol}. The two are comparable only on the same split and by "
        "the same protocol.\n"
    )
    Console(highlight=False, markup=False).print(said)


def _add_score(table: Table, one: GroupScore) -> None:
    cells = [
        _marked(name, one, _estimate(getattr(one, name), form.scale, form.digits)) for name, form in METRICS.items()
    ]
    table.add_row(*one.group.values(), *cells, *_counts(one))


def _add_comparison(table: Table, one: GroupComparison) -> None:
    for which, run in (("first", "A"), ("second", "B"), ("difference", "B - A")):
        cells = [
            _marked(name, one, _compared(getattr(one, name), which, form.scale, form.digits))
            for name, form in METRICS.items()
        ]
        first = which == "first"
        labels = one.group.values() if first else [""] * len(one.group)
        table.add_row(*labels, run, *cells, *(_counts(one) if first else [""] * len(_COUNTS)))
    table.add_section()


def _table(labels: Sequence[str]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for name in labels:
        table.add_column(name, no_wrap=True)
    for name in (*(form.heading for form in METRICS.values()), *_COUNTS):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _certainty(one: GroupScore | GroupComparison) -> Certainty:
    return "none" if "size" in one.group else certainty_of_balanced_accuracy(one.visible, one.absent)


def _marked(metric: str, one: GroupScore | GroupComparison, shown: str) -> str:
    """Leave out a balanced accuracy that balances nothing, and mark one of few absent frames."""
    if metric != "balanced_accuracy":
        return shown
    value, *interval = shown.splitlines()
    return {"none": "-", "few": "\n".join([f"{value}*", *interval]), "sound": shown}[_certainty(one)]


def _compared(metric: Compared, which: str, scale: int, digits: int) -> str:
    shown = _estimate(getattr(metric, which), scale, digits, signed=which == "difference")
    return shown if which == "difference" else shown.partition("\n")[0]


def _estimate(estimate: Estimate, scale: int, digits: int, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    if estimate.value is None:
        return "-"
    value = f"{estimate.value * scale:{sign}.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return value
    coarser = digits - 1 if scale > 1 else digits
    low, high = (_short(f"{end * scale:{sign}.{coarser}f}") for end in (estimate.low, estimate.high))
    return f"{value}\n{low} to {high}" if signed else f"{value}\n{low}-{high}"


def _short(number: str) -> str:
    """Without the zero before the point, so that two fit in a column."""
    return number.replace("0.", ".", 1) if number.lstrip("+-").startswith("0.") else number


def _counts(one: GroupScore | GroupComparison) -> list[str]:
    return [f"{getattr(one, name):,}" for name in _COUNTS]
