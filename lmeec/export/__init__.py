"""Results in the formats of other tools: the benchmark's challenge, COCO, CVAT and DAVIS."""

from lmeec.export.challenge import ChallengeSummary, export_challenge
from lmeec.export.coco import CocoSummary, export_coco
from lmeec.export.cvat import CvatSummary, export_cvat
from lmeec.export.davis import DavisSummary, export_davis

__all__ = [
    "ChallengeSummary",
    "CocoSummary",
    "CvatSummary",
    "DavisSummary",
    "export_challenge",
    "export_coco",
    "export_cvat",
    "export_davis",
]
