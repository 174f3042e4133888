"""`lmeec report`: one page about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmeec_cli.cautions import warn_of_tables
from lmeec_cli.earlier import note_earlier_versions
from lmeec_cli.options import CACHE_SIZE, CacheFolder, CacheSize, Overwrite, RelationsFile, Results, file_cache
from lmeec_cli.selections import note_selections
from lmeec_cli.terminal import echo, tell_end
from lmeec_cli.words import counted


def report(
    results: Results,
    takes: Annotated[
        str | None,
        typer.Argument(
            metavar="[TAKES]", help="Folder of the data set, a path or URL, to show tracks.", show_default=False
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")] = Path("report.html"),
    videos: Annotated[
        Path | None,
        typer.Option(
            help="Folder that `lmeec render` filled, to link each track's video.",
            show_default="the folder videos beside the page",
        ),
    ] = None,
    annotations: RelationsFile = None,
    cache: CacheFolder = None,
    cache_size: CacheSize = CACHE_SIZE,
    run: Annotated[
        bool,
        typer.Option(
            "--run",
            help="Draw how the run went instead: who was at work when, how fast, on what, and what went wrong. Also of "
            "a run that goes on, or was killed.",
        ),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Write one page about a run: metrics with intervals, what they depend on, and tracks to look at.

    The page is one file that needs no network; it prints, and follows the browser's light or dark setting. With TAKES,
    the best, median and worst tracks are shown as strips of frames.

    **Examples**

    The numbers:

        lmeec report results.parquet --out report.html

    And tracks to look at:

        lmeec report results.parquet egoexo4d/ --out report.html

    How the night went that made them:

        lmeec report --run results.parquet --out night.html
    """
    if run:
        if takes is not None:
            raise typer.BadParameter("is about the run alone: leave out TAKES", param_hint="--run")
        _draw_run(results, out, overwrite=overwrite)
        return
    from lmeec.report import write_report

    found = None
    if takes is not None:
        from lmeec.data.takes import find_takes

        found = find_takes(takes, annotations=annotations, cache=file_cache(cache, cache_size))
        for warning in found.warnings:
            echo(f"warning: {warning}", err=True)
    numbers, strips = write_report(results, out, takes=found, videos=videos, overwrite=overwrite)
    note_earlier_versions([results])
    note_selections([results])
    if not numbers.annotated:
        echo(f"note: {results} has no ground truth, so the report has no metrics", err=True)
    warn_of_tables([results])
    problems = [strip for strip in strips if strip.problem is not None]
    for strip in problems:
        echo(f"not drawn: {strip.track.object} of take {strip.take_name}: {strip.problem}", err=True)
    tell_end(
        f"wrote {out}: {counted(numbers.tracks, 'track')} of {counted(numbers.takes, 'take')}",
        f"open {out} in a browser",
    )
    if problems:
        raise typer.Exit(1)


def _draw_run(results: str, out: Path, *, overwrite: bool) -> None:
    from lmeec.report.night import write_night
    from lmeec.runs.night import night_of
    from lmeec.runs.status import read_status

    found = read_status(results, watching=lambda text: echo(text, err=True))
    night = night_of(found)
    write_night(found.out, found.state, night, out, overwrite=overwrite)
    tell_end(f"wrote {out}: {counted(len(night.attempts), 'attempt')}", f"open {out} in a browser")
