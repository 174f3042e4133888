"""`lmeec calibrate`: fit the decision "visible" on a run with ground truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmeec_cli.earlier import note_earlier_versions
from lmeec_cli.options import AsJson, Overwrite
from lmeec_cli.selections import note_selections
from lmeec_cli.terminal import echo

if TYPE_CHECKING:
    from lmeec.analysis.existence import DecisionScores
    from lmeec.analysis.groups import Estimate


def calibrate(
    results: Annotated[
        str, typer.Argument(help="Results with ground truth, of the train or val split.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON file to write.", show_default=False)],
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Fit the decision whether an object is visible, from object score, predicted IoU and mask area.

    A logistic regression for each direction, in which visible and absent frames weigh the same. Shown is balanced
    accuracy before (confidence > 0.5, and the released rule: the mask covers over 0.1% of the frame) and after, by
    cross-validation over takes, with 95% intervals over takes. `lmeec predict` and `lmeec score` take the file with
    `--calibration`.

    **Examples**

    Fit on the val split, to be used with `lmeec predict ... --calibration calibration.json`:

        lmeec calibrate results.parquet --out calibration.json

    The gain in one direction, for a script:

        lmeec calibrate results.parquet --out calibration.json --json | jq .ego2exo.gain.value
    """
    import dataclasses

    from lmeec.analysis.existence import fit_calibration
    from lmeec.tables import check_free

    check_free(out, overwrite=overwrite)
    note_earlier_versions([results])
    note_selections([results])
    fitted = fit_calibration(results)
    fitted.calibration.write(out)
    if as_json:
        scores = {direction: dataclasses.asdict(one) for direction, one in fitted.scores.items()}
        echo(json.dumps(scores, indent=2))
    else:
        _show(fitted.scores)
    for direction, reason in fitted.skipped.items():
        echo(f"note: {direction} is not in the calibration: {reason}", err=True)
    echo(f"wrote {out}", err=True)


def _show(scores: dict[str, DecisionScores]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from lmeec_cli.console import Console

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("direction", "balanced accuracy %", "95% interval"):
        table.add_column(name, justify="left" if name == "direction" else "right", no_wrap=True)
    for direction, one in scores.items():
        lines = {
            "confidence > 0.5": one.confidence,
            "released rule": one.released_rule,
            "calibrated": one.calibrated,
        }
        for name, estimate in lines.items():
            table.add_row(f"{direction}, {name}", *_cells(estimate, ""))
        table.add_row(f"{direction}, gain over confidence", *_cells(one.gain, "+"))
        table.add_row(f"{direction}, gain over released rule", *_cells(one.gain_over_rule, "+"))
        table.add_section()
    Console().print(table)


def _cells(estimate: Estimate, sign: str) -> tuple[str, str]:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "-", "-"
    value, low, high = (f"{100 * number:{sign}.2f}" for number in (estimate.value, estimate.low, estimate.high))
    return value, f"{low} to {high}"
