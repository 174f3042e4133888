"""Sentences of annotators as captions: who acts is told in words, as Exo2Ego rewrites them (arXiv 2503.09143)."""

from __future__ import annotations

import re

_ACTORS = {"C": "the camera wearer", "O": "another person"}
_ACTOR = re.compile(r"\b[CO]\b(?!'(?!s\b))")


def caption_of(text: str) -> str:
    """Rewrite a sentence: C is the camera wearer, O another person.

    Example:
        >>> caption_of("C hands the pan to O."), caption_of("O lifts the lid.")
        ('The camera wearer hands the pan to another person.', 'Another person lifts the lid.')
    """
    said = _ACTOR.sub(lambda found: _ACTORS[found[0]], text.strip())
    return said[:1].upper() + said[1:]
