"""Results in the formats of other tools: the benchmark's challenge, COCO and DAVIS."""

from lmeec.export.challenge import ChallengeSummary, export_challenge
from lmeec.export.coco import CocoSummary, export_coco
from lmeec.export.davis import DavisSummary, export_davis

__all__ = [
    "ChallengeSummary",
    "CocoSummary",
    "DavisSummary",
    "export_challenge",
    "export_coco",
    "export_davis",
]
