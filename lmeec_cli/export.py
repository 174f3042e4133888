"""`lmeec export`: results in the formats of other tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lmeec_cli.earlier import note_earlier_versions
from lmeec_cli.options import Overwrite
from lmeec_cli.selections import note_selections
from lmeec_cli.terminal import echo


class Format(StrEnum):
    """What to export to."""

    CHALLENGE = "challenge"
    COCO = "coco"
    DAVIS = "davis"


def export(
    results: Annotated[
        list[str],
        typer.Argument(help="Results of `lmeec predict`: one table, or one a direction.", show_default=False),
    ],
    to: Annotated[Format, typer.Option("--format", help="What to write.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(help="What to make: a JSON file for challenge, a folder for coco and davis.", show_default=False),
    ],
    annotations: Annotated[
        Path | None,
        typer.Option(
            help="For challenge: relations file of the split, or the benchmark's processed ground truth. Predictions "
            "that its validation asks for and the results lack are added as empty masks.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write results in the format of another tool.

    `challenge` is the prediction file of the Ego-Exo4D correspondence challenge, both directions in one. `coco` is a
    folder with `annotations.json` and `results.json`, which pycocotools loads. `davis` is a folder with an indexed PNG
    a frame; its `tracks.json` says which folder is which track.

    **Examples**

    A submission, checked against the annotations of its split:

        lmeec export results.parquet --format challenge --annotations relations_test.json --out submission.json

    From one run for each direction:

        lmeec export ego2exo.parquet exo2ego.parquet --format challenge --out submission.json

    For COCO's tools, and as images:

        lmeec export results.parquet --format coco --out coco/

        lmeec export results.parquet --format davis --out davis/
    """
    if annotations is not None and to is not Format.CHALLENGE:
        raise typer.BadParameter("goes with --format challenge only", param_hint="--annotations")
    note_earlier_versions(results)
    note_selections(results)
    if to is Format.CHALLENGE:
        _challenge(results, out, annotations, overwrite)
    elif to is Format.COCO:
        from lmeec.export import export_coco

        made = export_coco(results, out, overwrite=overwrite)
        _say(f"{made.images:,} images, {made.annotations:,} ground truth masks, {made.results:,} predictions in {out}")
        if made.empty:
            _say(f"note: {made.empty:,} empty or missing predictions are left out, as COCO has no empty masks")
    else:
        from lmeec.export import export_davis

        images = export_davis(results, out, overwrite=overwrite)
        _say(f"{images.frames:,} images of {images.tracks:,} tracks in {out}")


def _challenge(results: list[str], out: Path, annotations: Path | None, overwrite: bool) -> None:
    from lmeec.export import export_challenge

    made = export_challenge(results, out, annotations=annotations, overwrite=overwrite)
    for direction, predictions in made.predictions.items():
        _say(f"{direction}: {predictions:,} predictions of {made.takes[direction]:,} takes in {out}")
    for direction in ("ego2exo", "exo2ego"):
        if not made.predictions.get(direction):
            _say(f"warning: the results hold no predictions of {direction}; the challenge asks for both directions")
    for direction, missing in made.missing.items():
        if missing:
            _say(f"note: {missing:,} frames of {direction} have no prediction and are written as empty masks")
    if made.filled is None:
        _say("note: whether every prediction that is asked for is there can be told only with --annotations")
    else:
        for direction, filled in made.filled.items():
            if filled:
                _say(f"note: {filled:,} predictions of {direction} were missing and are written as empty masks")


def _say(text: str) -> None:
    echo(text, err=True)
