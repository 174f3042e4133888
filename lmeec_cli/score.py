"""`lmeec score`: the benchmark's metrics of a results table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lmeec.evaluation import DirectionScore


def score(
    results: Annotated[
        str,
        typer.Argument(help="Parquet file or folder that `lmeec predict` wrote: a path or a URL.", show_default=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Score a results table against its ground truth, by direction.

    IoU, location error and contour accuracy are means over frames in which the object is visible; balanced accuracy
    of "visible" is over all annotated frames. Frames are pooled over takes, as the benchmark does. The table
    gives IoU and balanced accuracy in percent; JSON gives every metric as a fraction.

    **Examples**

    Show the metrics of a run:

        lmeec score results.parquet

    Take one number for a script:

        lmeec score results.parquet --json | jq .directions.ego2exo.iou
    """
    from lmeec.evaluation import evaluate

    scores = evaluate(results)
    if as_json:
        _print_json(results, scores)
    else:
        _print_table(scores)
    _note_directions_without_ground_truth(scores)


def _print_json(results: str, scores: dict[str, DirectionScore]) -> None:
    import dataclasses
    import json

    from lmeec.tables import read_metadata

    document = {
        "results": results,
        "run": dataclasses.asdict(read_metadata(results)),
        "directions": {name: dataclasses.asdict(score) for name, score in scores.items()},
    }
    typer.echo(json.dumps(document, indent=2))


def _print_table(scores: dict[str, DirectionScore]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("direction", no_wrap=True)
    for name in ("IoU %", "location\nerror", "contour\naccuracy", "balanced\nacc. %", "visible", "absent", "takes"):
        table.add_column(name, justify="right", no_wrap=True)
    for direction, score in scores.items():
        table.add_row(
            direction,
            _shown(score.iou, 100, 2),
            _shown(score.location_error, 1, 3),
            _shown(score.contour_accuracy, 1, 3),
            _shown(score.balanced_accuracy, 100, 2),
            *(f"{count:,}" for count in (score.visible, score.absent, score.takes)),
        )
    Console().print(table)


def _note_directions_without_ground_truth(scores: dict[str, DirectionScore]) -> None:
    for direction, score in scores.items():
        if not score.visible:
            typer.echo(f"note: none of the {score.frames:,} frames of {direction} has visible ground truth", err=True)


def _shown(value: float | None, scale: float, digits: int) -> str:
    return "-" if value is None else f"{value * scale:.{digits}f}"
