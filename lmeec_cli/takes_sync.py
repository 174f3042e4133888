"""What `lmeec takes --check-sync` shows and writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from lmeec.files.names import plain
from lmeec_cli.terminal import echo

if TYPE_CHECKING:
    from lmeec.data.sync import CameraClock
    from lmeec.data.takes import TakeSet


def show_sync(found: TakeSet, *, reference: str | None, write: bool, as_json: bool) -> None:
    """Show how the clocks of cameras go, and correct the manifest if that is asked for.

    Raises:
        typer.Exit: with status 1: a take cannot be compared, or a camera is off and was not corrected.
    """
    from lmeec.data.manifest.making.clocks import check_writable, write_clocks
    from lmeec.data.sync import check_sync
    from lmeec.errors import DataError

    if write:
        check_writable(found.root)
    clocks: dict[str, list[CameraClock]] = {}
    names: dict[str, str] = {}
    failed = 0
    for take in found:
        try:
            clocks[take.uid], names[take.uid] = check_sync(take, reference), take.name
        except DataError as error:
            echo(f"error: take {take.name!r}: {error}", err=True)
            failed += 1
            continue
        for clock in clocks[take.uid]:
            if clock.problem is not None:
                echo(f"note: take {take.name!r}, camera {clock.camera!r}: {clock.problem}", err=True)
    corrected = write_clocks(found.root, clocks) if write else 0
    rows = [_row(names[uid], clock) for uid, some in clocks.items() for clock in some]
    if as_json:
        import msgspec

        echo(msgspec.json.format(msgspec.json.encode({"cameras": rows, "corrected": corrected}), indent=2).decode())
    else:
        _print(rows)
    wrong = sum(clock.is_wrong for some in clocks.values() for clock in some)
    _conclude(found, wrong, corrected, write=write)
    if failed or wrong > corrected:
        raise typer.Exit(1)


def _conclude(found: TakeSet, wrong: int, corrected: int, *, write: bool) -> None:
    if write:
        echo(f"{found.root}: {corrected} cameras corrected", err=True)
    elif wrong and found.layout == "manifest":
        echo(f"{wrong} cameras are off; --write corrects the manifest", err=True)
    elif wrong:
        echo(
            f"{wrong} cameras are off; a manifest says by how much: make one with `lmeec takes init`, and correct it "
            "with --check-sync --write",
            err=True,
        )


def _row(take: str, clock: CameraClock) -> dict[str, Any]:
    known = clock.offset is not None
    return {
        "take": take,
        "camera": clock.camera,
        "by": clock.by,
        "offset_seconds": float(clock.offset) if clock.offset is not None else None,
        "drift_ppm": round(clock.drift * 1e6, 1) if known else None,
        "frame_rate": float(clock.frame_rate) if clock.frame_rate is not None else None,
        "certainty": round(clock.certainty, 3) if known else None,
        "windows": clock.windows,
        "assumed_offset_seconds": float(clock.assumed_offset),
        "off_frames": round(clock.off, 2) if known else None,
        "wrong": clock.is_wrong,
        "problem": clock.problem,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from lmeec_cli.console import Console

    table = Table("Take", "Camera", "By", "Offset s", "Drift ppm", "Certainty", "Off by frames")
    for column in table.columns[3:]:
        column.justify = "right"
    for row in rows:
        if row["offset_seconds"] is None:
            told = ["nothing", "", "", "", ""]
        elif row["by"] is None:
            told = ["reference", f"{row['offset_seconds']:.4f}", "", "", ""]
        else:
            off = f"{row['off_frames']:+.1f}" if row["wrong"] else ("" if row["certainty"] >= 0.5 else "?")
            told = [
                row["by"],
                f"{row['offset_seconds']:.4f}",
                f"{row['drift_ppm']:.0f}",
                f"{row['certainty']:.2f}",
                off,
            ]
        table.add_row(Text(plain(row["take"])), Text(plain(row["camera"])), *told)
    Console().print(table)
