"""Bytes that a step of the tracker needs on a GPU at most, counted from shapes on torch's meta device.

Counted are the storages that torch's operators make and that are alive at the same time: features, banks, what a batch
works with, what an operator makes for the next. Not counted is what only a real device has: workspaces of cuDNN and
cuBLAS, the CUDA context, and the allocator's rounding and holes. So the figures are a lower bound of what is reserved.

Attention: on a GPU, flash and memory-efficient attention keep the result and one float32 a query. `fused=True` counts
these; what such a kernel pads or copies for itself is missing. `fused=False` counts torch's path that writes scores and
their softmax, [B, heads, queries, keys] each, and scaled copies of its inputs, which is what happens where no fused
kernel takes the shapes: an upper bound, far over what is needed otherwise.

bfloat16: autocast knows no meta device. `Shapes` casts the arguments of the same operators by hand. Autocast may hold a
cast copy of every weight for the time of a batch; here each is made and dropped, so up to half the weights are missing.
"""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from lmeec.config import MemoryConfig
from lmeec.inference.outputs import fetch_outputs
from lmeec.inference.plan import PlannedTrack
from lmeec.inference.tracker import Tracker
from tests.support.meta import META

_LOWER = {
    F.linear,
    F.conv2d,
    torch.conv2d,
    F.conv_transpose2d,
    torch.conv_transpose2d,
    torch.matmul,
    torch.Tensor.matmul,
    torch.Tensor.__matmul__,
    torch.bmm,
    torch.Tensor.bmm,
    torch.einsum,
    F.scaled_dot_product_attention,
}
_FLOAT32 = {F.layer_norm, torch.layer_norm, F.softmax, torch.softmax, torch.Tensor.softmax, torch.Tensor.pow}
"""Operators that autocast runs in the lower precision, and in float32, as far as the network has them."""


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of storages on the meta device from when an operator makes them until nothing refers to them.

    Attributes:
        now: bytes that are alive.
        peak: the most there were since the last `restart`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, weakref.ref] = {}

    def restart(self) -> None:
        """Let the peak begin anew at what is alive."""
        self.peak = self.now

    def ignore(self, tensors) -> None:
        """Leave tensors out that were there before, such as weights."""
        for tensor in tensors:
            self._follow(tensor, 0)

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        keywords = keywords or {}
        # In inference mode operators made of others come here whole, which would hide what they make on the way.
        with self:
            result = operation.decompose(*arguments, **keywords)
        if result is not NotImplemented:
            return result
        result = operation(*arguments, **keywords)
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.device == META:
                self._follow(tensor, tensor.untyped_storage().nbytes())
        return result

    def _follow(self, tensor: torch.Tensor, size: int) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return

        def died(_: weakref.ref) -> None:
            del self._known[key]
            self.now -= size

        self._known[key] = weakref.ref(storage, died)
        self.now += size
        self.peak = max(self.peak, self.now)


class Shapes(TorchFunctionMode):
    """Gives results the types, and attention the intermediate results, that they have on a GPU.

    Args:
        dtype: of the large operations.
        fused: whether attention keeps no scores.
    """

    def __init__(self, dtype: torch.dtype, *, fused: bool) -> None:
        super().__init__()
        self._dtype, self._fused = dtype, fused

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        if self._dtype != torch.float32:
            wanted = self._dtype if function in _LOWER else torch.float32 if function in _FLOAT32 else None
            if wanted is not None:
                arguments, keywords = tree_map_only(torch.Tensor, lambda x: _cast(x, wanted), (arguments, keywords))
        if function is torch.Tensor.cpu:
            return torch.zeros(arguments[0].shape, dtype=arguments[0].dtype, device="cpu")
        if function is F.scaled_dot_product_attention:
            query, _, value = arguments[:3]
            if not self._fused:
                return torch.ops.aten._scaled_dot_product_attention_math(*arguments[:3])[0]
            result = query.new_empty(*query.shape[:-1], value.shape[-1])
            result.new_empty(query.shape[:-1], dtype=torch.float32)
            return result
        return function(*arguments, **keywords)


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.to(dtype) if tensor.device == META and tensor.is_floating_point() else tensor


@dataclass(frozen=True)
class Peak:
    """Bytes beyond the weights.

    Attributes:
        held: before the step: banks and pointers.
        step: at the highest point of the step, what is held included.
    """

    held: int
    step: int


def peaks_of_step(model, objects: int, cameras: int, batches, *, dtype=torch.float32, fused=True) -> dict[int, Peak]:
    """Peaks of a step with full banks by the number of tracks in a batch.

    Object pointers, 4 tokens a step beside 10,800 of full banks, are those of the steps that it takes to fill banks.

    One query camera sees all objects, each is followed into every target camera. Each batch's masks are fetched as
    `lmeec predict` does, and dropped.

    Args:
        model: on the meta device.
        objects: query streams.
        cameras: target cameras.
        batches: numbers of tracks in a batch.
        dtype: see `Shapes`.
        fused: see `Shapes`.
    """
    targets = [f"target {i}" for i in range(cameras)]
    filling = model.config.num_maskmem
    specs = [
        PlannedTrack(i, "query", target, range(filling + len(batches) + 1))
        for i in range(objects)
        for target in targets
    ]
    side = model.config.image_size
    frames = {camera: torch.zeros(side, side, 3, dtype=torch.uint8) for camera in ("query", *targets)}
    masks = {i: torch.ones(side, side, dtype=torch.bool) for i in range(objects)}
    tracker = Tracker(model, specs, MemoryConfig(), batch_tracks=len(specs))

    def step() -> None:
        for batch, decoded in tracker.step(range(len(specs)), frames, masks):
            fetch_outputs(decoded, [(side, side)] * len(batch))

    peaks = {}
    with ExitStack() as watching:
        live = watching.enter_context(LiveBytes())
        watching.enter_context(Shapes(dtype, fused=fused))
        live.ignore([*model.parameters(), *model.buffers()])
        for _ in range(filling):
            step()
        for batch in batches:
            tracker.batch_tracks = batch
            held = live.now
            live.restart()
            step()
            peaks[batch] = Peak(held, live.peak)
    return peaks
