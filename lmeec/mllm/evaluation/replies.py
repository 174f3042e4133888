"""What a reply says: which option's letter, and whether it is the right answer in other writing."""

from __future__ import annotations

import re

_BRACKETED = re.compile(r"\(([A-Z])\)")
_ALONE = re.compile(r"\W*([A-Za-z])\W*")
_FIRST = re.compile(r"\W*([A-Z])(?:[.:),]|\s*-\s)")
_WORD = re.compile(r"\W*([B-HJ-Z])\s")
_NAMED = re.compile(r"\b(?:[Aa]nswer|[Oo]ption|[Cc]hoice|[Ll]etter)(?:\s+is)?\s*:?\s*([A-Z])(?!\w)")
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
    text = reply.strip()
    text = re.sub(r"^\(([a-z])\)", lambda found: found[0].upper(), text)
    for pattern, whole in ((_BRACKETED, False), (_ALONE, True)):
        found = pattern.fullmatch(text) if whole else pattern.search(text)
        if found:
            return _number(found[1], options)
    for pattern in (_FIRST, _WORD):
        if found := pattern.match(text):
            return _number(found[1], options)
    found = _NAMED.search(text)
    return _number(found[1], options) if found else None


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


def _number(letter: str, options: int) -> int | None:
    number = ord(letter.upper()) - ord("A")
    return number if number < options else None
