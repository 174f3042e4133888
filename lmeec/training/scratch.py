"""A beginning for weights that are trained from nothing: memory attention that matches features from the first step.

With random projections, a target cell attends to all memory cells alike, and nothing tells the network that it should
look for the cells that resemble it. Here a memory starts as two parts: the query's features, which attention compares
with the target's, and flags that say where the object is, which it passes on. What is learned is what to compare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lmeec.model.lmeec import LMEEC

_FLAGS = 8
"""Channels of a memory that start as flags."""

_GAIN = 1.2
"""Sharpness of the first comparison."""

_FLAG_GAIN = 3.0
"""Strength of the flags among the features."""

_CLOSED = -3.0
"""Logit of a gate that adds little."""


def prepare_from_scratch(model: LMEEC) -> None:
    """Let memories carry features and flags, and memory attention compare the features, in place.

    Args:
        model: with fresh random weights; the projection is drawn from torch's global random state.
    """
    appearance = model.config.memory_dim - _FLAGS
    with torch.no_grad():
        projection = _prepare_memory_encoder(model, appearance)
        for layer in model.memory_attention.layers:
            attention = layer.cross_attn_image
            attention.q_proj.weight.copy_(_GAIN * torch.eye(model.config.hidden_dim))
            attention.k_proj.weight.zero_()
            attention.k_proj.weight[: len(projection.T), :appearance] = _GAIN * projection.T
            attention.v_proj.weight[:, appearance:] *= 2
            _zero_biases(attention.q_proj, attention.k_proj)
        _close_gates(model)


def _prepare_memory_encoder(model: LMEEC, appearance: int) -> Tensor:
    """Features into the first channels, the mask into the last ones; returns what projects features to memories."""
    encoder, channels = model.memory_encoder, model.config.hidden_dim
    features = channels - _FLAGS
    # Keeps the length of a feature that is projected to fewer channels.
    projection: Tensor = (
        torch.linalg.qr(torch.randn(features, features))[0][:appearance] * (features / appearance) ** 0.5
    )
    encoder.pix_feat_proj.weight.zero_()
    encoder.pix_feat_proj.weight[:features, :features, 0, 0] = torch.eye(features)
    last = encoder.mask_downsampler.encoder[-1]
    last.weight[:features] = 0
    last.weight[features:] *= _FLAG_GAIN
    encoder.out_proj.weight.zero_()
    encoder.out_proj.weight[:appearance, :features, 0, 0] = projection
    encoder.out_proj.weight[appearance:, features:, 0, 0] = torch.eye(_FLAGS)
    _zero_biases(encoder.pix_feat_proj, encoder.out_proj, last)
    return projection


def _close_gates(model: LMEEC) -> None:
    """Let the Memory-View MoE start as little more than a sum, whose size the mask decoder knows from first steps."""
    moe = model.MV_MoE
    for channel_gate, spatial_gate in ((moe.mlp1, moe.conv1), (moe.mlp2, moe.conv2)):
        channel, spatial = channel_gate[-2], spatial_gate[-2]
        assert isinstance(channel, nn.Linear)
        assert isinstance(spatial, nn.Conv2d)
        channel.bias.fill_(_CLOSED)
        # It has no bias and its inputs are not negative, so negative weights close it.
        spatial.weight.copy_(-5 * spatial.weight.abs())


def _zero_biases(*layers: nn.Linear | nn.Conv2d) -> None:
    for layer in layers:
        assert layer.bias is not None
        layer.bias.zero_()
