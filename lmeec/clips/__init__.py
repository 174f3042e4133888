"""Synchronised ego-exo clips with sentences, made of atomic descriptions (Exo2Ego, AAAI 2026, section 3).

`make_clips` writes the table of what `read_source` found. `extract` cuts its videos, `instruct` turns it into
conversations.
"""

from lmeec.clips.bounds import LengthConfig
from lmeec.clips.config import ClipsConfig
from lmeec.clips.read import read_clips_metadata
from lmeec.clips.summary import ClipsSummary
from lmeec.clips.table import make_clips, read_source

__all__ = ["ClipsConfig", "ClipsSummary", "LengthConfig", "make_clips", "read_clips_metadata", "read_source"]
