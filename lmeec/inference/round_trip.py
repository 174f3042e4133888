"""The way back: a predicted mask becomes the query in the target view, and is segmented in the query view.

How much of the given query mask comes back tells, without ground truth, how far a prediction can be trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from lmeec.inference.plan import PlannedTrack
from lmeec.inference.tracker import Tracker
from lmeec.metrics import iou
from lmeec.model.transfer import to_host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from lmeec.config import CycleWay, MemoryConfig
    from lmeec.inference.outputs import SizedMasks
    from lmeec.inference.part_times import PartTimes
    from lmeec.inference.tracker import Views
    from lmeec.masks import RunLengthMask
    from lmeec.model.lmeec import LMEEC, Decoded


class Trip(NamedTuple):
    """What became of a prediction on the way back.

    Attributes:
        iou: of the mask that came back with the given query mask; 0 for an empty prediction.
        score: logit of the object being visible on the way back; None for an empty prediction.
    """

    iou: float
    score: float | None


EMPTY = Trip(0.0, None)
"""An empty prediction asks for nothing, so nothing comes back; it adds no memory."""


def trip(came_back: RunLengthMask, score: float, given: RunLengthMask) -> Trip:
    """Compare what came back with the query mask, both at the evaluation size of the query view.

    Raises:
        DataError: the counts of a mask are bad.
    """
    return Trip(iou(came_back, given), score)


class RoundTrips:
    """State of the way back of all tracks of a take.

    Each track has a way back of its own, as its query is what was predicted for it. Where it has memory, its banks and
    pointers are its own too, and pointers reach as many steps back as the track's do.

    Args:
        model: of the other direction, in evaluation mode.
        tracks: the tracks there, as they were planned.
        way: with memory, or each frame by itself.
        memory: policy and size of the banks.
        batch_tracks: as for `Tracker`.
        times: as for `Tracker`.
    """

    def __init__(
        self,
        model: LMEEC,
        tracks: Sequence[PlannedTrack],
        way: CycleWay,
        memory: MemoryConfig,
        batch_tracks: int,
        times: PartTimes | None = None,
    ) -> None:
        back = [
            PlannedTrack(number, there.target_camera, there.query_camera, there.frames, there.object)
            for number, there in enumerate(tracks)
        ]
        self._tracker = Tracker(model, back, memory if way == "tracked" else None, batch_tracks, times)

    def look(self, frames: Mapping[str, Tensor]) -> Views:
        """Encode camera frames; what a `Tracker` of the same model has encoded serves as well."""
        return self._tracker.look(frames)

    def step(self, views: Views, masks: Mapping[int, Tensor]) -> Iterator[tuple[list[int], Decoded]]:
        """Take predictions of one frame back.

        Args:
            views: of every camera that they need.
            masks: bool [h, w] predicted masks by track; none of them is empty, and there may be none.

        Yields:
            As `Tracker.step`.
        """
        if masks:
            yield from self._tracker.advance(sorted(masks), views, masks)

    def skip(self, tracks: Sequence[int]) -> None:
        """Let a frame of tracks go by of which nothing is taken back."""
        self._tracker.skip(tracks)


def predicted_queries(model: LMEEC, predicted: Sequence[tuple[list[int], SizedMasks]]) -> dict[int, Tensor]:
    """Predicted masks as queries for the way back, without those that are empty.

    Args:
        model: of the way back.
        predicted: tracks of each batch, and their masks at the evaluation size.

    Returns:
        Number of the track to bool [S, S], S being the side of the model's input.
    """
    flat = [([batch[row] for row in rows], some) for batch, masks in predicted for rows, some in masks.groups]
    if not flat:
        return {}
    # Banks are kept on the host's side of things: which of them grow is asked for all tracks at once.
    has_pixels = to_host(torch.cat([some.flatten(1).any(1) for _, some in flat])).get().tolist()
    tracks = [track for tracks, _ in flat for track in tracks]
    resized = torch.cat([model.query_mask(some) for _, some in flat])
    return {track: mask for track, mask, there in zip(tracks, resized, has_pixels, strict=True) if there}
