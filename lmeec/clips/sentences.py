"""Sentences without what does not tell them apart."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import inflect

ARTICLES = frozenset({"a", "an", "the"})
_NO_PLURALS = re.compile("we|us|ours|ourselves|yours|yourselves|they|them|theirs|themselves|its|his|hers|this|others")
"""Pronouns that would be taken for plurals of other words, though they mean somebody or something else."""


class _WordCharacters(dict[int, int]):
    """Leaves letters, marks and numbers as they are and makes spaces of the rest, for `str.translate`."""

    def __missing__(self, character: int) -> int:
        of_word = unicodedata.category(chr(character))[0] in "LMN"
        return self.setdefault(character, character if of_word else ord(" "))


_WORD_CHARACTERS = _WordCharacters()


def words_of(text: str) -> list[str]:
    """Give the words of a text, in lower case and with accents as one character where there is one.

    Words are made of letters, numbers and combining marks (Unicode categories L, N and M), such as Hindi's vowel signs.

    Example:
        >>> words_of("C's allen_key, चाकू!")
        ['c', 's', 'allen', 'key', 'चाकू']
    """
    return unicodedata.normalize("NFC", text.casefold()).translate(_WORD_CHARACTERS).split()


def sentence_key(text: str) -> tuple[str, ...]:
    """Give what is left of a sentence without case, punctuation, articles and plurals; itself if that is nothing.

    Example:
        >>> sentence_key("C puts the mugs, down.") == sentence_key("c puts a mug down")
        True
        >>> sentence_key("C puts the left mug down") == sentence_key("C puts the right mug down")
        False
    """
    return tuple(_singular(word) for word in words_of(text) if word not in ARTICLES) or (text,)


@lru_cache(maxsize=100_000)
def _singular(word: str) -> str:
    return word if _NO_PLURALS.fullmatch(word) else english().singular_noun(word) or word


@cache
def english() -> inflect.engine:
    """Knows singulars and plurals; takes seconds to load, so it is there only for those who need it."""
    import inflect

    return inflect.engine()
