"""`lmeec import`: predictions of any method, in the challenge's format, as a results table."""

from __future__ import annotations

from typing import Annotated

import typer

from lmeec_cli.options import AsJson, Overwrite
from lmeec_cli.terminal import echo


def import_predictions(
    predictions: Annotated[
        str,
        typer.Argument(help="Prediction file of the correspondence challenge, a path or URL.", show_default=False),
    ],
    annotations: Annotated[
        str,
        typer.Option(
            help="Relations file, or the benchmark's processed ground truth, a path or URL.", show_default=False
        ),
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="Parquet file to write.", show_default=False)],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that work at once.", show_default="one a CPU")
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Turn a prediction file of the Ego-Exo4D correspondence challenge into a results table.

    Any method is then scored by the same command. Rows are the frames that the benchmark looks at, where the query
    camera has a mask of the object; a missing prediction counts as empty. Masks of another size than the evaluation
    size (the longer side 480 pixels) are resized with nearest neighbour. What is missing, resized or left out is said
    on stderr.

    **Examples**

    Another method, to be scored with `lmeec score peers.parquet`:

        lmeec import peers.json --annotations relations_val.json --out peers.parquet

    Against the benchmark's processed ground truth:

        lmeec import peers.json --annotations correspondence-gt.json --out peers.parquet
    """
    import dataclasses
    import json

    from lmeec.files.places import place
    from lmeec.importing import import_predictions as convert

    done = convert(place(predictions), place(annotations), out, overwrite=overwrite, workers=workers)
    notes = {
        f"predictions are missing and count as empty ({done.missing_takes} takes have none at all)": done.missing,
        "masks were resized to the evaluation size with nearest neighbour": done.resized,
        "predictions are left out: the annotations have no query mask for them": done.unasked,
    }
    for note, count in notes.items():
        if count:
            echo(f"note: {count:,} {note}", err=True)
    for warning in done.warnings:
        echo(f"warning: {warning}", err=True)
    if as_json:
        echo(json.dumps({"out": out} | dataclasses.asdict(done), indent=2))
    else:
        echo(f"{out}: {done.rows:,} frames, {done.visible:,} with the object visible, {done.absent:,} absent")
