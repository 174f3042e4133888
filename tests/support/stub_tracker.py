"""A tracker without a network: drawn logits in place of predictions, to test quickly what is around it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from lmeec.model.lmeec import Decoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class StubTracker:
    """Takes the place of `lmeec.inference.tracker.Tracker`; what it draws depends on cameras, object and step alone.

    Predictions are blobs of every size, some empty, some of about 0.1% of the frame; object scores are of either sign.
    """

    def __init__(self, model: Any, tracks: Sequence[Any], memory: Any, batch_tracks: int, times: Any = None) -> None:
        self._side = model.config.logits_size
        self._tracks = list(tracks)
        self._steps = [0] * len(self._tracks)

    def step(
        self, active: Sequence[int], frames: Mapping[str, Any], masks: Mapping[int, Any]
    ) -> Iterator[tuple[list[int], Any]]:
        drawn = [self._draw(track) for track in active]
        yield (
            list(active),
            Decoded(
                mask_logits=torch.stack([logits for logits, _ in drawn]),
                object_score=torch.tensor([score for _, score in drawn]),
                predicted_iou=torch.full((len(drawn),), 0.5),
                object_pointer=torch.zeros(len(drawn), 1),
            ),
        )

    def _draw(self, track: int) -> tuple[torch.Tensor, float]:
        spec, step = self._tracks[track], self._steps[track]
        self._steps[track] += 1
        name = f"{spec.stream} {spec.query_camera} {spec.target_camera} {step}"
        rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        coarse = torch.from_numpy(rng.standard_normal((1, 1, 4, 4)).astype(np.float32))
        logits = F.interpolate(coarse, (self._side, self._side), mode="bicubic", align_corners=False)[0, 0]
        kind = rng.integers(4)
        if kind == 0:
            logits = torch.full_like(logits, -1024.0)
        elif kind == 1:  # a cell or so of the logits, of which one is 0.4% of the frame at 16 x 16
            logits = logits - logits.max() + float(rng.uniform(0.001, 0.3))
        return logits, float(rng.normal())
