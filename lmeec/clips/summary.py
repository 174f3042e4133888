"""What a clips table holds and what was left out of it, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_EDGES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
LENGTHS = ("under 0.25", "0.25 to 0.5", "0.5 to 1", "1 to 2", "2 to 4", "4 to 8", "8 or more")
"""Names of the bins of clip lengths, in seconds; a length on an edge belongs to the longer bin."""


@dataclass(frozen=True, slots=True)
class ClipsSummary:
    """What was made.

    Attributes:
        pairs: Rows of the table.
        clips: Descriptions that they are of.
        takes: Takes that they are of.
        videos: Videos that they are of.
        video_hours: Length of these videos.
        clip_hours: Length of the clips, each once however many cameras show it.
        mean_seconds: Mean length of these clips; None if there are none.
        context_mean_gap: The `a` of the context rule in seconds; None with another rule.
        lengths: Clips in each bin of `LENGTHS`.
        scenarios: Pairs of each scenario, the most frequent first; takes without one count as "unknown".
        grounded: Clips with an object that the sentence mentions; None without results.
        dropped_descriptions: Reason to descriptions that are in no row.
        dropped_pairs: Reason to pairs that are no row though their description is in others, or would be.
        problems: What is damaged, in words that name the take.
    """

    pairs: int
    clips: int
    takes: int
    videos: int
    video_hours: float
    clip_hours: float
    mean_seconds: float | None
    context_mean_gap: float | None
    lengths: dict[str, int]
    scenarios: dict[str, int]
    grounded: int | None
    dropped_descriptions: dict[str, int]
    dropped_pairs: dict[str, int]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ClipsSummary:
        """Read what `to_dict` gave.

        Raises:
            ValueError: They are no such values.
        """
        return msgspec.convert(values, cls)


@dataclass(slots=True)
class Tally:
    """Counts a summary up, take by take.

    Attributes:
        dropped_descriptions: As in `ClipsSummary`.
        dropped_pairs: As in `ClipsSummary`.
        problems: As in `ClipsSummary`.
    """

    dropped_descriptions: Counter[str] = field(default_factory=Counter)
    dropped_pairs: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _lengths: Counter[str] = field(default_factory=Counter)
    _scenarios: Counter[str] = field(default_factory=Counter)
    _video_seconds: float = 0.0
    _clip_seconds: float = 0.0

    def add(self, rows: pa.RecordBatch, seconds: dict[str, float]) -> None:
        """Count the rows of one take.

        Args:
            rows: The rows, sorted so that those of one clip follow each other.
            seconds: Length of each camera's video.
        """
        if not rows.num_rows:
            return
        ids = rows["clip_id"].to_numpy(zero_copy_only=False)
        first = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        lengths = rows["end"].to_numpy()[first] - rows["start"].to_numpy()[first]
        bins, counts = np.unique(np.searchsorted(_EDGES, lengths, side="right"), return_counts=True)
        self._lengths.update({LENGTHS[one]: int(count) for one, count in zip(bins, counts, strict=True)})
        cameras = {rows["ego_cam"][0].as_py(), *pc.unique(rows["exo_cam"]).to_pylist()}
        self._counts.update(pairs=rows.num_rows, clips=len(first), takes=1, videos=len(cameras))
        self._scenarios[rows["scenario"][0].as_py() or "unknown"] += rows.num_rows
        self._video_seconds += sum(seconds[camera] for camera in cameras)
        self._clip_seconds += float(lengths.sum())
        mentions = pc.fill_null(pc.list_value_length(rows["objects"]), 0).to_numpy(zero_copy_only=False)
        self._counts["grounded"] += int((np.add.reduceat(mentions, first) > 0).sum())

    def summary(self, context_mean_gap: float | None, *, grounded: bool) -> ClipsSummary:
        """Give the summary of all that was counted."""
        clips = self._counts["clips"]
        return ClipsSummary(
            pairs=self._counts["pairs"],
            clips=clips,
            takes=self._counts["takes"],
            videos=self._counts["videos"],
            video_hours=self._video_seconds / 3600,
            clip_hours=self._clip_seconds / 3600,
            mean_seconds=self._clip_seconds / clips if clips else None,
            context_mean_gap=context_mean_gap,
            lengths={name: self._lengths[name] for name in LENGTHS},
            scenarios=dict(self._scenarios.most_common()),
            grounded=self._counts["grounded"] if grounded else None,
            dropped_descriptions=dict(self.dropped_descriptions.most_common()),
            dropped_pairs=dict(self.dropped_pairs.most_common()),
            problems=tuple(self.problems),
        )
