"""`lmeec clips instruct`: conversations about clips, to train video language models on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmeec_cli.options import AsJson, Overwrite, Seed
from lmeec_cli.terminal import echo, tell_end
from lmeec_cli.words import counted

if TYPE_CHECKING:
    from lmeec.clips.instruct import InstructConfig


def instruct(
    clips: Annotated[Path, typer.Argument(help="Table that `lmeec clips` wrote.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="File to write, for training: one JSON array if it ends in .json, as VideoLLaMA2's and LLaVA-Video's "
            "loaders read, a line each if in .jsonl. Conversations about the takes that are held out go beside it, as "
            "data.val.json beside data.json.",
            show_default=False,
        ),
    ],
    val_share: Annotated[
        float, typer.Option(help="Share of the takes that are held out, never all; 0 for none, and one file.")
    ] = 0.1,
    seed: Seed = 0,
    videos: Annotated[
        Path | None,
        typer.Option(
            help="Folder that the clips were cut to, the DIR of `lmeec clips --extract DIR`: ask only about clips that "
            "are there.",
            show_default="every clip of the table",
        ),
    ] = None,
    in_words: Annotated[
        bool,
        typer.Option("--in-words", help='Say "the camera wearer" and "another person" for the annotators\' C and O.'),
    ] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Write conversations about clips, in the format that LLaVA-Video and VideoLLaMA2 are trained on.

    Three tasks: describe the action, name the objects that are manipulated (needs a table
    made with --results), and say what comes next (only where the annotator's next sentence is in the table). Each has
    ten questions, and as many conversations as any other. No take is on both sides. The videos are those of
    `lmeec clips --extract DIR` with `--format mp4` or `both`, named relative to DIR; shards have other names.

    **Examples**

    A training file and one of held-out takes:

        lmeec clips instruct clips.parquet --out data.json

    Only about clips that were cut, with people named in words:

        lmeec clips instruct clips.parquet --out data.json --videos clips/ --in-words

    A fifth of the takes held out, drawn anew:

        lmeec clips instruct clips.parquet --out data.json --val-share 0.2 --seed 1 --overwrite
    """
    from lmeec.clips.instruct import InstructConfig

    write_conversations(
        clips, out, InstructConfig(val_share, seed, in_words), videos=videos, overwrite=overwrite, as_json=as_json
    )


def write_conversations(
    clips: Path,
    out: Path,
    config: InstructConfig,
    *,
    videos: Path | None = None,
    overwrite: bool,
    as_json: bool = False,
) -> None:
    """Write conversations and say how many."""
    from lmeec.clips.instruct import validation_file, write_instructions

    done = write_instructions(clips, out, config, videos=videos, overwrite=overwrite)
    if done.without_video:
        echo(f"note: left out {done.without_video:,} of {done.clips:,} clips, which have no file in {videos}", err=True)
    for task, count in done.candidates["train"].items():
        if not count:
            hint = ": the table was made without --results, or no sentence mentions an object"
            echo(f"note: nothing to ask of task {task}{hint if task == 'manipulated' else ''}", err=True)
    if as_json:
        echo(json.dumps({"out": str(out)} | asdict(done), indent=2))
        return
    for side, path in (("train", out), ("val", validation_file(out))):
        if side in done.conversations:
            by_task = ", ".join(f"{count:,} {task}" for task, count in done.conversations[side].items() if count)
            total = sum(done.conversations[side].values())
            takes = f"{done.takes[side]:,} take{'' if done.takes[side] == 1 else 's'}"
            echo(f"{path}: {counted(total, 'conversation')} about {takes} ({by_task or 'none'})")
    tell_end(f"wrote {out}")
