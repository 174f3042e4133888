"""`lmeec export`: results in the formats of other tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lmeec.config import CvatShapes
from lmeec_cli.cautions import warn_of_tables
from lmeec_cli.earlier import note_earlier_versions
from lmeec_cli.options import Overwrite
from lmeec_cli.selections import note_selections
from lmeec_cli.terminal import echo, tell_end
from lmeec_cli.words import counted


class Format(StrEnum):
    """What to export to."""

    CHALLENGE = "challenge"
    COCO = "coco"
    CVAT = "cvat"
    DAVIS = "davis"


_NEXT = {
    Format.CHALLENGE: "submit {out} to the challenge, or score it: lmeec import {out} --annotations FILE --out TABLE",
    Format.COCO: "load {out}/annotations.json and {out}/results.json with pycocotools",
    Format.CVAT: "import the documents of {out} in CVAT, each into its task",
    Format.DAVIS: "open the folders of {out}; tracks.json says which is which",
}


def export(
    results: Annotated[
        list[str],
        typer.Argument(help="Results of `lmeec predict`: one table, or one a direction.", show_default=False),
    ],
    to: Annotated[Format, typer.Option("--format", help="What to write.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="What to make: a JSON file for challenge, a folder for coco, cvat and davis.",
            show_default=False,
        ),
    ],
    annotations: Annotated[
        Path | None,
        typer.Option(
            help="For challenge: relations file of the split, or the benchmark's processed ground truth. Predictions "
            "that its validation asks for and the results lack are added as empty masks.",
            show_default=False,
        ),
    ] = None,
    shapes: Annotated[
        CvatShapes,
        typer.Option(
            help="For cvat: masks, which lose nothing, or tracks of polygons, which are moved and interpolated there."
        ),
    ] = "mask",
    takes: Annotated[
        str | None,
        typer.Option(
            help="For coco: folder of the data set that was predicted from, so that images are called by its videos "
            "and pictures.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        bool, typer.Option("--images", help="For coco: write the frames as pictures too, at the size of the masks.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Write results in the format of another tool.

    `challenge` is the prediction file of the Ego-Exo4D correspondence challenge, both directions in one. `coco` is a
    folder with `annotations.json` and `results.json`, which pycocotools loads. `cvat` is a folder with an XML document
    for each pair of cameras of a take (CVAT for video 1.1); what is corrected there comes back by `lmeec import`.
    `davis` is a folder with an indexed PNG a frame; its `tracks.json` says which folder is which track.

    **Examples**

    A submission, checked against the annotations of its split:

        lmeec export results.parquet --format challenge --annotations relations_test.json --out submission.json

    From one run for each direction:

        lmeec export ego2exo.parquet exo2ego.parquet --format challenge --out submission.json

    To be corrected in CVAT, in tasks of the full-size videos:

        lmeec predict egoexo4d/ --out full.parquet --checkpoint weights/ --mask-size source

        lmeec export full.parquet --format cvat --out cvat/

    For COCO's tools, and as images:

        lmeec export results.parquet --format coco --out coco/

        lmeec export results.parquet --format davis --out davis/

        lmeec export results.parquet --format coco --takes egoexo4d/ --images --out pictures/
    """
    if annotations is not None and to is not Format.CHALLENGE:
        raise typer.BadParameter("goes with --format challenge only", param_hint="--annotations")
    if shapes != "mask" and to is not Format.CVAT:
        raise typer.BadParameter("goes with --format cvat only", param_hint="--shapes")
    if (takes is not None or images) and to is not Format.COCO:
        raise typer.BadParameter("goes with --format coco only", param_hint="--takes" if takes else "--images")
    note_earlier_versions(results)
    note_selections(results)
    if to is Format.CHALLENGE:
        _challenge(results, out, annotations, overwrite)
    elif to is Format.COCO:
        from lmeec.data.takes import find_takes
        from lmeec.export import export_coco

        found = None if takes is None else find_takes(takes)
        made = export_coco(results, out, takes=found, images=images, overwrite=overwrite)
        _say(f"{made.images:,} images, {made.annotations:,} ground truth masks, {made.results:,} predictions in {out}")
        if made.empty:
            _say(f"note: {made.empty:,} empty or missing predictions are left out, as COCO has no empty masks")
        if images:
            _say(f"{made.pictures:,} pictures in {out / 'images'}")
        if made.unwritten:
            _say(f"note: {made.unwritten:,} frames have no picture, as {takes} lacks the video, or the video the frame")
    elif to is Format.CVAT:
        _cvat(results, out, shapes, overwrite)
    else:
        from lmeec.export import export_davis

        drawn = export_davis(results, out, overwrite=overwrite)
        _say(f"{counted(drawn.frames, 'image')} of {counted(drawn.tracks, 'track')} in {out}")
    warn_of_tables(results)
    tell_end(f"wrote {out}", _NEXT[to].format(out=out))


def _cvat(results: list[str], out: Path, shapes: CvatShapes, overwrite: bool) -> None:
    from lmeec.export import export_cvat

    written = export_cvat(results, out, shapes=shapes, overwrite=overwrite)
    _say(f"{written.masks:,} masks in {written.documents:,} documents in {out}; {written.empty:,} are empty")
    if written.missing:
        _say(f"note: {written.missing:,} frames without a prediction are left out")
    if written.repeated:
        _say(
            f"note: {written.repeated:,} predictions are left out, as their frame of the target's video has one "
            "of an earlier frame of the take"
        )
    if written.mean_iou is not None:
        _say(
            f"note: polygons differ from their masks: IoU {written.mean_iou:.3f} on average, "
            f"{written.least_iou:.3f} at least; without --shapes polygon nothing is lost"
        )


def _challenge(results: list[str], out: Path, annotations: Path | None, overwrite: bool) -> None:
    from lmeec.export import export_challenge

    made = export_challenge(results, out, annotations=annotations, overwrite=overwrite)
    for direction, predictions in made.predictions.items():
        _say(f"{direction}: {counted(predictions, 'prediction')} of {counted(made.takes[direction], 'take')} in {out}")
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
