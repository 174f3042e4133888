"""Which descriptions of a take become clips, and why the others do not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from lmeec.clips.sentences import sentence_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmeec.clips.config import ClipsConfig
    from lmeec.config import Duplicates
    from lmeec.data.descriptions import TakeDescriptions


def usable(descriptions: TakeDescriptions, config: ClipsConfig) -> tuple[NDArray[np.int64], Counter[str]]:
    """Choose descriptions by what they say of themselves.

    Returns:
        Places in `descriptions`, int64 [N], ascending; and how many were dropped for which reason, each counted once.
    """
    reasons = {
        "rejected": np.array(descriptions.rejected, bool) & (not config.include_rejected),
        "no_text": np.array([text is None for text in descriptions.texts], bool),
        "no_timestamp": np.isnan(np.array(descriptions.times, np.float64)),
        "unsure": np.array([unsure is True for unsure in descriptions.unsure], bool) & (not config.include_unsure),
        "not_visible_in_ego": np.array([seen is not True for seen in descriptions.ego_visible], bool)
        & config.ego_visible_only,
    }
    keep = np.ones(len(descriptions), bool)
    dropped: Counter[str] = Counter()
    for reason, applies in reasons.items():
        dropped[reason] = int((keep & applies).sum())
        keep &= ~applies
    return np.flatnonzero(keep), +dropped


def without_duplicates(
    texts: list[str], start: NDArray[np.float64], end: NDArray[np.float64], merge: Duplicates
) -> NDArray[np.bool_]:
    """Say which of a take's sentences stay when near-duplicates are merged into the first of them.

    Args:
        texts: Sentences [N], in the order of time.
        start: When their clips begin, float64 [N], seconds.
        end: When their clips end, float64 [N], seconds.
        merge: Which near-duplicates are merged.

    Returns:
        bool [N].

    Example:
        >>> texts, start = ["C lifts a pan.", "c lifts the pan", "C lifts the pan"], np.array([1.0, 1.5, 9.0])
        >>> without_duplicates(texts, start, start + 1, "overlapping").tolist()
        [True, False, True]
    """
    keep = np.ones(len(texts), bool)
    if merge == "none":
        return keep
    latest: dict[tuple[str, ...], float] = {}
    for place, text in enumerate(texts):
        key = sentence_key(text)
        until = latest.get(key, -np.inf)
        if start[place] < until:
            keep[place] = False
        else:
            latest[key] = np.inf if merge == "take" else end[place]
    return keep
