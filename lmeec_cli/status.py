"""`lmeec status`: how far a run is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lmeec_cli.going_on import after_results
from lmeec_cli.options import AsJson
from lmeec_cli.terminal import echo, tell

if TYPE_CHECKING:
    from lmeec.runs.status import RunStatus
    from lmeec_cli.console import Console

_SHOWN = 20


def status(
    out: Annotated[
        str, typer.Argument(help="What `lmeec predict` was given as --out: a path or a URL.", show_default=False)
    ],
    trace: Annotated[
        bool,
        typer.Option(
            "--trace", help="Sum up its trace as well: the slowest takes, the worst machines, idle workers, retries."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell how far a run is: what is done, what failed and why, what remains.

    Reads the parts that the run has written, so it works from any terminal that sees the output, also after the run
    was killed.

    **Examples**

    Look at a run from another terminal:

        lmeec status results.parquet

    What kept the workers busy, and what went wrong:

        lmeec status results.parquet --trace

    Names of what remains, for a script:

        lmeec status s3://bucket/night/ --json | jq -r '.remaining[]'
    """
    from lmeec.runs.status import read_status

    found = read_status(out, watching=lambda text: echo(text, err=True))
    night = None
    if trace:
        from lmeec.runs.night import night_of

        night = night_of(found)
    if as_json:
        import dataclasses
        import json

        from lmeec_cli.trace import as_json as values_of

        more = {} if night is None else {"trace": values_of(night)}
        echo(json.dumps(dataclasses.asdict(found) | more, indent=2, ensure_ascii=False))
    else:
        _print(found)
        if night is not None:
            from lmeec_cli.trace import lines_of

            echo("\n".join(lines_of(night)))


def _print(found: RunStatus) -> None:
    from lmeec_cli.cautions import warn_all
    from lmeec_cli.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    left = f", {len(found.remaining)} remain" if found.remaining else ""
    failed = f", {len(found.failures)} failed" if found.failures else ""
    console.print(f"{found.out}: {found.state}; {found.done} of {found.jobs} takes and directions done{failed}{left}")
    if found.heartbeat is not None:
        _print_heartbeat(console, found)
    for failure in found.failures[:_SHOWN]:
        console.print(f"failed: {failure.label}: {failure.error}")
    if len(found.failures) > _SHOWN:
        console.print(f"and {len(found.failures) - _SHOWN} more failures, see --json")
    if found.state != "running" and (found.remaining or found.failures):
        console.print("run the same `lmeec predict` command again to go on")
    elif found.state == "complete":
        tell(f"next: {after_results(found.out)}")
    warn_all(found.cautions)


def _print_heartbeat(console: Console, found: RunStatus) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from lmeec_cli.words import duration

    beat = found.heartbeat
    assert beat is not None
    heard = found.state == "running" or found.silent_s is None
    silent = "" if heard else f", last heard of {duration(found.silent_s or 0)} ago"
    console.print(f"driver: process {beat.pid} on {beat.host}, at work for {duration(beat.seconds)}{silent}")
    left = f", {duration(beat.seconds_left)} left" if found.state == "running" and beat.seconds_left else ""
    console.print(f"frames: {beat.frames_done:,} of about {beat.frames:,}, {beat.rate:.1f} frames/s{left}")
    if found.state != "running" or not beat.workers:
        return
    table = Table(box=SIMPLE_HEAD)
    for name in ("worker", "state", "take and direction", "frames", "frames/s"):
        table.add_column(name, justify="right" if name.startswith("frames") else "left")
    for worker in beat.workers:
        frames = f"{worker.done:,} of {worker.frames:,}" if worker.job else ""
        table.add_row(worker.name, worker.state, worker.job, frames, f"{worker.rate:.1f}" if worker.job else "")
    console.print(table)
