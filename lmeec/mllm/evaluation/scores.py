"""Means of marks by task, with intervals from drawing videos anew, and of two tables side by side.

Questions on one video share what is hard about it, so that intervals are over videos, as `lmeec score` has them over
takes: videos are drawn with replacement, each with all of its questions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lmeec.analysis.bootstrap import RESAMPLES, draws, interval_of
from lmeec.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lmeec.mllm.evaluation.marks import Measure, TaskMarks


@dataclass(frozen=True)
class TaskScore:
    """One task by one measure.

    Attributes:
        source: The data set.
        task: The task.
        measure: The measure.
        value: Mean mark; in a comparison, of the second table less that of the first.
        interval: 95% interval over videos; None for a single video.
        questions: How many were judged.
        videos: How many they are on.
        unparsed: Of them, replies that name no letter.
        failed: Of them, without an answer.
        unknown: Questions that could not be judged.
        chance: What guessing is worth; None for open questions, and in comparisons.
    """

    source: str
    task: str
    measure: Measure
    value: float
    interval: tuple[float, float] | None
    questions: int
    videos: int
    unparsed: int = 0
    failed: int = 0
    unknown: int = 0
    chance: float | None = None


def score(marked: Sequence[TaskMarks]) -> list[TaskScore]:
    """Average marks by task and measure."""
    return [
        _score(one, measure, np.array(one.videos)[known], marks[known])
        for one in marked
        for measure, marks in one.marks.items()
        if (known := ~np.isnan(marks)).any()
    ]


def mean_of(tables: Sequence[Sequence[TaskMarks]]) -> list[TaskMarks]:
    """Join the marks of several tables, as of trainings that differ in their seed: each question's mean.

    Args:
        tables: Marks of the same questions.

    Raises:
        DataError: They are not of the same questions.
    """
    joined = []
    for one in tables[0]:
        same = [_same_questions(one, table) for table in tables]
        marks = {kind: np.mean([other.marks[kind] for other in same], axis=0) for kind in one.marks}
        unparsed, failed = sum(other.unparsed for other in same), sum(other.failed for other in same)
        joined.append(replace(one, marks=marks, unparsed=unparsed, failed=failed))
    return joined


def _same_questions(one: TaskMarks, table: Sequence[TaskMarks]) -> TaskMarks:
    for other in table:
        if (other.source, other.task) == (one.source, one.task):
            if other.ids == one.ids and other.marks.keys() == one.marks.keys():
                return other
            break
    raise DataError(
        f"the tables have other questions of task {one.task} of {one.source}, or answers of another kind: answer the "
        "same questions with each model"
    )


def compare(first: Sequence[TaskMarks], second: Sequence[TaskMarks]) -> list[TaskScore]:
    """Average what the second table has over the first, question by question, on those that both have.

    Raises:
        DataError: They have no task and measure in common.
    """
    before = {(one.source, one.task): one for one in first}
    found = []
    for one in second:
        other = before.get((one.source, one.task))
        if other is None:
            continue
        places = {name: place for place, name in enumerate(other.ids)}
        mine = [place for place, name in enumerate(one.ids) if name in places]
        theirs = [places[one.ids[place]] for place in mine]
        for measure, marks in one.marks.items():
            if measure not in other.marks:
                continue
            difference = marks[mine] - other.marks[measure][theirs]
            known = ~np.isnan(difference)
            if known.any():
                found.append(_score(one, measure, np.array(one.videos)[mine][known], difference[known], paired=True))
    if not found:
        raise DataError("the two tables have no question and measure in common: answer the same questions with both")
    return found


def _score(
    of_task: TaskMarks, measure: Measure, videos: NDArray[np.str_], marks: NDArray[np.float64], *, paired: bool = False
) -> TaskScore:
    names, place = np.unique(videos, return_inverse=True)
    sums, counts = np.bincount(place, marks), np.bincount(place).astype(np.float64)
    interval = None
    if len(names) > 1:
        times = draws(len(names), RESAMPLES)
        low, high = interval_of(((times @ sums) / (times @ counts))[:, None])[:, 0]
        interval = (float(low), float(high))
    return TaskScore(
        source=of_task.source,
        task=of_task.task,
        measure=measure,
        value=float(marks.mean()),
        interval=interval,
        questions=len(marks),
        videos=len(names),
        unparsed=0 if paired or measure not in {"letter", "letter_or_likelihood"} else of_task.unparsed,
        failed=0 if paired else of_task.failed,
        unknown=0 if paired else of_task.unknown,
        chance=None if paired or measure in {"exact_match", "rouge1", "rouge2", "rougeL", "judge"} else of_task.chance,
    )
