"""Which objects of a take a sentence mentions."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from lmeec.clips.sentences import ARTICLES, english, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_INSTANCE = re.compile(r"[\s_-]*\d+\s*$")
_RUN_TOGETHER = re.compile("CJK|IDEOGRAPHIC|HIRAGANA|KATAKANA|HALFWIDTH|HANGUL|THAI|LAO|KHMER|MYANMAR|ARABIC|HEBREW")
"""What Unicode calls scripts without spaces between words, or in which words such as "the" are part of the next."""


class Mentions:
    """Finds the names of a take's objects in sentences.

    A sentence mentions an object if it holds the whole name, in singular or plural, whatever the case; the name's
    trailing instance number and an article before it are ignored, so that instances are mentioned together. A name
    within a longer name of the take does not count: "measuring cup" is no mention of "cup_0".

    Args:
        names: The objects' names.

    Example:
        >>> mentions = Mentions(["blue mug_0", "blue mug_1", "cup_0", "measuring cup_0", "knife_0"])
        >>> mentions.find("C puts the measuring cup by two Blue Mugs")
        ['blue mug_0', 'blue mug_1', 'measuring cup_0']
        >>> mentions.find("C washes knives and a mug")
        ['knife_0']
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[str, list[str]] = defaultdict(list)
        for name in sorted(set(names)):
            for form in _forms(spoken_name(name)):
                self._names[form].append(name)
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_pattern_of, longest_first))) if longest_first else None

    def find(self, text: str) -> list[str]:
        """Give the objects that a sentence mentions, sorted."""
        if self._pattern is None:
            return []
        found = {match[0] for match in self._pattern.finditer(" ".join(words_of(text)))}
        return sorted({name for form in found for name in self._names[form]})


def spoken_name(name: str) -> str:
    """Give an object's name as one says it: without instance number and leading article, in lower case.

    Example:
        >>> spoken_name("The blue_mug_0")
        'blue mug'
    """
    words = words_of(_INSTANCE.sub("", name))
    return " ".join(words[1:] if len(words) > 1 and words[0] in ARTICLES else words)


@lru_cache(maxsize=100_000)
def _forms(phrase: str) -> tuple[str, ...]:
    """Singular and plural of a phrase; none of one without letters."""
    if not any(letter.isalpha() for letter in phrase):
        return ()
    forms = {phrase, english().plural_noun(phrase).casefold()}
    singular = english().singular_noun(phrase)
    if singular and english().plural_noun(singular) == phrase:
        forms.add(singular)
    return tuple(sorted(forms))


def _pattern_of(form: str) -> str:
    """A form as whole words between single spaces; where words run together, as whole characters with their marks."""
    before = "" if _runs_together(form[0]) else "(?<![^ ])"
    after = f"(?![{_marks()}])" if _runs_together(form[-1]) else "(?![^ ])"
    return before + re.escape(form) + after


def _runs_together(character: str) -> bool:
    return _RUN_TOGETHER.match(unicodedata.name(character, "")) is not None


@cache
def _marks() -> str:
    """The vowel and tone signs of scripts that run together, which change the character before them."""
    marks = (character for character in map(chr, range(0x0E00, 0x1800)) if unicodedata.category(character)[0] == "M")
    return "".join(character for character in marks if _runs_together(character))
