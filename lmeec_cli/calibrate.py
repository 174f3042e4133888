"""`lmeec calibrate`: fit the decision "visible" on a run with ground truth."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmeec_cli.cautions import warn_of_tables
from lmeec_cli.earlier import note_earlier_versions
from lmeec_cli.options import AsJson, Overwrite
from lmeec_cli.selections import note_selections
from lmeec_cli.terminal import echo, tell_end

if TYPE_CHECKING:
    from lmeec.analysis.existence import DecisionScores
    from lmeec.analysis.groups import Estimate
    from lmeec.analysis.trust import TrustScores


def calibrate(
    results: Annotated[
        str, typer.Argument(help="Results with ground truth, of the train or val split.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON file to write.", show_default=False)],
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Fit when an object counts as visible, and how far a mask can be trusted, from all signs that a table has.

    Signs are object score, predicted IoU, the round trip of `lmeec predict --cycle` if it was made, mask area, the same
    of the track's neighbours in time, and how well the mask agrees with theirs and with those of other query views.

    A logistic regression for each direction weighs them, in which visible and absent frames count the same. Shown is
    balanced accuracy before (confidence > 0.5, and the released rule: the mask covers over 0.1% of the frame) and
    after, and how well another one tells masks with an IoU over 0.5 from others, beside the best signs alone: all by
    cross-validation over takes, with 95% intervals over takes. `lmeec predict` and `lmeec score` take the file with
    `--calibration`, also for takes without ground truth.

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
        trust = {direction: {"trust": dataclasses.asdict(one)} for direction, one in fitted.trust.items()}
        both = {direction: scores.get(direction, {}) | trust.get(direction, {}) for direction in {**scores, **trust}}
        echo(json.dumps(both, indent=2))
    else:
        _show(fitted.scores, fitted.trust)
    for direction, reason in fitted.skipped.items():
        echo(f"note: when an object counts as visible in {direction} is not in the calibration: {reason}", err=True)
    for direction, reason in fitted.untrusted.items():
        echo(f"note: how far masks in {direction} can be trusted is not in the calibration: {reason}", err=True)
    warn_of_tables([results])
    tell_end(f"wrote {out}", f"lmeec score OTHER.parquet --calibration {shlex.quote(str(out))}")


_SIGNS_SHOWN = 3


def _show(scores: dict[str, DecisionScores], trust: dict[str, TrustScores]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from lmeec_cli.console import Console

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("balanced accuracy %", "value", "95% interval"):
        table.add_column(name, justify="left" if name.startswith("balanced") else "right", no_wrap=True)
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
    if scores:
        Console().print(table)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("masks with IoU > 0.5, AUROC %", "value", "95% interval"):
        table.add_column(name, justify="left" if name.startswith("masks") else "right", no_wrap=True)
    for direction, rule in trust.items():
        best = sorted(rule.signs.items(), key=lambda item: -(item[1].value or 0))[:_SIGNS_SHOWN]
        table.add_row(f"{direction}, fitted rule", *_cells(rule.rule, ""))
        for name, estimate in best:
            table.add_row(f"{direction}, {name} alone", *_cells(estimate, ""))
        table.add_row(f"{direction}, IoU of the best half, gain", *_cells(rule.gain, "+"))
        table.add_section()
    if trust:
        Console().print(table)


def _cells(estimate: Estimate, sign: str) -> tuple[str, str]:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "-", "-"
    value, low, high = (f"{100 * number:{sign}.2f}" for number in (estimate.value, estimate.low, estimate.high))
    return value, f"{low} to {high}"
