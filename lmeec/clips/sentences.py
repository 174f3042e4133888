"""Sentences without what does not tell them apart."""

from __future__ import annotations

import re
from functools import lru_cache

import inflect

_WORD = re.compile(r"\w+")
_ARTICLES = frozenset({"a", "an", "the"})

_english = inflect.engine()


def sentence_key(text: str) -> tuple[str, ...]:
    """Give what is left of a sentence without case, punctuation, articles and plurals.

    Example:
        >>> sentence_key("C puts the mugs, down.") == sentence_key("c puts a mug down")
        True
        >>> sentence_key("C puts the left mug down") == sentence_key("C puts the right mug down")
        False
    """
    words = (word for word in _WORD.findall(text.casefold()) if word not in _ARTICLES)
    return tuple(_singular(word) for word in words)


@lru_cache(maxsize=100_000)
def _singular(word: str) -> str:
    return _english.singular_noun(word) or word
