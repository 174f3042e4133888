"""`lmeec clips`: synchronised ego-exo clips with sentences; `lmeec clips instruct` is in its own file."""

from __future__ import annotations

import json
import shlex
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmeec.config import ClipRule, Duplicates
from lmeec_cli.clips_instruct import instruct
from lmeec_cli.groups import TakesOrCommand
from lmeec_cli.help import Command
from lmeec_cli.options import AsJson, Videos, WhichFormats, auto_or_number, ray_address_option
from lmeec_cli.settings import Sets
from lmeec_cli.terminal import echo, tell_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lmeec.clips import ClipsConfig
    from lmeec_cli.clips_extract import Extraction


_LENGTH = "Length of clips"
_CHOICE = "Choice of descriptions"
_MEDIA = "Video clips"


clips = typer.Typer(cls=TakesOrCommand, invoke_without_command=True, no_args_is_help=True, subcommand_metavar="")
clips.command("instruct", cls=Command)(instruct)


@clips.callback()
def make(
    takes: Annotated[
        str,
        typer.Argument(
            metavar="TAKES",
            help="Folder of a data set, as the `egoexo` downloader leaves it, a path or URL.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.", show_default=False)],
    annotations: Annotated[
        str | None,
        typer.Option(
            help="File of atomic descriptions, a path or URL.",
            show_default="all of TAKES/annotations/atomic_descriptions_{train,val}.json",
        ),
    ] = None,
    video: Videos = "auto",
    results: Annotated[
        Path | None,
        typer.Option(
            help="Results of `lmeec predict`: adds the objects that each sentence mentions, with their boxes in both "
            "views at the clip's middle.",
            show_default=False,
        ),
    ] = None,
    rule: Annotated[
        ClipRule,
        typer.Option(
            help="context: the time stamp plus and minus b/(2a) seconds, with b the mean gap between an annotator's "
            "descriptions of the take, and a the mean of b; impossible time stamps do not count. fixed: --seconds for "
            "all.",
            rich_help_panel=_LENGTH,
        ),
    ] = "context",
    seconds: Annotated[
        float | None, typer.Option(help="Length with --rule fixed.", show_default=False, rich_help_panel=_LENGTH)
    ] = None,
    min_length: Annotated[
        float,
        typer.Option(
            help="Shorter clips are lengthened to so many seconds about their time stamp, and dropped where the video "
            "has no room for that.",
            rich_help_panel=_LENGTH,
        ),
        Sets("shortest"),
    ] = 0.0,
    max_length: Annotated[
        float | None,
        typer.Option(
            help="Longer clips are shortened to so many seconds about their time stamp.",
            show_default="no limit",
            rich_help_panel=_LENGTH,
        ),
        Sets("longest"),
    ] = None,
    ego_visible_only: Annotated[
        bool,
        typer.Option("--ego-visible-only", help="Only what the ego camera shows.", rich_help_panel=_CHOICE),
    ] = False,
    best_exo_only: Annotated[
        bool,
        typer.Option("--best-exo-only", help="Only the exo camera named as the best.", rich_help_panel=_CHOICE),
    ] = False,
    include_unsure: Annotated[
        bool,
        typer.Option("--include-unsure", help="Also what the annotator was unsure of.", rich_help_panel=_CHOICE),
    ] = False,
    include_rejected: Annotated[
        bool,
        typer.Option("--include-rejected", help="Also what a reviewer rejected.", rich_help_panel=_CHOICE),
    ] = False,
    merge_duplicates: Annotated[
        Duplicates,
        typer.Option(
            help="Sentences of a take that differ only in case, punctuation, articles and plurals: merge none, or into "
            "the first those whose clips overlap, or all of the take.",
            rich_help_panel=_CHOICE,
        ),
    ] = "none",
    extract: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Cut the clips of both views to this folder too.", rich_help_panel=_MEDIA),
    ] = None,
    form: Annotated[
        WhichFormats,
        typer.Option(
            "--format",
            help="mp4: a file a clip, as the columns ego_clip and exo_clip name them. webdataset: a shard a take of "
            "ego.mp4, exo.mp4, txt and json.",
            rich_help_panel=_MEDIA,
        ),
    ] = "mp4",
    short_side: Annotated[
        int,
        typer.Option(help="Pixels of the clips' shorter side; smaller videos keep their size.", rich_help_panel=_MEDIA),
    ] = 256,
    workers: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Processes that cut, on Ray; auto is one for two CPUs. 0, and auto where one would do, stay in this "
            "process and need no Ray.",
            rich_help_panel=_MEDIA,
        ),
    ] = "auto",
    ray_address: Annotated[str | None, ray_address_option(_MEDIA)] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace a table and clips that were made with other settings; never another table."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make synchronised ego-exo clips with sentences out of Ego-Exo4D's atomic descriptions.

    The table has one row for each description and exo camera: the sentence, when it is in seconds and frames, and
    both videos. What was left out is counted with its reason. Run again with the same settings, it is kept as it is.

    **Examples**

    Every description, clips by context, as Ego-ExoClip has them:

        lmeec clips egoexo4d/ --out clips.parquet

    Two seconds each, only the best exo view, one annotator's word where several say the same:

        lmeec clips egoexo4d/ -o clips.parquet --rule fixed --seconds 2 --best-exo-only --merge-duplicates overlapping

    With the objects that the sentences mention, from a prediction of both directions:

        lmeec clips egoexo4d/ -o clips.parquet --results results.parquet

    The clips themselves as well, as files and as WebDataset shards; the same command goes on after an interruption:

        lmeec clips egoexo4d/ -o clips.parquet --extract clips/ --format both --workers 8

    Then, to train a video language model on conversations about them:

        lmeec clips instruct clips.parquet --out data.json
    """
    from lmeec.clips import ClipsConfig, LengthConfig

    config = ClipsConfig(
        length=LengthConfig(rule, seconds, min_length, max_length),
        ego_visible_only=ego_visible_only,
        best_exo_only=best_exo_only,
        include_unsure=include_unsure,
        include_rejected=include_rejected,
        duplicates=merge_duplicates,
        video=video,
    )
    extraction = None
    if extract is not None:
        from lmeec_cli.clips_extract import Extraction

        extraction = Extraction.of(extract, form, short_side, auto_or_number(workers, "--workers"), ray_address)
    status = make_table(
        takes,
        out,
        config,
        extraction,
        annotations=annotations,
        results=results,
        overwrite=overwrite,
        as_json=as_json,
    )
    if status:
        raise typer.Exit(status)


def make_table(
    takes: str,
    out: Path,
    config: ClipsConfig,
    extraction: Extraction | None,
    *,
    annotations: str | None,
    results: Path | None,
    overwrite: bool,
    as_json: bool = False,
) -> int:
    """Make the table, and the clips if they are asked for, and say what came of it.

    Returns:
        The exit status, 0 only if nothing failed.
    """
    from lmeec.clips import make_clips, read_source
    from lmeec.files.names import check_parquet_name
    from lmeec.files.places import place

    check_parquet_name(out)
    with _progress("opening videos") as show:
        source = read_source(
            place(takes).absolute(),
            config,
            annotations=None if annotations is None else place(annotations),
            on_progress=show,
        )
    for notice in source.notices:
        echo(f"note: {notice}", err=True)
    summary = make_clips(source, out, config, results=results, overwrite=overwrite)
    for problem in summary.problems:
        echo(f"error: left out: {problem}", err=True)
    extracted = None if extraction is None else extraction.run(out, overwrite=overwrite)
    if as_json:
        document = {"out": str(out)} | summary.to_dict() | {"extracted": extracted and asdict(extracted)}
        echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        from lmeec_cli.clips_summary import show_summary

        show_summary(summary, out)
    tell_end(f"wrote {out}", f"lmeec clips instruct {shlex.quote(str(out))} --out data.json")
    return 1 if summary.problems or (extracted is not None and extracted.failures) else 0


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import Progress

    from lmeec_cli.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _done, _total: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
