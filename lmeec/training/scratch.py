"""A beginning for weights that are trained from nothing: memory attention that matches features from the first step.

With random projections, a target cell attends to all memory cells alike, and nothing tells the network that it should
look for the cells that resemble it. Here queries and keys start as the same projection of the encoder's features, so
that attention starts as a comparison of appearances, and what is learned is which appearances to compare.
"""

from __future__ import annotations

import torch

from lmeec.model.lmeec import LMEEC

_GAIN = 1.6
"""Sharpness of the first comparison."""


def prepare_from_scratch(model: LMEEC) -> None:
    """Let the memory carry the query's features, and memory attention compare them with the target's, in place.

    Args:
        model: with fresh random weights; the projection is drawn from torch's global random state.
    """
    channels, memory_channels = model.config.hidden_dim, model.config.memory_dim
    device = model.device
    projection = torch.linalg.qr(torch.randn(channels, channels, device=device))[0][:memory_channels]
    # Keeps the length of a feature that is projected to fewer channels.
    projection = projection * (channels / memory_channels) ** 0.5
    identity = torch.eye(channels, device=device)
    encoder = model.memory_encoder
    with torch.no_grad():
        encoder.pix_feat_proj.weight.copy_(identity[..., None, None])
        encoder.out_proj.weight.copy_(projection[..., None, None])
        biases = [encoder.pix_feat_proj.bias, encoder.out_proj.bias]
        for layer in model.memory_attention.layers:
            attention = layer.cross_attn_image
            attention.q_proj.weight.copy_(_GAIN * identity)
            attention.k_proj.weight.copy_(_GAIN * projection.T)
            biases += [attention.q_proj.bias, attention.k_proj.bias]
        for bias in biases:
            bias.zero_()
