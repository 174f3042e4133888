"""Compile the network's parts with torch.compile, for GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmeec.model.memory_attention import PreparedTarget

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmeec.model.lmeec import LMEEC


def compile_for_gpu(model: LMEEC, backend: str | Callable[..., object] = "inductor") -> LMEEC:
    """Compile the parts that a step consists of, in place; each is compiled when it first runs.

    Batch sizes, and the number of memory tokens, are marked as varying, so that neither a last, smaller batch nor a
    bank that is filling compiles anything again. Results differ from the eager model's by rounding.

    Args:
        model: in evaluation mode, on its device, with its weights loaded.
        backend: of torch.compile.
    """
    encoder: Callable[[Tensor], object] = torch.compile(model.image_encoder.forward, backend=backend)
    attend = torch.compile(model.memory_attention.attend, backend=backend)
    fuse = torch.compile(model.MV_MoE.forward, backend=backend)

    def encode(images: Tensor) -> object:
        return encoder(_varying(images, 0))

    def attend_tokens(target: PreparedTarget, memory: Tensor, position: Tensor, num_pointer_tokens: int) -> Tensor:
        rows = position.expand(len(memory), *position.shape[-2:])
        target = PreparedTarget(_varying(target.tokens, 0))
        return attend(target, _varying(memory, 0, 1), _varying(rows, 0, 1), num_pointer_tokens)

    def fuse_features(memory: Tensor, view: Tensor) -> Tensor:
        return fuse(_varying(memory, 0), _varying(view, 0))

    replacements = (
        (model.image_encoder, "forward", encode),
        (model.memory_attention, "attend", attend_tokens),
        (model.MV_MoE, "forward", fuse_features),
    )
    for module, method, compiled in replacements:
        setattr(module, method, compiled)
    return model


def _varying(tensor: Tensor, *dims: int) -> Tensor:
    """A copy-free alias of a tensor whose size in these dimensions is not built into the compiled code."""
    alias = tensor.view_as(tensor)
    for dim in dims:
        torch._dynamo.maybe_mark_dynamic(alias, dim)
    return alias
