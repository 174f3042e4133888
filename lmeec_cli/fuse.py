"""`lmeec fuse`: several runs over the same tracks, the best of each frame."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from lmeec.config import FuseBy
from lmeec_cli.called import command_line
from lmeec_cli.cautions import warn_of_tables
from lmeec_cli.earlier import note_earlier_versions
from lmeec_cli.going_on import after_results
from lmeec_cli.options import AsJson, FitOn, Overwrite, RuleFile
from lmeec_cli.rule_file import rule_of
from lmeec_cli.terminal import echo, tell_end
from lmeec_cli.words import counted

if TYPE_CHECKING:
    from lmeec.analysis.fusion import Fused


def fuse(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Two results tables or more, of the same takes and annotations: paths or URLs.",
            show_default=False,
        ),
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="Parquet file to write.", show_default=False)],
    by: Annotated[
        FuseBy | None,
        typer.Option(
            help="What decides which run's mask is taken, the higher the better.",
            show_default="the rule where there is one, else the first of cycle_iou, predicted_iou and confidence that "
            "every run has",
        ),
    ] = None,
    fit: FitOn = None,
    rule: RuleFile = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="What the column source_run calls a run; once for each, in their order.",
            show_default="the file's name",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make one results table of several runs: for each frame, the row of the run whose mask seems best.

    Runs may differ in anything but takes, annotations and the masks' size: memory policy, direction of time (`lmeec
    predict --reverse`), checkpoint, method (`lmeec import`). The column `source_run` says which run a row is from.
    Where two are as good, the run named first is taken. No ground truth is used to choose.

    A rule weighs all signs of a mask: what the model says of it, its round trip, its neighbours in time, other views,
    and how well the runs agree. `--fit` fits it on as many runs with ground truth as are fused, with the same settings;
    for takes that it was fitted on, a rule fitted without them decides, so that such a table can be scored.

    The exit status is 1 if a run has no prediction of frames that another has; they are counted and named, and the
    table is there.

    **Examples**

    By the better sign that both have:

        lmeec fuse drop.parquet merge.parquet --out fused.parquet

    What it brings, with an interval:

        lmeec score drop.parquet fused.parquet

    By a rule that is fitted on runs with ground truth, and kept for others:

        lmeec fuse drop.parquet merge.parquet --fit drop.parquet --fit merge.parquet --rule rule.json -o fused.parquet
    """
    import dataclasses

    from lmeec.analysis.fusion import fuse as fuse_runs
    from lmeec.analysis.fusion import lacking_in_words
    from lmeec.tables.rewrite import check_new_file

    check_new_file(out, overwrite=overwrite)
    note_earlier_versions(runs)
    decides = rule_of(fit or (), rule, overwrite=overwrite)
    done = fuse_runs(runs, out, by=by, rule=decides, names=name or (), overwrite=overwrite, command=command_line())
    if as_json:
        echo(json.dumps({"out": out} | dataclasses.asdict(done), indent=2))
    else:
        _show(out, done)
    warn_of_tables(runs)
    tell_end(f"wrote {out}", after_results(out, before=runs[0]))
    for note in done.notes:
        echo(f"note: {note}", err=True)
    for run, lacking in done.lacking.items():
        echo(f"error: {lacking_in_words(run, lacking)}", err=True)
    if done.lacking:
        raise typer.Exit(1)


def _show(out: str, done: Fused) -> None:
    without = f", {done.missing:,} without a prediction" if done.missing else ""
    echo(f"{out}: {counted(done.rows, 'frame')} by {done.by}{without}")
    for direction, taken in done.taken.items():
        total = max(sum(taken.values()), 1)
        shares = ", ".join(f"{name} {count:,} ({100 * count / total:.0f}%)" for name, count in taken.items())
        echo(f"{direction}: {shares}")
