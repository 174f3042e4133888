"""A clip with what is asked of it and what is true: what every reader gives, and what is trained and judged on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmeec.errors import DataError


@dataclass(frozen=True, slots=True)
class Sample:
    """A clip, a question and its answer.

    Attributes:
        id: Tells samples of one source apart.
        video: The clip's video: a file, or a folder of pictures; as a path, or relative to a folder that readers know.
        source: The data set that it is from.
        task: What is asked, as `object` or `description`; scores are given by task.
        instruction: The line on the task and the form of its answer; empty for a bare question.
        question: The question; empty where the instruction says it all.
        answer: What is true; None where it is not known.
        options: Answers to choose from, in the order of their letters; empty for an open question.
        start: Beginning of the clip in seconds; None for the video's.
        end: End of the clip in seconds; None for the video's.
        frames: First frame of the clip and one past its last, where the source counts frames; then start and end are
            None.
        exo_video: The video of an exo camera at the same instants, and numbers; None without one.
        frame_rate: Frames a second that `frames` counts; None for the video's own.
        group: Samples that are candidates of one question share it, as the five clips of EgoMCQ; else None.
        right: Whether the sample is its group's right one; None outside of groups.

    Raises:
        DataError: Bounds that no clip has, or an answer that is not among the options.

    Example:
        >>> Sample("0", "a.mp4", "mine", "object", "", "Which one?", "a mug", ("a mug", "a pan")).answer_letter
        'A'
    """

    id: str
    video: str
    source: str
    task: str
    instruction: str = ""
    question: str = ""
    answer: str | None = None
    options: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    frames: tuple[int, int] | None = None
    exo_video: str | None = None
    frame_rate: float | None = None
    group: str | None = None
    right: bool | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and not self.start < self.end:
            raise DataError(f"{self}: it ends at {self.end} s, but begins at {self.start} s")
        if self.frames is not None and not 0 <= self.frames[0] < self.frames[1]:
            raise DataError(f"{self}: it has no frames: first {self.frames[0]}, one past the last {self.frames[1]}")
        if self.options and self.answer is not None and self.answer not in self.options:
            raise DataError(f"{self}: its answer {self.answer!r} is none of its options")
        if len(self.options) > len(LETTERS):
            raise DataError(f"{self}: it has {len(self.options)} options, but there are {len(LETTERS)} letters")

    @property
    def is_caption(self) -> bool:
        """Whether the answer is a caption, learned and ranked by itself: no words of the user stand before it."""
        return self.task == CAPTION or self.group is not None

    def __str__(self) -> str:
        return f"{self.source} {self.id!r}"

    @property
    def answer_letter(self) -> str | None:
        """The letter of the right option; None for an open question, or where the answer is not known."""
        if not self.options or self.answer is None:
            return None
        return LETTERS[self.options.index(self.answer)]


CAPTION = "caption"
"""The task of samples whose answer is a caption."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What options are called, in their order."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A sample with its pictures.

    Attributes:
        sample: What is asked of it.
        ego: uint8 [T, H, W, 3] RGB frames of the ego camera.
        exo: Those of an exo camera at the same instants; None without one.
        marks: uint8 [2, T, M, 3], what cells of both views show (`lmeec.mllm.synthetic.marks`), of drawn clips.
        classes: uint8 [K], what is true of a drawn clip (`lmeec.mllm.synthetic.classes`).
    """

    sample: Sample
    ego: NDArray[np.uint8]
    exo: NDArray[np.uint8] | None = None
    marks: NDArray[np.uint8] | None = None
    classes: NDArray[np.uint8] | None = None
