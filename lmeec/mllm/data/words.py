"""What the user says of a sample: who sees, what is to be done, the question, and the options with their letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec.mllm.data.sample import LETTERS

if TYPE_CHECKING:
    from lmeec.mllm.data.sample import Sample

FIRST_PERSON = "The video is my own first-person view."
LETTER_ONLY = "Answer with the letter of the right option only."


def words_of(sample: Sample, *, task: bool = True, first_person: bool = True) -> str:
    """Put a sample into words, line by line, without the video.

    Args:
        sample: The question.
        task: Add the line on the task and the answer's form; the sample's own, or, with options, one that asks for the
            letter as well.
        first_person: Add a line saying that the video is the user's own view.

    Example:
        >>> from lmeec.mllm.data.sample import Sample
        >>> asked = Sample("0", "a.mp4", "mine", "object", "Look.", "Which one?", "a mug", ("a pan", "a mug"))
        >>> print(words_of(asked))
        The video is my own first-person view.
        Look.
        Which one?
        (A) a pan
        (B) a mug
        Answer with the letter of the right option only.
    """
    lines = [FIRST_PERSON] if first_person else []
    if sample.instruction and (task or not sample.question):
        lines.append(sample.instruction)
    if sample.question:
        lines.append(sample.question)
    lines += [f"({letter}) {option}" for letter, option in zip(LETTERS, sample.options, strict=False)]
    if sample.options and task:
        lines.append(LETTER_ONLY)
    return "\n".join(lines)


def reply_of(sample: Sample) -> str | None:
    """What the model shall say: the letter of the right option, or the answer; None if it is not known."""
    return sample.answer_letter if sample.options else sample.answer
