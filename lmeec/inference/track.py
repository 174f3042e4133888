"""Track one object between two clips held in memory: the network without takes, videos or tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lmeec.config import MemoryConfig
from lmeec.errors import ConfigError
from lmeec.inference.outputs import masks_of
from lmeec.inference.plan import PlannedTrack
from lmeec.inference.tracker import Tracker
from lmeec.masks import RunLengthMask
from lmeec.model.transfer import Fetched, to_host

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmeec.model.lmeec import LMEEC, Decoded

_QUERY, _TARGET = "query", "target"
_OUTPUTS = ("mask_logits", "object_score", "predicted_iou", "object_pointer")


@dataclass(frozen=True)
class Track:
    """Predictions for T steps; s is a quarter of the model's image size, C its hidden size.

    Attributes:
        mask_logits: float32 [T, s, s], of frames squashed to a square; the object is where they are positive (`masks`).
        object_score: logit of "the object is visible", float32 [T].
        predicted_iou: the model's own estimate of the mask's IoU, float32 [T].
        object_pointer: float32 [T, C].
    """

    mask_logits: Tensor
    object_score: Tensor
    predicted_iou: Tensor
    object_pointer: Tensor

    def masks(self, height: int, width: int) -> NDArray[np.bool_]:
        """Where the object is, at the size of the target's frames or any other of their shape.

        Logits are of frames squashed to a square; this undoes it as `lmeec predict` does.

        Args:
            height: of a mask.
            width: of a mask.

        Returns:
            Bool [T, height, width].

        Raises:
            DataError: a side is not positive, or the size absurd.

        Example:
            >>> import torch
            >>> track = Track(torch.ones(2, 4, 4), torch.ones(2), torch.ones(2), torch.ones(2, 8))
            >>> track.masks(9, 16).shape
            (2, 9, 16)
        """
        RunLengthMask.empty(height, width)  # refuses such sizes
        masks = np.empty((len(self.mask_logits), height, width), bool)
        for step, logits in enumerate(self.mask_logits):  # by itself: in float32 a long clip would take four times more
            masks[step] = masks_of(logits[None], (height, width))[0].numpy()
        return masks


def track(
    model: LMEEC,
    query: np.ndarray | Tensor,
    target: np.ndarray | Tensor,
    masks: np.ndarray | Tensor,
    memory: MemoryConfig | None = None,
) -> Track:
    """Segment in `target` the object that `masks` mark in `query`.

    Args:
        model: see `lmeec.load_model`.
        query: RGB frames, uint8 [T, H, W, 3].
        target: RGB frames of the same instants, uint8 [T, H', W', 3].
        masks: the object in the query frames, bool [T, h, w]; none may be empty.
        memory: policy and size of the memory banks; the default is the released one, `drop`.

    Returns:
        The predictions, on the CPU.

    Raises:
        ConfigError: an argument has the wrong shape or type, or a mask is empty.

    Example:
        >>> import numpy as np, lmeec
        >>> model = lmeec.load_model("nano", device="cpu")
        >>> clip = np.zeros((2, 64, 64, 3), np.uint8)
        >>> masks = np.ones((2, 64, 64), bool)
        >>> lmeec.track(model, clip, clip, masks).mask_logits.shape
        torch.Size([2, 96, 96])
    """
    frames = {_QUERY: _video(_QUERY, query), _TARGET: _video(_TARGET, target)}
    object_masks = torch.as_tensor(masks)
    length = len(object_masks)
    if object_masks.ndim != 3 or object_masks.dtype != torch.bool:
        raise ConfigError(f"masks are {_kind(object_masks)}, but must be bool [T, h, w]")
    if {len(video) for video in frames.values()} != {length}:
        counts = f"{len(frames[_QUERY])} query frames, {len(frames[_TARGET])} target frames and {length} masks"
        raise ConfigError(f"there are {counts}, but must be equally many of each")
    empty = (~object_masks.flatten(1).any(1)).nonzero().flatten().tolist()
    if empty:
        raise ConfigError(f"the masks of steps {empty[:5]} are empty; leave out steps at which the query shows nothing")
    tracker = Tracker(
        model, [PlannedTrack(0, _QUERY, _TARGET, range(length))], memory or MemoryConfig(), batch_tracks=1
    )
    result = _empty(model, length)
    coming: list[tuple[int, Fetched]] = []
    for k in range(length):
        ((_, decoded),) = tracker.step([0], {camera: v[k] for camera, v in frames.items()}, {0: object_masks[k]})
        coming.append((k, to_host(_packed(decoded))))
        # The last step's copy is waited for while this one's is on its way.
        if k:
            _unpack(*coming.pop(0), result)
    for step in coming:
        _unpack(*step, result)
    return result


def _empty(model: LMEEC, length: int) -> Track:
    side, c = model.config.logits_size, model.config.hidden_dim
    return Track(
        mask_logits=torch.empty(length, side, side),
        object_score=torch.empty(length),
        predicted_iou=torch.empty(length),
        object_pointer=torch.empty(length, c),
    )


def _packed(decoded: Decoded) -> Tensor:
    return torch.cat([getattr(decoded, name).float().flatten() for name in _OUTPUTS])


def _unpack(step: int, fetched: Fetched, result: Track) -> None:
    outputs: list[Tensor] = [getattr(result, name)[step] for name in _OUTPUTS]
    for output, values in zip(outputs, fetched.get().split([output.numel() for output in outputs]), strict=True):
        output.copy_(values.view(output.shape))


def _video(name: str, frames: np.ndarray | Tensor) -> Tensor:
    video = torch.as_tensor(frames)
    if video.ndim != 4 or video.shape[-1] != 3 or video.dtype != torch.uint8:
        raise ConfigError(f"{name} is {_kind(video)}, but must be uint8 [T, H, W, 3]")
    return video


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
