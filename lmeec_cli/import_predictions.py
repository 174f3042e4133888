"""`lmeec import`: predictions of any method as a results table, and masks corrected in CVAT as annotations."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from lmeec.files.locations import location
from lmeec_cli.called import command_line
from lmeec_cli.going_on import after_results
from lmeec_cli.options import AsJson, Overwrite
from lmeec_cli.terminal import echo, tell_end
from lmeec_cli.words import counted


def import_predictions(
    predictions: Annotated[
        str,
        typer.Argument(
            help="Prediction file of the correspondence challenge, a path or URL; or the folder of `lmeec export "
            "--format cvat`, or a document in it, with what CVAT exported.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str,
        typer.Option("--out", "-o", help="Parquet file to write; of CVAT's masks a JSON file.", show_default=False),
    ],
    annotations: Annotated[
        str | None,
        typer.Option(
            help="Relations file, or the benchmark's processed ground truth, a path or URL; predictions need it.",
            show_default=False,
        ),
    ] = None,
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

    Masks that were corrected in CVAT, as query masks of the other direction:

        lmeec import cvat/ --out corrected.json

        lmeec predict egoexo4d/ -o back.parquet --checkpoint weights/ --annotations corrected.json --direction exo2ego
    """
    if Path(predictions).is_dir() or predictions.lower().endswith(".xml"):
        _of_cvat(predictions, annotations, out, overwrite, as_json)
        return
    if annotations is None:
        raise typer.BadParameter("is needed to import predictions", param_hint="--annotations")

    from lmeec.files.places import place
    from lmeec.importing import import_predictions as convert

    done = convert(
        place(predictions), place(annotations), out, overwrite=overwrite, workers=workers, command=command_line()
    )
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
        echo(f"{out}: {counted(done.rows, 'frame')}, {done.visible:,} with the object visible, {done.absent:,} absent")
    tell_end(f"wrote {out}", after_results(out))


def _of_cvat(source: str, annotations: str | None, out: str, overwrite: bool, as_json: bool) -> None:
    from lmeec.importing import import_cvat

    if annotations is not None:
        raise typer.BadParameter("goes with predictions only", param_hint="--annotations")
    if not out.lower().endswith(".json"):
        raise typer.BadParameter("masks of CVAT become a relations file: name it .json", param_hint="--out")
    done = import_cvat(Path(source), location(out), overwrite=overwrite)
    for what, count in done.left_out.items():
        echo(f"note: {count:,} of these are left out: {what}", err=True)
    if as_json:
        echo(json.dumps({"out": out} | dataclasses.asdict(done), indent=2))
    else:
        echo(f"{out}: {done.masks:,} masks of {done.documents:,} documents; {done.absent:,} frames without the object")
    tell_end(f"wrote {out}", f"lmeec predict TAKES --annotations {shlex.quote(out)} --out results.parquet")
