"""`lmeec select`: the rows of a results table that are worth keeping."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmeec_cli.called import command_line
from lmeec_cli.earlier import note_earlier_versions
from lmeec_cli.going_on import after_results
from lmeec_cli.options import AsJson, FitOn, Overwrite, Results, RuleFile
from lmeec_cli.rule_file import rule_of
from lmeec_cli.terminal import echo, tell_end
from lmeec_cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmeec.analysis.groups import Estimate
    from lmeec.analysis.selection import KeptOf

_COVERAGES = (0.1, 0.25, 0.5, 0.75, 1.0)


def select(
    results: Results,
    where: Annotated[
        str,
        typer.Option(
            metavar="CONDITION",
            help="Which rows to keep: a condition on their columns, in DuckDB's SQL. With a rule, expected_iou is a "
            "column too.",
            show_default=False,
        ),
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="Parquet file to write.", show_default=False)],
    fit: FitOn = None,
    rule: RuleFile = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Keep the rows of a results table of which a condition is true, and say what they are worth.

    Shown is how much is kept. With ground truth also its IoU and that of all masks, with 95% intervals over takes, and
    the IoU of the best 10 to 100% of the masks by each sign: what a threshold on that sign would bring. Without ground
    truth, a rule tells the IoU to expect, as far as the runs that it was fitted on are like this one. All of that is of
    frames in which the object is visible; of those in which it is absent is said how many are kept.

    The table says that it is a selection: scores of it are of its rows alone, and it is no submission to the challenge.
    Rows where a column of the condition is null are left out, and counted. DuckDB is an extra: `lmeec[select]`. A
    condition can do nothing but look at columns.

    **Examples**

    What the model is sure of:

        lmeec select results.parquet --where "confidence > 0.9 and predicted_iou > 0.5" --out kept.parquet

    Whole objects of one kind:

        lmeec select results.parquet --where "object like 'toy%' and area > 200" --out toys.parquet

    By the IoU to expect, as a rule has it that is fitted on a run with ground truth:

        lmeec select test.parquet --fit results.parquet --rule rule.json --where "expected_iou > 0.6" --out kept.parquet
    """
    from lmeec.analysis.selection import select as select_rows
    from lmeec.tables.rewrite import check_new_file

    check_new_file(out, overwrite=overwrite)
    note_earlier_versions([results])
    decides = rule_of(fit or (), rule, overwrite=overwrite)
    kept = select_rows(results, where, out, rule=decides, overwrite=overwrite, command=command_line())
    if as_json:
        echo(json.dumps({direction: _document(one) for direction, one in kept.items()}, indent=2))
    else:
        _show(kept)
    for direction, one in kept.items():
        if one.unknown:
            echo(
                f"note: {one.unknown:,} rows of {direction} are left out as a column of the condition is null there",
                err=True,
            )
    if not any(one.visible for one in kept.values()) and decides is None:
        echo(
            "note: there is no ground truth, so that nothing is known of the IoU: --rule or --fit tell what to expect",
            err=True,
        )
    rows = sum(one.kept for one in kept.values())
    tell_end(f"wrote {out}: {counted(rows, 'row')}", after_results(out) if rows else None)


def _document(one: KeptOf) -> dict[str, Any]:
    import dataclasses

    values = dataclasses.asdict(one)
    return values | {
        "curves": {
            name: {"aurc": curve.aurc, "iou": {str(share): curve.at(share) for share in _COVERAGES}}
            for name, curve in one.curves.items()
        }
    }


def _show(kept: Mapping[str, KeptOf]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from lmeec_cli.console import print_whole

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("direction", "kept", "of", "%", "IoU", "IoU of all", "expected", "absent", "of"):
        table.add_column(heading, justify="left" if heading == "direction" else "right", no_wrap=True)
    for direction, one in kept.items():
        share = 100 * one.kept_predictions / one.predictions if one.predictions else 0.0
        table.add_row(
            direction,
            f"{one.kept_predictions:,}",
            f"{one.predictions:,}",
            f"{share:.1f}",
            _estimate(one.iou),
            _estimate(one.iou_of_all),
            "-" if one.expected is None else f"{100 * one.expected:.1f}",
            f"{one.kept_absent:,}",
            f"{one.absent:,}",
        )
    print_whole(table)
    if any(one.curves for one in kept.values()):
        echo("\nIoU of the best masks by each sign, and area under the risk-coverage curve (AURC, lower is better)\n")
        print_whole(_curves(kept))


def _curves(kept: Mapping[str, KeptOf]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("direction")
    table.add_column("sign")
    for heading in (*(f"{100 * share:.0f}%" for share in _COVERAGES), "AURC"):
        table.add_column(heading, justify="right", no_wrap=True)
    for direction, one in kept.items():
        for place, (name, curve) in enumerate(one.curves.items()):
            ious = [f"{100 * curve.at(share):.1f}" for share in _COVERAGES]
            table.add_row("" if place else direction, name, *ious, f"{curve.aurc:.3f}")
        table.add_section()
    return table


def _estimate(estimate: Estimate) -> str:
    if estimate.value is None:
        return "-"
    value = f"{100 * estimate.value:.2f}"
    return (
        value
        if estimate.low is None or estimate.high is None
        else f"{value}\n{100 * estimate.low:.1f}-{100 * estimate.high:.1f}"
    )
