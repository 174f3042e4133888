"""Questions about nano's clips, five tasks, that their text alone does not answer.

A question says nothing of what happens in its clip, and within a task each answer is right about as often as any
other: of answers that are right more often, questions are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Literal

import numpy as np

from lmeec.mllm.data.sample import CAPTION, Sample
from lmeec.mllm.data.templates import Kind, draw_evenly, instructions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lmeec.mllm.synthetic.facts import Facts

NanoTask = Literal["object", "action", "hand", "whose", "next"]

SOURCE = "synthetic"

QUESTIONS: Mapping[NanoTask, tuple[str, ...]] = {
    "object": (
        "Which object is handled here?",
        "What does the hand hold?",
        "Which thing is touched?",
        "What is being handled?",
    ),
    "action": (
        "What is done with the object?",
        "Which action is this?",
        "What happens to the thing that is handled?",
        "What does the hand do with the object?",
    ),
    "hand": (
        "Which of my hands do I use?",
        "Is it my left or my right hand?",
        "With which hand do I do this?",
        "Which hand of mine is at work?",
    ),
    "whose": (
        "Whose hand is at work?",
        "Who does this, me or another person?",
        "Is it my hand or another person's?",
        "Who handles the object?",
    ),
    "next": (
        "What comes next?",
        "Where does the object go next?",
        "What will happen to the object?",
        "How does it go on?",
    ),
}
"""What is asked, in several ways a task."""

TASKS: tuple[NanoTask, ...] = tuple(QUESTIONS)

_KINDS: Mapping[NanoTask, Kind] = {
    "object": "question_answering",
    "action": "action_recognition",
    "hand": "question_answering",
    "whose": "question_answering",
    "next": "question_answering",
}
_LARGEST_SHARE = 1.25
"""Of an answer with many rivals, over the median answer's; answers with few rivals are equally often right."""
_FEW = 6


def answer_of(facts: Facts, task: NanoTask) -> str | None:
    """What is true of a clip; None where the task asks nothing of it.

    Which hand it is, is asked of the wearer's alone. Whose it is, is asked where there are two people, so that who is
    there does not tell it.
    """
    match task:
        case "object":
            return facts.thing
        case "action":
            return facts.action
        case "hand":
            return f"my {facts.hand} hand" if facts.wearer else None
        case "whose":
            return None if facts.people < 2 else "mine" if facts.wearer else "another person's"
        case "next":
            return facts.following


def captions(clips: Sequence[Facts], seed: int) -> list[Sample]:
    """One description a clip.

    Args:
        clips: The clips, in the order of the shard.
        seed: Of the drawing of instructions.
    """
    said = instructions("description", len(clips), seed, SOURCE)
    return [
        _sample(place, facts, CAPTION, instruction, "", facts.caption)
        for (place, facts), instruction in zip(enumerate(clips), said, strict=True)
    ]


def questions(clips: Sequence[Facts], seed: int) -> list[Sample]:
    """The questions of all tasks, in the order of clips.

    Args:
        clips: The clips, in the order of the shard.
        seed: Of the drawing of questions and instructions.
    """
    asked: list[tuple[int, Sample]] = []
    for task in TASKS:
        answers = {place: answer for place, facts in enumerate(clips) if (answer := answer_of(facts, task)) is not None}
        kept = _balanced(answers, np.random.default_rng([seed, *task.encode()]))
        told = instructions(_KINDS[task], len(kept), seed, task)
        words = draw_evenly(QUESTIONS[task], len(kept), seed, task, "question")
        for place, instruction, question in zip(kept, told, words, strict=True):
            asked.append((place, _sample(place, clips[place], task, instruction, question, answers[place])))
    return [sample for _, sample in sorted(asked, key=lambda one: one[0])]


def clip_of(sample: Sample) -> int:
    """The place of a sample's clip in its shard."""
    return int(sample.id.split("/")[0])


def text_only_accuracy(train: Iterable[Sample], judged: Iterable[Sample]) -> dict[str, float]:
    """What the text of questions alone can tell: how often the answer is right that was the most frequent in training.

    Args:
        train: Where answers are counted, by task and by the words of the question; the better of both counts.
        judged: Where they are tried.

    Returns:
        Task to the share of right answers.
    """
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for sample in train:
        counts[sample.task, sample.question][str(sample.answer)] += 1
        counts[sample.task, ""][str(sample.answer)] += 1
    right: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for sample in judged:
        tries = [counts[sample.task, words].most_common(1) for words in (sample.question, "")]
        by_words, by_task = (bool(best) and best[0][0] == sample.answer for best in tries)
        right[sample.task].append((by_words, by_task))
    return {task: float(np.mean(tried, axis=0).max()) for task, tried in right.items()}


def _balanced(answers: Mapping[int, str], random: np.random.Generator) -> list[int]:
    """Places, ascending, in which no answer is much more frequent than others."""
    of_answer: dict[str, list[int]] = defaultdict(list)
    for place, answer in answers.items():
        of_answer[answer].append(place)
    if not of_answer:
        return []
    counts = [len(places) for places in of_answer.values()]
    most = min(counts) if len(counts) <= _FEW else max(1, int(_LARGEST_SHARE * np.median(counts)))
    kept: list[int] = []
    for places in of_answer.values():
        kept += random.permutation(places)[:most].tolist()
    return sorted(kept)


def _sample(place: int, facts: Facts, task: str, instruction: str, question: str, answer: str) -> Sample:
    return Sample(
        id=f"{place}/{task}",
        video=f"take {facts.take:05d}",
        source=SOURCE,
        task=task,
        instruction=instruction,
        question=question,
        answer=answer,
        frames=(facts.frames[0], facts.frames[-1] + 1),
    )
