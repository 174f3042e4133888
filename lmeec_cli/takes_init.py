"""`lmeec takes init`: a manifest of what a folder holds."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from lmeec_cli.options import CACHE_SIZE, CacheFolder, CacheSize, Overwrite, file_cache
from lmeec_cli.terminal import echo, tell, tell_end

_FIRST = 20
"""Lines of what to look at; a folder of thousands has thousands."""


def init(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Folder with recordings, a path or URL.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Manifest to write, which ends in .yaml.", show_default="FOLDER/recordings.yaml"
        ),
    ] = None,
    ego: Annotated[
        list[str] | None,
        typer.Option(help="Name of an ego camera; repeat for more.", show_default="those that are called so"),
    ] = None,
    overwrite: Overwrite = False,
    cache: CacheFolder = None,
    cache_size: CacheSize = CACHE_SIZE,
) -> None:
    """Write a manifest of the recordings in a folder, and say what was assumed.

    Takes and cameras are told by how folders and files are called: a folder with several videos is a take; or folders
    are cameras, as in `head/kitchen.mp4` and `side/kitchen.mp4`; or files are called TAKE_CAMERA. Masks are looked for
    in COCO's JSON and in folders of PNG files that are called as their camera is. Correct in the manifest what was not
    meant: everything that was assumed stands in it as a comment.

    **Examples**

    Recordings in folders, a take each:

        lmeec takes init recordings/

    A camera that is worn, and is not called so:

        lmeec takes init recordings/ --ego cam1

    Those of a bucket:

        lmeec takes init s3://bucket/recordings --out recordings.yaml
    """
    from lmeec.data.manifest.making.init import draft_of_folder
    from lmeec.data.manifest.making.writing import write_draft
    from lmeec.files.places import place

    where = place(folder, file_cache(cache, cache_size))
    if out is None and not isinstance(where, Path):
        raise typer.BadParameter("name the manifest, as FOLDER is not on this machine", param_hint="--out")
    path = out or Path(folder) / "recordings.yaml"
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise typer.BadParameter(f"{path}: a manifest's name ends in .yaml", param_hint="--out")
    made = draft_of_folder(where, ego or (), beside=path.parent)
    write_draft(made.draft, path, overwrite=overwrite)
    for said in made.assumed:
        tell(f"assumed: {said}")
    for doubt in made.doubts[:_FIRST]:
        echo(f"warning: {doubt}", err=True)
    if len(made.doubts) > _FIRST:
        echo(f"warning: and {len(made.doubts) - _FIRST} more", err=True)
    cameras = [camera for take in made.draft.takes for camera in take.cameras]
    with_masks = sum(bool(camera.masks) for camera in cameras)
    tell_end(
        f"{path}: {len(made.draft.takes)} takes, {len(cameras)} cameras, {with_masks} of them with masks",
        f"look through it, then lmeec takes {shlex.quote(str(path))} --check",
    )
