"""Sentences without what does not tell them apart."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import inflect

_WORD = re.compile(r"\w+")
ARTICLES = frozenset({"a", "an", "the"})


def sentence_key(text: str) -> tuple[str, ...]:
    """Give what is left of a sentence without case, punctuation, articles and plurals.

    Example:
        >>> sentence_key("C puts the mugs, down.") == sentence_key("c puts a mug down")
        True
        >>> sentence_key("C puts the left mug down") == sentence_key("C puts the right mug down")
        False
    """
    words = (word for word in _WORD.findall(text.casefold()) if word not in ARTICLES)
    return tuple(_singular(word) for word in words)


@lru_cache(maxsize=100_000)
def _singular(word: str) -> str:
    return english().singular_noun(word) or word


@cache
def english() -> inflect.engine:
    """Knows singulars and plurals; takes seconds to load, so it is there only for those who need it."""
    import inflect

    return inflect.engine()
