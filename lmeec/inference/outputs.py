"""What a batch of tracks predicted, brought to the host in one copy that nobody waits for while the network runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from lmeec.model.transfer import Fetched, index_on, to_host

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from lmeec.model.lmeec import Decoded

Size = tuple[int, int]


@dataclass(frozen=True)
class Outputs:
    """Predictions of B tracks at one frame, on the host.

    Attributes:
        masks: bool [height, width] each, at the evaluation size.
        object_scores: logits of "the object is visible".
        predicted_iou: the model's own estimates.
    """

    masks: list[NDArray[np.bool_]]
    object_scores: list[float]
    predicted_iou: list[float]


@dataclass(frozen=True)
class ComingOutputs:
    """Outputs on their way to the host.

    Attributes:
        packed: scores, then masks in the order of `_groups`, as bytes.
        sizes: height and width of each of the B masks.
    """

    packed: Fetched
    sizes: Sequence[Size]

    def get(self) -> Outputs:
        """The outputs, after waiting for them."""
        packed = self.packed.get().numpy()
        count = len(self.sizes)
        place = 2 * count * np.dtype(np.float32).itemsize
        scores, iou = packed[:place].view(np.float32).reshape(2, count).tolist()
        masks: dict[int, NDArray[np.bool_]] = {}
        for (height, width), rows in _groups(self.sizes):
            end = place + len(rows) * height * width
            masks |= zip(rows, packed[place:end].view(np.bool_).reshape(-1, height, width), strict=True)
            place = end
        return Outputs([masks[i] for i in range(count)], scores, iou)


def fetch_outputs(decoded: Decoded, sizes: Sequence[Size]) -> ComingOutputs:
    """Threshold masks at their sizes and start to bring them, with the scores, to the host.

    Args:
        decoded: B rows; mask logits are resized by bilinear interpolation, positive is the object.
        sizes: height and width for each of the B masks.
    """
    logits = decoded.mask_logits[:, None]
    parts = [torch.stack([decoded.object_score, decoded.predicted_iou]).flatten().view(torch.uint8)]
    for size, rows in _groups(sizes):
        some = logits if len(rows) == len(logits) else logits.index_select(0, index_on(logits.device, rows))
        masks = F.interpolate(some, size, mode="bilinear", align_corners=False) > 0
        parts.append(masks.flatten().view(torch.uint8))
    return ComingOutputs(to_host(torch.cat(parts)), sizes)


def _groups(sizes: Sequence[Size]) -> Iterator[tuple[Size, list[int]]]:
    """Rows of each size that there is."""
    for size in dict.fromkeys(sizes):
        yield size, [i for i, other in enumerate(sizes) if other == size]
