"""`lmeec synth`: render synthetic takes in the release layout."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmeec_cli.options import Seed
from lmeec_cli.terminal import echo, is_quiet, tell, tell_end
from lmeec_cli.words import counted

if TYPE_CHECKING:
    from lmeec.synthetic.writer import Progress


def synth(
    out: Annotated[Path, typer.Argument(help="Directory to write; must be empty or not exist.", show_default=False)],
    takes: Annotated[int, typer.Option(help="How many takes.")] = 4,
    seconds: Annotated[float, typer.Option(help="Length of each take.")] = 20.0,
    seed: Seed = 0,
    objects: Annotated[int, typer.Option(help="Annotated objects a take, look-alikes included.")] = 6,
    exo_cameras: Annotated[
        str, typer.Option(help="Static cameras a take, 1 to 8, or a range to draw from, such as 2..4.")
    ] = "2..4",
    size: Annotated[
        int, typer.Option(help="Height of the videos in pixels; ego frames are square, exo frames 16:9.")
    ] = 448,
    fps: Annotated[int, typer.Option(help="Frames a second; one frame a second is annotated.")] = 30,
    split: Annotated[str, typer.Option(help="Name of the relations file: train or val.")] = "val",
    downscaled: Annotated[bool, typer.Option("--downscaled", help="Also write downscaled/448.")] = False,
    workers: Annotated[
        int | None, typer.Option(help="Videos rendered at once.", show_default="processor cores")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace synthetic takes that are in the directory.")
    ] = False,
) -> None:
    """Render synthetic takes: videos, exact masks and true descriptions, as the data set's downloader leaves them.

    Each take is a 3D scene of people moving things about on a table, seen by one head-worn camera and several static
    ones: among the things are look-alikes, and they get occluded, leave the view and come back.

    **Examples**

    Four takes of 20 seconds to try the other commands on:

        lmeec synth takes/

    A quick small one:

        lmeec synth takes/ --takes 1 --seconds 4 --size 224 --exo-cameras 2

    Full-size videos with downscaled ones beside them, as training takes:

        lmeec synth takes/ --takes 20 --seed 7 --size 1408 --downscaled --split train
    """
    from lmeec.synthetic.scene import SceneConfig
    from lmeec.synthetic.writer import DatasetConfig, write_dataset

    cameras = _camera_range(exo_cameras)
    scene = SceneConfig(seconds=seconds, fps=fps, objects=objects, exo_cameras=cameras)
    workers = len(os.sched_getaffinity(0)) if workers is None else workers
    config = DatasetConfig(takes, seed, scene, size, split, downscaled, workers)
    with _progress() as show:
        write_dataset(out, config, overwrite=overwrite, on_progress=show)
    echo(f"{counted(takes, 'take')} of {seconds:g} s in {out}")
    tell_end(f"wrote {out}", f"lmeec predict {shlex.quote(str(out))} --out results.parquet")


def _camera_range(text: str) -> tuple[int, int]:
    """The fewest and the most exo cameras of "3" or "2..4"."""
    from lmeec.errors import ConfigError

    low, _, high = text.partition("..")
    try:
        return int(low), int(high or low)
    except ValueError:
        raise ConfigError(f"--exo-cameras must be a number or a range such as 2..4, not {text!r}") from None


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal, otherwise a line for each finished video."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from lmeec_cli.console import Console

    console = Console(stderr=True)
    if is_quiet() or not console.is_terminal:
        yield _log_line
        return
    columns = (TextColumn("rendering"), BarColumn(), TextColumn("{task.completed}/{task.total} frames"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("rendering", total=None)
        yield lambda state: bar.update(task, completed=state.frames, total=state.total_frames)


def _log_line(state: Progress) -> None:
    if state.finished:
        tell(f"rendered {state.finished} ({state.frames} of {counted(state.total_frames, 'frame')})")
