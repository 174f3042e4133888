"""`lmeec takes`: what is on disk and what can be used of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmeec.files.names import plain
from lmeec_cli.groups import TakesOrCommand
from lmeec_cli.help import Command
from lmeec_cli.options import (
    CACHE_SIZE,
    AsJson,
    CacheFolder,
    CacheSize,
    EveryFrame,
    RelationsFile,
    Takes,
    TakesFolder,
    Videos,
    file_cache,
)
from lmeec_cli.takes_init import init
from lmeec_cli.terminal import echo
from lmeec_cli.words import counted

if TYPE_CHECKING:
    from lmeec.data.take import Camera, Take
    from lmeec.data.takes import TakeSet


takes = typer.Typer(cls=TakesOrCommand, invoke_without_command=True, no_args_is_help=True, subcommand_metavar="")
takes.command("init", cls=Command)(init)


@takes.callback()
def list_takes(
    folder: TakesFolder,
    annotations: RelationsFile = None,
    take: Takes = None,
    every: EveryFrame = 1,
    video: Videos = "auto",
    cache: CacheFolder = None,
    cache_size: CacheSize = CACHE_SIZE,
    check: Annotated[
        bool, typer.Option("--check", help="Open every video, and decode every mask, to see whether it can be used.")
    ] = False,
    sync: Annotated[
        bool,
        typer.Option(
            "--check-sync",
            help="Estimate when each camera started and how its clock drifts, by sound where there is any, else by "
            "motion.",
        ),
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="CAMERA",
            help="With --check-sync: the camera that others are compared with.",
            show_default="the first ego camera",
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="With --check-sync: correct the manifest where a camera is off for certain.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List takes, their cameras, objects and annotated frames, and what is missing.

    What is missing is told and counted, and is no error. With `--check`, the exit status is 1 when something is wrong
    with any take that is listed; with `--check-sync`, when a camera is off by half a frame or more for certain, and
    `--write` has not corrected it.

    **Examples**

    Write a manifest of recordings of one's own (`lmeec takes init -h`), and list what it names:

        lmeec takes init recordings/
        lmeec takes recordings/recordings.yaml

    List all takes on disk:

        lmeec takes egoexo4d/

    Those of one split:

        lmeec takes egoexo4d/ --annotations egoexo4d/annotations/relations_val.json

    See before a long run whether every video and mask can be read:

        lmeec takes egoexo4d/ --check

    See whether cameras show the same instants, and correct a manifest where they do not:

        lmeec takes recordings.yaml --check-sync --write

    Names of the takes with problems:

        lmeec takes egoexo4d/ --json | jq -r '.takes[] | select(.problems != []) | .name'
    """
    from lmeec.data.takes import find_takes

    if (write or reference is not None) and not sync:
        raise typer.BadParameter("goes with --check-sync only", param_hint="--write" if write else "--reference")
    found = find_takes(
        folder,
        annotations=annotations,
        video=video,
        names=take or (),
        every=every,
        cache=file_cache(cache, cache_size),
    )
    for warning in found.warnings:
        echo(f"warning: {warning}", err=True)
    if sync:
        from lmeec_cli.takes_sync import show_sync

        show_sync(found, reference=reference, write=write, as_json=as_json)
        return
    rows = (_describe(each, check) for each in found)
    faulty = _print_json(found, rows) if as_json else _print_table(found, rows)
    if check and faulty:
        raise typer.Exit(1)


def _describe(take: Take, check: bool) -> dict[str, Any]:
    cameras = [_describe_camera(take, camera, check) for camera in take.cameras.values()]
    problems = list(take.problems)
    problems += [
        f"camera {camera['name']!r}: {problem}" for camera in cameras for problem in camera.pop("found_by_check")
    ]
    tracks = take.tracks.values()
    return {
        "uid": take.uid,
        "name": take.name,
        "scenario": take.scenario,
        "cameras": cameras,
        "objects": list(take.objects),
        "annotated_frames": len({frame for track in tracks for frame in track.known_frames}),
        "masks": sum(len(track.frames) for track in tracks),
        "problems": problems,
    }


def _describe_camera(take: Take, camera: Camera, check: bool) -> dict[str, Any]:
    tracks = [track for track in take.tracks.values() if track.camera == camera.name]
    row: dict[str, Any] = {
        "name": camera.name,
        "view": camera.view,
        "source": None if camera.source is None else str(camera.source),
        "objects": len(tracks),
        "annotated_frames": len({frame for track in tracks for frame in track.known_frames}),
        "masks": sum(len(track.frames) for track in tracks),
        "found_by_check": [],
    }
    if check:
        from lmeec.data.check import check_camera

        report = check_camera(take, camera)
        if report.notice is not None:
            echo(f"note: take {take.name!r}, camera {camera.name!r}: {report.notice}", err=True)
        row |= {"frames": report.frames, "size": report.size, "found_by_check": report.problems}
    return row


def _print_json(found: TakeSet, rows: Iterator[dict[str, Any]]) -> bool:
    import msgspec

    listed = list(rows)
    document = {
        "layout": found.layout,
        "synthetic": found.synthetic,
        "annotations": [str(path) for path in found.annotations],
        "takes": listed,
        "missing": {
            "takes": found.missing.takes,
            "cameras": [{"take": take, "camera": camera} for take, camera in found.missing.cameras],
        },
        "warnings": found.warnings,
    }
    echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
    return any(row["problems"] for row in listed)


def _print_table(found: TakeSet, rows: Iterator[dict[str, Any]]) -> bool:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from lmeec_cli.console import Console, print_fitting

    table = Table(
        "take", "scenario", "ego", "exo", "objects", "frames", "masks", "problems", box=SIMPLE_HEAD, pad_edge=False
    )
    for column in table.columns:
        column.no_wrap = True  # names are needed in whole, for --take
    for column in table.columns[2:]:
        column.justify = "right"
    problems: list[str] = []
    faulty = 0
    for row in rows:
        views = [camera["view"] for camera in row["cameras"] if camera["source"]]
        numbers = [views.count("ego"), views.count("exo"), len(row["objects"]), row["annotated_frames"], row["masks"]]
        faulty += bool(row["problems"])
        name = plain(row["name"])
        problems += [f"{name}: {plain(problem)}" for problem in row["problems"]]
        table.add_row(
            Text(name), Text(plain(row["scenario"] or "")), *map(str, numbers), str(len(row["problems"]) or "")
        )
    print_fitting(table, ("scenario", "masks", "frames", "exo", "ego", "objects"), "--json")
    console = Console()
    for problem in problems:
        console.print(Text(problem), soft_wrap=True)
    missing = len(found.missing.takes)
    console.print(
        f"{counted(len(found), 'take')} ({found.layout} layout), {faulty} with problems; {missing} annotated but not "
        "on disk",
        highlight=False,
        soft_wrap=True,
    )
    return faulty > 0
