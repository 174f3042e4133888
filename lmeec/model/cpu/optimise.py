"""Exchange a model's modules for those that are arranged for a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from sam2.modeling.memory_attention import MemoryAttentionLayer
from sam2.modeling.memory_encoder import CXBlock
from sam2.modeling.sam2_utils import MLP
from torch import nn

from lmeec.model.cpu.attention import CpuMemoryAttention
from lmeec.model.cpu.packed import Activation, PackedLinear, PackedPointwise, can_pack
from lmeec.model.cpu.windows import EdgeAwareBlock

if TYPE_CHECKING:
    from sam2.modeling.backbones.hieradet import Hiera

    from lmeec.model.lmeec import LMEEC

M = TypeVar("M", bound=nn.Module)

_FUSED: dict[type[nn.Module], Activation] = {nn.GELU: "gelu", nn.ReLU: "relu"}


def optimise_for_cpu(model: LMEEC) -> LMEEC:
    """Arrange a model for inference on this CPU, in place.

    Names and values of its state dict stay the same; packed copies of the weights take as much memory again. From
    then on the model can neither be trained, which it refuses, nor moved nor loaded with other weights.

    Args:
        model: in evaluation mode, on the CPU, with its weights loaded and its `compute_dtype` set.
    """
    hiera = model.image_encoder.trunk
    hiera.blocks = nn.ModuleList(EdgeAwareBlock(block) for block in hiera.blocks)
    _keep_position(hiera, model.config.image_size // 4)
    model.memory_attention = CpuMemoryAttention(model.memory_attention)
    if can_pack():
        _pack(model)
    # Packed products have no gradient and would leave one out in silence.
    model.requires_grad_(False)
    model.inference_only = True
    return model.eval()


def _keep_position(hiera: Hiera, grid: int) -> None:
    """Interpolate the position embedding once; it depends on the image size alone."""
    with torch.no_grad():
        position = hiera._get_pos_embed((grid, grid)).contiguous()
    hiera._get_pos_embed = lambda _size: position


def _pack(model: LMEEC) -> None:
    dtype = model.compute_dtype
    activations: dict[nn.Linear, Activation] = {}
    for mlp in _modules(model, MLP):
        fused = _FUSED.get(type(mlp.act))
        if fused:
            activations |= dict.fromkeys(mlp.layers[:-1], fused)
            mlp.act = nn.Identity()
    for block in _modules(model, CXBlock):
        activations[block.pwconv1] = "gelu"
        block.act = nn.Identity()
    for layer in _modules(model, MemoryAttentionLayer):
        activations[layer.linear1] = "relu"
        layer.activation = nn.Identity()
    for level in model.image_encoder.neck.convs:
        level.conv = PackedPointwise(level.conv, dtype)
    decoder = model.sam_mask_decoder
    decoder.conv_s0 = PackedPointwise(decoder.conv_s0, dtype)
    decoder.conv_s1 = PackedPointwise(decoder.conv_s1, dtype)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child, dtype, activations.get(child, "none")))


def _modules(model: nn.Module, kind: type[M]) -> list[M]:
    return [module for module in model.modules() if isinstance(module, kind)]
