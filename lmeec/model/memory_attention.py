"""Memory attention arranged for many tracks: what depends on the camera frame alone is computed once.

The parameters and their names are those of SAM 2's memory attention; only the order of the arithmetic differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from sam2.modeling.memory_attention import MemoryAttention as Sam2MemoryAttention
from sam2.modeling.memory_attention import MemoryAttentionLayer
from sam2.modeling.sam.transformer import RoPEAttention
from torch import Tensor

if TYPE_CHECKING:
    from lmeec.config import MemoryAttentionConfig

_CURRENT_POSITION_WEIGHT = 0.1
"""Share of the position encoding that SAM 2 adds to the current frame's features at the input."""


@dataclass(frozen=True)
class PreparedTarget:
    """Target features after the first layer's self-attention, which no memory enters.

    Attributes:
        tokens: [B, h*w, C].
    """

    tokens: Tensor

    def rows(self, index: Tensor) -> PreparedTarget:
        """The rows named by `index` [R], repeated as they are named."""
        return PreparedTarget(self.tokens.index_select(0, index))


class MemoryAttention(Sam2MemoryAttention):  # type: ignore[misc] # sam2 comes without types
    """SAM 2's memory attention, split where the memory enters.

    Args:
        hidden_dim: channels C of the features.
        memory_dim: channels D of a memory.
        grid: side h = w of the feature grid.
        config: layers, feed-forward width, dropout and RoPE base.
    """

    rope_cos: Tensor
    rope_sin: Tensor

    def __init__(self, hidden_dim: int, memory_dim: int, grid: int, config: MemoryAttentionConfig) -> None:
        rope = {
            "rope_theta": config.rope_theta,
            "feat_sizes": (grid, grid),
            "embedding_dim": hidden_dim,
            "num_heads": 1,
            "downsample_rate": 1,
            "dropout": config.dropout,
        }
        layer = MemoryAttentionLayer(
            activation="relu",
            cross_attention=RoPEAttention(**rope, rope_k_repeat=True, kv_in_dim=memory_dim),
            d_model=hidden_dim,
            dim_feedforward=config.dim_feedforward,
            dropout=config.dropout,
            pos_enc_at_attn=False,
            pos_enc_at_cross_attn_keys=True,
            pos_enc_at_cross_attn_queries=False,
            self_attention=RoPEAttention(**rope),
        )
        super().__init__(d_model=hidden_dim, pos_enc_at_input=True, layer=layer, num_layers=config.num_layers)
        cis = self.layers[0].self_attn.freqs_cis.cpu()
        self.register_buffer("rope_cos", cis.real.repeat_interleave(2, dim=-1), persistent=False)
        self.register_buffer("rope_sin", cis.imag.repeat_interleave(2, dim=-1), persistent=False)

    def prepare(self, features: Tensor, position: Tensor) -> PreparedTarget:
        """Run the part that is the same for every object and for both passes.

        Args:
            features: [B, C, h, w], a camera frame each.
            position: position encoding of the grid, [h*w, C].
        """
        tokens = features.flatten(2).transpose(1, 2) + _CURRENT_POSITION_WEIGHT * position
        return PreparedTarget(self._self_attend(self.layers[0], tokens))

    def attend(self, target: PreparedTarget, memory: Tensor, position: Tensor, num_pointer_tokens: int) -> Tensor:
        """Condition prepared target features on memory tokens.

        Args:
            target: B rows.
            memory: tokens, spatial ones (whole grids) first, object pointers last, [B, L, D].
            position: their position codes, broadcastable to [B, L, D].
            num_pointer_tokens: how many of the last tokens are object pointers; RoPE leaves them alone.

        Returns:
            Features [B, h*w, C].
        """
        tokens = target.tokens
        keys = memory + position
        for index, layer in enumerate(self.layers):
            if index:
                tokens = self._self_attend(layer, tokens)
            tokens = tokens + layer.dropout2(self._cross_attend(layer, tokens, keys, memory, num_pointer_tokens))
            hidden = layer.dropout(layer.activation(layer.linear1(layer.norm3(tokens))))
            tokens = tokens + layer.dropout3(layer.linear2(hidden))
        normed: Tensor = self.norm(tokens)
        return normed

    def _self_attend(self, layer: MemoryAttentionLayer, tokens: Tensor) -> Tensor:
        attention = layer.self_attn
        normed = layer.norm1(tokens)
        query = self._rotate(attention.q_proj(normed))
        key = self._rotate(attention.k_proj(normed))
        mixed = self._attention(layer, query, key, attention.v_proj(normed))
        attended: Tensor = tokens + layer.dropout1(attention.out_proj(mixed))
        return attended

    def _cross_attend(
        self,
        layer: MemoryAttentionLayer,
        tokens: Tensor,
        keys: Tensor,
        values: Tensor,
        num_pointer_tokens: int,
    ) -> Tensor:
        attention = layer.cross_attn_image
        query = self._rotate(attention.q_proj(layer.norm2(tokens)))
        key = attention.k_proj(keys)
        spatial = key.shape[1] - num_pointer_tokens
        key = torch.cat([self._rotate(key[:, :spatial]), key[:, spatial:]], dim=1)
        if self.training and not layer.dropout_value and query.device.type == "cpu":
            return self._mix_memory(layer, query, key, values)
        attended: Tensor = attention.out_proj(self._attention(layer, query, key, attention.v_proj(values)))
        return attended

    def _mix_memory(self, layer: MemoryAttentionLayer, query: Tensor, key: Tensor, memory: Tensor) -> Tensor:
        """Attention with the value projection after the mixing: weights sum to one, and a memory is narrower.

        The weights are kept for the gradients, which saves a CPU a third of the time.
        """
        attention = layer.cross_attn_image
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(1, 2)
        attended: Tensor = attention.out_proj(attention.v_proj(scores.softmax(-1) @ memory))
        return attended

    def _attention(self, layer: MemoryAttentionLayer, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        dropout = layer.dropout_value if self.training else 0.0
        return F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None], dropout_p=dropout).squeeze(
            1
        )

    def _rotate(self, x: Tensor) -> Tensor:
        """Rotary position encoding of whole grids, [B, k*h*w, C]: channel pairs turn by their cell's angle."""
        batch, length, channels = x.shape
        grid = x.view(batch, -1, self.rope_cos.shape[0], channels)
        pairs: Tensor = grid.unflatten(-1, (-1, 2))
        turned = torch.stack([-pairs[..., 1], pairs[..., 0]], dim=-1).flatten(-2)
        rotated = grid * self.rope_cos + turned * self.rope_sin
        return rotated.to(x.dtype).view(batch, length, channels)
