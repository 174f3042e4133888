"""`lmeec mllm answer`: a question about a video, or a table of them."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmeec.mllm.data.set_names import Set
from lmeec_cli.options import Arithmetic, ComputeOn, Overwrite, auto_or_number, ray_address_option
from lmeec_cli.terminal import echo, tell_end
from lmeec_cli.words import counted

if TYPE_CHECKING:
    from lmeec.cluster.resources import Wanted
    from lmeec.mllm.data.sample import Sample
    from lmeec.mllm.data.source import AskedClips
    from lmeec.mllm.evaluation.answering import Answering

_CLIP, _TABLE = "One video", "A file of questions"


def answer(
    video: Annotated[
        Path,
        typer.Argument(
            metavar="VIDEO|QUESTIONS",
            help="An ego video, or a folder of its pictures; without QUESTION, a file of questions.",
            show_default=False,
        ),
    ],
    question: Annotated[str | None, typer.Argument(help="What is asked.", show_default=False)] = None,
    *,
    model: Annotated[
        str,
        typer.Option(
            metavar="FOLDER|nano", help="Folder of a model, as `lmeec mllm train` leaves it, or the built-in one."
        ),
    ] = "nano",
    language: Annotated[
        Path | None,
        typer.Option(help="Folder of its language model, where it has been moved.", show_default=False),
    ] = None,
    start: Annotated[
        float | None,
        typer.Option(help="Beginning of the clip, in seconds.", show_default="0", rich_help_panel=_CLIP),
    ] = None,
    end: Annotated[
        float | None,
        typer.Option(help="End of the clip, in seconds.", show_default="the video's", rich_help_panel=_CLIP),
    ] = None,
    caption: Annotated[
        bool, typer.Option("--caption", help="Describe the clip, in place of a question.", rich_help_panel=_CLIP)
    ] = False,
    option: Annotated[
        list[str] | None,
        typer.Option(help="An answer to choose from; repeat for each.", show_default="open", rich_help_panel=_CLIP),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Parquet file of answers.", show_default=False, rich_help_panel=_TABLE),
    ] = None,
    kind: Annotated[
        Set, typer.Option(help="Whose file it is; questions is the project's own.", rich_help_panel=_TABLE)
    ] = "questions",
    beside: Annotated[
        Path | None,
        typer.Option(
            help="A second file that belongs to it, as EgoSchema's answers.",
            show_default=False,
            rich_help_panel=_TABLE,
        ),
    ] = None,
    videos: Annotated[
        Path | None,
        typer.Option(help="Folder that its videos are in.", show_default=False, rich_help_panel=_TABLE),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Clips at once.", rich_help_panel=_TABLE)] = 16,
    overwrite: Overwrite = False,
    tokens: Annotated[int, typer.Option(min=1, help="At most so many of an open answer.")] = 128,
    device: ComputeOn = "auto",
    dtype: Arithmetic = "auto",
    workers: Annotated[
        str,
        typer.Option(metavar="auto|N", help="Processes, on Ray; 0 works in this one.", rich_help_panel=_TABLE),
    ] = "auto",
    ray_address: Annotated[str | None, ray_address_option(_TABLE, more=" It must see model and videos.")] = None,
) -> None:
    """Answer questions about ego video, without any exo video.

    One answer is printed; those to a file of questions go to a table, which `lmeec mllm evaluate` judges. A run that
    was stopped goes on where it was.

    The built-in nano has seen nothing but drawn kitchens, and nothing of real video. Of these it tells which object is
    handled far more often than chance, which action it is and what comes next a little more often, and not which or
    whose hand it is. Other questions and words are no error; it gives one of the answers that it has learned.

    **Examples**

    One question, to the built-in model:

        lmeec mllm answer kitchen.mp4 "Which object is handled here?" --start 12 --end 14

    To a model of your own, with answers to choose from:

        lmeec mllm answer kitchen.mp4 "Where is it put?" --model exo2ego/stage3/model --option table --option box

    A description:

        lmeec mllm answer kitchen.mp4 --caption

    A benchmark:

        lmeec mllm answer questions.json --kind egoschema --videos videos --model stage3/model -o answers.parquet
    """
    if caption and (question is not None or option):
        raise typer.BadParameter("a description goes without a question", param_hint="--caption")
    from lmeec.cluster.resources import Wanted
    from lmeec.mllm.built_in import BUILT_IN, model_folder
    from lmeec.mllm.evaluation.answering import Answering
    from lmeec.mllm.evaluation.asking import AskConfig

    folder = model_folder(model)
    if model in BUILT_IN:
        echo(f"note: {model} is a small model that has seen drawn scenes alone, and none for real video", err=True)
    answering = Answering(
        folder,
        language and language.absolute(),
        AskConfig(batch=batch, open_tokens=tokens),
        device,
        dtype,
    )
    if question is not None or caption:
        _answer_one(answering, _sample(video, question, start, end, tuple(option or ())))
        return
    if out is None:
        raise typer.BadParameter("answers to a file of questions need a file to go to", param_hint="--out")
    from lmeec.mllm.data.reading import VideoClips
    from lmeec.mllm.data.sets import read_set

    wanted = Wanted(auto_or_number(workers, "--workers"), address=ray_address, device=device)
    samples = read_set(kind, video, beside)
    clips = VideoClips(samples, videos and videos.absolute(), answering.model_config.frames)
    _answer_table(answering, clips, out.absolute(), wanted, overwrite=overwrite)


def _sample(
    video: Path, question: str | None, start: float | None, end: float | None, options: tuple[str, ...]
) -> Sample:
    """What is asked of one video: a question, put as questions are learned, or, with None, a description."""
    from lmeec.mllm.data.sample import CAPTION, Sample
    from lmeec.mllm.data.templates import INSTRUCTIONS

    sample = Sample("0", str(video.absolute()), video.name, CAPTION, options=options, start=start, end=end)
    if question is None:
        return sample
    instruction = "" if options else INSTRUCTIONS["question_answering"][0]
    return replace(sample, task="question", instruction=instruction, question=question)


def _answer_one(answering: Answering, sample: Sample) -> None:
    from lmeec.errors import DataError
    from lmeec.mllm.data.reading import VideoClips

    (row,) = answering.ask(VideoClips([sample], None, answering.model_config.frames))
    if row.get("failure") is not None:
        raise DataError(row["failure"])
    echo(row["reply"])


def _answer_table(answering: Answering, clips: AskedClips, out: Path, wanted: Wanted, *, overwrite: bool) -> None:
    from lmeec.mllm.answers import read_answers
    from lmeec_cli.answering_jobs import answerer

    with answerer(wanted) as answer_into:
        done = answer_into(answering, clips, out, overwrite=overwrite)
    if not done:
        echo("stopped; run the same command again to go on", err=True)
        raise typer.Exit(130)
    failures = read_answers(out)["failure"]
    if failed := len(failures) - failures.null_count:
        echo(
            f"note: {counted(failed, 'question has', 'questions have')} no answer (column `failure` says why)", err=True
        )
    tell_end(f"wrote {out}: {counted(len(failures), 'question')}", f"lmeec mllm evaluate {shlex.quote(str(out))}")
