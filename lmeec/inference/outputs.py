"""What a batch of tracks predicted, brought to the host in one copy that nobody waits for while the network runs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from lmeec.model.transfer import Fetched, index_on, to_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from lmeec.model.lmeec import Decoded

Size = tuple[int, int]


class HostBuffers:
    """Memory in which outputs of a CPU wait, used again from batch to batch.

    One thread takes buffers, another gives them back. New memory for each batch, freed late and in that other thread,
    would leave holes among what the network makes at the next frames, and the heap would grow around them.
    """

    def __init__(self) -> None:
        self._free: deque[Tensor] = deque()

    def take(self, size: int) -> Tensor:
        """A buffer of at least so many bytes, uint8, with whatever was in it."""
        buffer = self._free.pop() if self._free else None
        return buffer if buffer is not None and len(buffer) >= size else torch.empty(size, dtype=torch.uint8)

    def give_back(self, buffer: Tensor) -> None:
        """Let a buffer be taken again."""
        self._free.append(buffer)


@dataclass(frozen=True)
class Outputs:
    """Predictions of B tracks at one frame, on the host.

    Attributes:
        masks: bool [height, width] each, at the size at which masks are compared.
        object_scores: logits of "the object is visible".
        predicted_iou: the model's own estimates.
        logits: of the masks as the network gives them, float32 [B, s, s]; None if they were not asked for.
    """

    masks: list[NDArray[np.bool_]]
    object_scores: list[float]
    predicted_iou: list[float]
    logits: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class ComingOutputs:
    """Outputs on their way to the host.

    Attributes:
        packed: scores, then logits if they were asked for, then masks in the order of `_groups`, as bytes.
        sizes: height and width of each of the B masks.
        side: s of the logits; 0 if they were not asked for.
        release: to be called when the outputs are no longer read.
    """

    packed: Fetched
    sizes: Sequence[Size]
    side: int
    release: Callable[[], None]

    def get(self) -> Outputs:
        """The outputs, after waiting for them; their masks and logits are valid until `release`."""
        packed = self.packed.get().numpy()
        count = len(self.sizes)
        place = 2 * count * np.dtype(np.float32).itemsize
        scores, iou = packed[:place].view(np.float32).reshape(2, count).tolist()
        logits = None
        if self.side:
            begin, place = place, place + count * self.side**2 * np.dtype(np.float32).itemsize
            logits = packed[begin:place].view(np.float32).reshape(count, self.side, self.side)
        masks: dict[int, NDArray[np.bool_]] = {}
        for (height, width), rows in _groups(self.sizes):
            end = place + len(rows) * height * width
            masks |= zip(rows, packed[place:end].view(np.bool_).reshape(-1, height, width), strict=True)
            place = end
        return Outputs([masks[i] for i in range(count)], scores, iou, logits)


@dataclass(frozen=True)
class SizedMasks:
    """Masks of B tracks at their sizes, where they were computed.

    Attributes:
        sizes: height and width of each of the B masks.
        groups: for each different size, which of the B masks have it, and these as bool [R, height, width].
    """

    sizes: Sequence[Size]
    groups: Sequence[tuple[list[int], Tensor]]


def mask_at(logits: NDArray[np.float32], size: Size) -> NDArray[np.bool_]:
    """Threshold one mask at a size, as `sized_masks` does those of a batch.

    A large mask takes megabytes, and those of a batch that wait for their turn would take gigabytes.

    Args:
        logits: float32 [s, s], over the whole frame.
        size: height and width of the result.
    """
    return masks_of(torch.from_numpy(logits)[None], size)[0].numpy()


def sized_masks(decoded: Decoded, sizes: Sequence[Size]) -> SizedMasks:
    """Threshold masks at their sizes.

    Args:
        decoded: B rows; mask logits are resized by bilinear interpolation, positive is the object.
        sizes: height and width for each of the B masks.
    """
    logits = decoded.mask_logits
    groups = []
    for size, rows in _groups(sizes):
        some = logits if len(rows) == len(logits) else logits.index_select(0, index_on(logits.device, rows))
        groups.append((rows, masks_of(some, size)))
    return SizedMasks(sizes, groups)


def masks_of(logits: Tensor, size: Size) -> Tensor:
    """Masks of a size, which undoes that frames are squashed to a square.

    Args:
        logits: float [B, s, s].
        size: height and width.

    Returns:
        Bool [B, height, width].
    """
    return F.interpolate(logits[:, None], size, mode="bilinear", align_corners=False)[:, 0] > 0


def fetch_outputs(
    decoded: Decoded, sizes: Sequence[Size], buffers: HostBuffers | None = None, *, logits_too: bool = False
) -> ComingOutputs:
    """Threshold masks at their sizes and start to bring them, with the scores, to the host.

    Args:
        decoded: as for `sized_masks`.
        sizes: as for `sized_masks`.
        buffers: where outputs of a CPU wait; None takes new memory.
        logits_too: bring the mask logits as well.
    """
    return fetch_masks(decoded, sized_masks(decoded, sizes), buffers, logits_too=logits_too)


def fetch_masks(
    decoded: Decoded, masks: SizedMasks, buffers: HostBuffers | None = None, *, logits_too: bool = False
) -> ComingOutputs:
    """The same of masks that are thresholded already."""
    device = decoded.mask_logits.device
    parts = [torch.stack([decoded.object_score, decoded.predicted_iou]).flatten().view(torch.uint8)]
    parts += [decoded.mask_logits.flatten().view(torch.uint8)] * logits_too
    side = decoded.mask_logits.shape[-1] * logits_too
    parts += [some.flatten().view(torch.uint8) for _, some in masks.groups]
    if buffers is None or device.type != "cpu":
        return ComingOutputs(to_host(torch.cat(parts)), masks.sizes, side, release=lambda: None)
    length = sum(len(part) for part in parts)
    buffer = buffers.take(length)
    coming = to_host(torch.cat(parts, out=buffer[:length]))
    return ComingOutputs(coming, masks.sizes, side, lambda: buffers.give_back(buffer))


def _groups(sizes: Sequence[Size]) -> Iterator[tuple[Size, list[int]]]:
    """Rows of each size that there is."""
    for size in dict.fromkeys(sizes):
        yield size, [i for i, other in enumerate(sizes) if other == size]
