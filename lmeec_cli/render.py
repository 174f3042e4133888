"""`lmeec render`: videos of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmeec.config import Direction
from lmeec_cli.cautions import warn_of_tables
from lmeec_cli.options import CACHE_SIZE, CacheFolder, CacheSize, Objects, RelationsFile, Results, Takes, file_cache
from lmeec_cli.terminal import echo, tell_end
from lmeec_cli.words import counted


def render(
    results: Results,
    takes: Annotated[
        str,
        typer.Argument(
            metavar="TAKES", help="Folder of the data set that was predicted from, a path or URL.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the videos or pictures.", show_default=False)],
    mosaic: Annotated[
        bool, typer.Option("--mosaic", help="One video for each object and direction, of all its views.")
    ] = False,
    take: Takes = None,
    name: Objects = None,
    direction: Annotated[Direction | None, typer.Option(help="Only one direction.", show_default="both")] = None,
    annotations: RelationsFile = None,
    cache: CacheFolder = None,
    cache_size: CacheSize = CACHE_SIZE,
    height: Annotated[int, typer.Option(min=64, max=2160, help="Pixels of each view, top to bottom.")] = 480,
    fps: Annotated[float, typer.Option(min=0.1, max=60, help="Predicted frames shown a second.")] = 4,
    stills: Annotated[
        int | None,
        typer.Option(min=1, help="Write so many PNG pictures of each instead of a video.", show_default=False),
    ] = None,
) -> None:
    """Render predictions over the videos they were made from, as MP4 files that browsers play, or as pictures.

    Query masks are hatched, predictions filled, and ground truth, where there is any, is a dashed outline. Under each
    view stand its confidence and IoU. Files are TAKE/OBJECT/QUERY_to_TARGET.mp4, and index.html shows them.

    **Examples**

    Every track of a run:

        lmeec render results.parquet egoexo4d/ --out videos/

    All views of one object side by side:

        lmeec render results.parquet egoexo4d/ --out videos/ --mosaic --take cmu_bike01_2 --object "wrench_0"

    Three pictures of each object, for a page or a talk:

        lmeec render results.parquet egoexo4d/ --out pictures/ --mosaic --stills 3
    """
    from lmeec.data.takes import find_takes
    from lmeec.render import render as render_videos
    from lmeec.render.tracks import Selection

    found = find_takes(takes, annotations=annotations, cache=file_cache(cache, cache_size))
    for warning in found.warnings:
        echo(f"warning: {warning}", err=True)
    done = render_videos(
        results,
        found,
        out,
        selection=Selection(take or (), name or (), direction),
        mosaic=mosaic,
        height=height,
        frames_per_second=fps,
        stills=stills,
        on_file=lambda path: echo(str(path)),
    )
    for failure in done.failures:
        echo(f"not rendered: {failure}", err=True)
    warn_of_tables([results])
    made = counted(len(done.files), "video" if stills is None else "picture")
    tell_end(f"wrote {made} in {out}", f"open {done.index} in a browser" if done.index else None)
    if done.failures:
        raise typer.Exit(1)
