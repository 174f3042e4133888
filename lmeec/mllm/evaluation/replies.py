"""What a reply says: which option's letter, and whether it is the right answer in other writing."""

from __future__ import annotations

import re

_LETTERS = (
    re.compile(r"^\W*([A-Za-z])\W*$"),
    re.compile(r"^\W*([A-Z])(?:[.:),]|\s*-\s)"),
    re.compile(r"^\W*([B-HJ-Z])\s"),
    re.compile(r"^\s*\(([a-z])\)"),
    re.compile(r"\(([A-Z])\)"),
    re.compile(r"\b(?:[Aa]nswer|[Oo]ption|[Cc]hoice|[Ll]etter)(?:\s+is)?\s*:?\s*([A-Z])(?!\w)"),
)
"""By itself; at the beginning before a mark, or a word that "A" and "I" could begin; in brackets; after its name."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_MARKS = re.compile(r"[^\w\s]|_")


def letter_of(reply: str, options: int) -> int | None:
    """Which option the first letter of a reply names; None if it names none, which is a failure, never a guess.

    A letter counts in brackets, by itself, at the beginning before a mark, or after a word such as "answer". "A mug"
    and "I hold it" begin with words.

    Args:
        reply: What the model said.
        options: How many there were; letters past the last name none.

    Example:
        >>> [letter_of(reply, 4) for reply in ("B", "(c) the pan", "The answer is (D).", "A mug", "E", "pan")]
        [1, 2, 3, None, None, None]
    """
    found = [match for pattern in _LETTERS if (match := pattern.search(reply))]
    if not found:
        return None
    letter = min(found, key=lambda match: match.start(1))[1]
    number = ord(letter.upper()) - ord("A")
    return number if number < options else None


def normalised(text: str) -> str:
    """A text without case, marks, articles and spare spaces, as answers are compared (after SQuAD's script).

    Example:
        >>> normalised("The red mug."), normalised("a  Red-mug")
        ('red mug', 'red mug')
    """
    return " ".join(_ARTICLES.sub(" ", _MARKS.sub(" ", text.casefold())).split())


def same_answer(reply: str, truth: str) -> bool:
    """Whether a reply is the right answer, normalised."""
    return normalised(reply) == normalised(truth)
