"""Settings of a clips table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lmeec.clips.bounds import LengthConfig

if TYPE_CHECKING:
    from lmeec.config import Duplicates, Video


@dataclass(frozen=True, slots=True)
class ClipsConfig:
    """Which descriptions become clips, and how long these are.

    Attributes:
        length: The rule for lengths.
        ego_visible_only: Only descriptions of what the ego camera shows.
        best_exo_only: Only the exo camera that the annotator named as the best.
        include_unsure: Descriptions that the annotator was unsure of too.
        include_rejected: Annotations that a reviewer rejected too.
        duplicates: Of sentences in a take that differ only in case, punctuation, articles and number, `overlapping`
            merges those whose clips overlap, `take` all of the take; the first stays.
        video: Which video files to use.
    """

    length: LengthConfig = field(default_factory=LengthConfig)
    ego_visible_only: bool = False
    best_exo_only: bool = False
    include_unsure: bool = False
    include_rejected: bool = False
    duplicates: Duplicates = "none"
    video: Video = "auto"
