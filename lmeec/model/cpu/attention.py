"""Memory attention arranged for a CPU's caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmeec.model.memory_attention import MemoryAttention

if TYPE_CHECKING:
    from sam2.modeling.memory_attention import MemoryAttentionLayer

_KEY_BLOCK = 768
"""Keys whose scores are held at once: with 900 queries they take 2.8 MB, which stays in the cache."""


def blockwise_attention(query: Tensor, key: Tensor, memory: Tensor) -> Tensor:
    """Attention of one row over many keys, a block of them at a time, with softmax sums joined at the end.

    Args:
        query: [N, C].
        key: [L, C].
        memory: what is mixed, [L, D]; D may be much smaller than C.

    Returns:
        [N, D].
    """
    query = query * query.shape[1] ** -0.5
    mixed, maxima, sums = [], [], []
    for start in range(0, len(key), _KEY_BLOCK):
        scores = torch.mm(query, key[start : start + _KEY_BLOCK].T)
        maxima.append(scores.amax(1).float())
        weights = torch.softmax(scores, dim=1)
        # The largest weight is 1 / sum(exp(score - maximum)), so it tells the sum that softmax divided by.
        sums.append(1 / weights.amax(1).float())
        mixed.append(torch.mm(weights, memory[start : start + _KEY_BLOCK]).float())
    maximum = torch.stack(maxima)
    share = (maximum - maximum.amax(0)).exp() * torch.stack(sums)
    share /= share.sum(0)
    return (torch.stack(mixed) * share[..., None]).sum(0).to(query.dtype)


class CpuMemoryAttention(MemoryAttention):
    """`MemoryAttention` for inference on a CPU; takes its place under the same parameter names.

    Weights sum to one, so the value projection can follow the mixing: the memory's D channels are mixed instead of
    the C channels of projected values.

    Args:
        attention: its modules are shared.
        rope: complex rotation of each cell's channel pairs, [h*w, C / 2].
    """

    def __init__(self, attention: MemoryAttention) -> None:
        torch.nn.Module.__init__(self)
        self.d_model = attention.d_model
        self.layers, self.norm = attention.layers, attention.norm
        self.num_layers = attention.num_layers
        self.pos_enc_at_input, self.batch_first = attention.pos_enc_at_input, attention.batch_first
        rotation = torch.complex(attention.rope_cos[:, ::2].contiguous(), attention.rope_sin[:, ::2].contiguous())
        self.register_buffer("rope", rotation, persistent=False)
        self.eval()

    def _cross_attend(
        self, layer: MemoryAttentionLayer, tokens: Tensor, keys: Tensor, values: Tensor, num_pointer_tokens: int
    ) -> Tensor:
        attention = layer.cross_attn_image
        queries = self._rotate(attention.q_proj(layer.norm2(tokens)))
        spatial = keys.shape[1] - num_pointer_tokens
        mixed = []
        # One row at a time: its keys and scores stay in the cache, and a batch of them would not.
        for query, row_keys, memory in zip(queries, keys, values, strict=True):
            key = attention.k_proj(row_keys)
            key[:spatial] = self._rotate(key[None, :spatial])[0]
            mixed.append(blockwise_attention(query, key, memory.to(key.dtype)))
        attended: Tensor = attention.out_proj(attention.v_proj(torch.stack(mixed)))
        return attended

    def _rotate(self, x: Tensor) -> Tensor:
        """Rotate whole grids [B, k*h*w, C]; float32 in place."""
        batch, length, channels = x.shape
        pairs = x.float().view(batch, -1, len(self.rope), channels // 2, 2)
        torch.view_as_complex(pairs).mul_(self.rope)
        return pairs.view(batch, length, channels).to(x.dtype)
