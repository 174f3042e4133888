"""A mark for every answer, by every measure that it can be judged by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lmeec.errors import DataError
from lmeec.mllm.evaluation.replies import letter_of, same_answer

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from lmeec.mllm.evaluation.judge import Judge

Measure = Literal[
    "letter", "letter_or_likelihood", "likelihood", "exact_match", "rouge1", "rouge2", "rougeL", "judge", "choice"
]

MEASURES: Mapping[Measure, str] = {
    "letter": "right by the first letter of the reply; a reply without one is wrong",
    "letter_or_likelihood": "as letter, but a reply without one counts as the likeliest option",
    "likelihood": "the right option has the largest mean log-likelihood a token",
    "exact_match": "the reply is the answer, without case, marks and articles",
    "rouge1": "F of single words shared with the answer",
    "rouge2": "F of pairs of words shared with the answer",
    "rougeL": "F of the longest common course of words",
    "judge": "mark that a judge gave, as it gave it",
    "choice": "the sentence is likeliest given the right one of its clips",
}
"""What each measure is; shares but for `judge`."""

_Row = Mapping[str, Any]


@dataclass
class TaskMarks:
    """The marks of one task.

    Attributes:
        source: The data set.
        task: The task.
        ids: Of each question.
        videos: Of each question; what intervals are over.
        marks: Measure to a mark for each question, float64 [questions]; NaN where it does not apply.
        unparsed: Replies to questions with options that name no letter.
        failed: Questions whose clip could not be answered; they are marked 0.
        unknown: Questions whose answer is not known; they are not judged.
        chance: What guessing an option is worth; None for open questions.
    """

    source: str
    task: str
    ids: list[str] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)
    marks: dict[Measure, NDArray[np.float64]] = field(default_factory=dict)
    unparsed: int = 0
    failed: int = 0
    unknown: int = 0
    chance: float | None = None


def mark(answers: pa.Table, judge: Judge | None = None) -> list[TaskMarks]:
    """Mark a table of answers.

    Args:
        answers: As `lmeec.mllm.answers` has them.
        judge: Marks open answers too; None for none.

    Returns:
        One entry a data set and task, in the order of the table.

    Raises:
        DataError: A group of candidates has no right one, or several; names it.
    """
    rows: dict[tuple[str, str], list[_Row]] = defaultdict(list)
    for row in answers.to_pylist():
        rows[row["source"], row["task"]].append(row)
    return [_task(source, task, of_task, judge) for (source, task), of_task in rows.items()]


def _task(source: str, task: str, rows: list[_Row], judge: Judge | None) -> TaskMarks:
    found = TaskMarks(source, task, unknown=sum(row["truth"] is None for row in rows))
    known = [row for row in rows if row["truth"] is not None]
    if any(row["group"] is not None for row in known):
        _mark_groups(found, known)
        return found
    found.ids, found.videos = [row["id"] for row in known], [row["video"] for row in known]
    found.failed = sum(row["failure"] is not None for row in known)
    closed = [bool(row["options"]) for row in known]
    if any(closed):
        found.chance = float(np.mean([1 / len(row["options"]) for row in known if row["options"]]))
        found.unparsed = sum(
            row["reply"] is not None and letter_of(row["reply"], len(row["options"])) is None
            for row in known
            if row["options"]
        )
    measures: dict[Measure, Callable[[_Row], float]] = {}
    spoken = any(row["reply"] is not None for row in known)
    if any(closed) and spoken:
        measures["letter"] = _by_letter
        measures["letter_or_likelihood"] = _by_letter_or_likelihood
    if any(row["option_likelihoods"] is not None for row in known):
        measures["likelihood"] = _by_likelihood
    if not all(closed) and spoken:
        measures |= {"exact_match": _by_match, **_rouges(known)}
    for measure, of_row in measures.items():
        wanted = measure in {"letter", "letter_or_likelihood", "likelihood"}
        found.marks[measure] = np.array(
            [
                np.nan if is_closed != wanted else 0.0 if row["failure"] is not None else of_row(row)
                for row, is_closed in zip(known, closed, strict=True)
            ],
            np.float64,
        )
    if judge is not None and not all(closed):
        judged = [np.nan if is_closed else judge(row) for row, is_closed in zip(known, closed, strict=True)]
        found.marks["judge"] = np.array([np.nan if one is None else one for one in judged], np.float64)
    return found


def _by_letter(row: _Row) -> float:
    said = None if row["reply"] is None else letter_of(row["reply"], len(row["options"]))
    return float(said is not None and row["options"][said] == row["truth"])


def _by_likelihood(row: _Row) -> float:
    """1 if the right option is the likeliest; of equally likely ones its share."""
    if row["option_likelihoods"] is None:
        return 0.0
    return _share_of_best(row["option_likelihoods"], [option == row["truth"] for option in row["options"]])


def _by_letter_or_likelihood(row: _Row) -> float:
    if row["reply"] is not None and letter_of(row["reply"], len(row["options"])) is not None:
        return _by_letter(row)
    return _by_likelihood(row)


def _by_match(row: _Row) -> float:
    return float(row["reply"] is not None and same_answer(row["reply"], row["truth"]))


def _rouges(rows: list[_Row]) -> dict[Measure, Callable[[_Row], float]]:
    """ROUGE's F (Lin, 2004) by Google's implementation, without stemming."""
    from rouge_score.rouge_scorer import RougeScorer

    kinds: tuple[Measure, ...] = ("rouge1", "rouge2", "rougeL")
    scorer = RougeScorer(list(kinds), use_stemmer=False)
    scores = {id(row): scorer.score(row["truth"], row["reply"] or "") for row in rows}

    def by(kind: Measure) -> Callable[[_Row], float]:
        return lambda row: float(scores[id(row)][kind].fmeasure)

    return {kind: by(kind) for kind in kinds}


def _mark_groups(found: TaskMarks, rows: list[_Row]) -> None:
    """Mark each group of candidates by whether the right one's sentence is the likeliest."""
    groups: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        groups[str(row["group"])].append(row)
    marks = []
    for name, candidates in groups.items():
        right = [row for row in candidates if row["right"]]
        if len(right) != 1:
            raise DataError(
                f"{found.source}, question {name}: {len(right)} of its {len(candidates)} candidates are right, but one "
                "must be: answer all of a question's clips into one table"
            )
        likelihoods = [row["truth_likelihood"] for row in candidates]
        lost = any(one is None for one in likelihoods)
        found.failed += lost
        marks.append(0.0 if lost else _share_of_best(likelihoods, [bool(row["right"]) for row in candidates]))
        found.ids.append(name)
        found.videos.append(right[0]["video"])
    found.marks["choice"] = np.array(marks, np.float64)
    found.chance = float(np.mean([1 / len(candidates) for candidates in groups.values()]))


def _share_of_best(values: list[float], right: list[bool]) -> float:
    """1 if the right one has the largest value, 0 if not; where several have it, the right one's share of them."""
    best = max(values)
    at_best = [is_right for value, is_right in zip(values, right, strict=True) if value == best]
    return sum(at_best) / len(at_best)
