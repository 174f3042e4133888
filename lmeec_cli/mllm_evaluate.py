"""`lmeec mllm evaluate`: what answers are worth, by data set and task, and of two models side by side."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmeec_cli.options import AsJson
from lmeec_cli.terminal import echo, tell_end
from lmeec_cli.words import counted

if TYPE_CHECKING:
    from lmeec.mllm.evaluation.marks import TaskMarks
    from lmeec.mllm.evaluation.scores import TaskScore


def evaluate(
    answers: Annotated[
        list[Path],
        typer.Argument(
            help="Tables that `lmeec mllm answer` wrote. Several are of trainings that differ in their seed: each "
            "question counts with its mean over them.",
            show_default=False,
        ),
    ],
    against: Annotated[
        list[Path] | None,
        typer.Option(
            help="Compare with this table, question by question; repeat for the seeds of the other training.",
            show_default=False,
        ),
    ] = None,
    marks: Annotated[
        Path | None,
        typer.Option(
            help='Marks of open answers that a judge gave: JSON lines of {"source", "id", "mark"}, from 0 to 5.',
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the JSON to this file too.", show_default=False)
    ] = None,
) -> None:
    """Judge answers by data set and task, with 95% intervals from drawing videos anew.

    Questions with options are judged by the letter of the reply and by likelihood. A reply without a letter is wrong,
    and counted; letter_or_likelihood takes the likeliest option in its place. Open questions are judged by exact match
    and ROUGE, EgoMCQ by the choice of a clip. A clip that could not be answered counts as wrong.

    **Examples**

    One model:

        lmeec mllm evaluate answers.parquet

    Two seeds of it against two of another, with the paired difference:

        lmeec mllm evaluate full-0.parquet full-1.parquet --against alone-0.parquet --against alone-1.parquet

    Take one number for a script:

        lmeec mllm evaluate answers.parquet --json | jq '.scores[] | select(.task == "object") | .value'
    """
    from dataclasses import asdict

    from lmeec.mllm.answers import read_about
    from lmeec.mllm.evaluation.judge import FileJudge
    from lmeec.mllm.evaluation.scores import compare, score

    judge = None if marks is None else FileJudge(marks)
    marked = _marked(answers, judge)
    scores = score(marked)
    differences = [] if not against else compare(_marked(against, judge), marked)
    document: dict[str, Any] = {
        "answers": [str(path) for path in answers],
        "about": [read_about(path) for path in answers],
        "scores": [asdict(one) for one in scores],
    }
    if against:
        document |= {"against": [str(path) for path in against], "differences": [asdict(one) for one in differences]}
    if out is not None:
        _write(out, document)
    if as_json:
        echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _show(scores)
        if against:
            echo(f"\n{', '.join(map(str, answers))}\nless {', '.join(map(str, against))}")
            _show(differences, signed=True)
    for one in marked:
        _tell(one)
    judged = counted(sum(len(one.ids) for one in marked), "question")
    named = " ".join(shlex.quote(str(path)) for path in answers)
    tell_end(
        f"judged {judged}" if out is None else f"wrote {out}: {judged}",
        None if against else f"lmeec mllm evaluate {named} --against OTHER.parquet",
    )


def _marked(paths: Sequence[Path], judge: Any) -> list[TaskMarks]:
    from lmeec.mllm.answers import read_answers
    from lmeec.mllm.evaluation.marks import mark
    from lmeec.mllm.evaluation.scores import mean_of

    return mean_of([mark(read_answers(path), judge) for path in paths])


def _write(path: Path, document: dict[str, Any]) -> None:
    from lmeec.files.whole import written_whole

    with written_whole(path) as file:
        file.write((json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())


def _show(scores: Sequence[TaskScore], *, signed: bool = False) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from lmeec_cli.console import print_whole

    table = Table(box=SIMPLE_HEAD)
    for name in ("source", "task", "measure"):
        table.add_column(name, overflow="fold")
    for name in ("difference" if signed else "value", "95% interval", "chance", "questions", "videos"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in scores:
        numbers = [_number(one, value, signed=signed) for value in (one.value, *(one.interval or ()), one.chance)]
        value, *interval, chance = numbers
        table.add_row(
            one.source,
            one.task,
            one.measure,
            value,
            " to ".join(interval) or "-",
            chance,
            f"{one.questions:,}",
            f"{one.videos:,}",
        )
    print_whole(table)


def _number(one: TaskScore, value: float | None, *, signed: bool) -> str:
    """Percent, but for the marks of a judge."""
    if value is None:
        return "-"
    sign = "+" if signed else ""
    return f"{value:{sign}.2f}" if one.measure == "judge" else f"{100 * value:{sign}.1f}"


def _tell(one: TaskMarks) -> None:
    where = f"{one.source} {one.task}"
    if one.unparsed:
        echo(f"note: {where}: {one.unparsed:,} replies name no letter", err=True)
    if one.failed:
        echo(f"note: {where}: {one.failed:,} questions have no answer and count as wrong", err=True)
    if one.unknown:
        echo(f"note: {where}: {one.unknown:,} questions are not judged, as their answer is not known", err=True)
