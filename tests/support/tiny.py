"""A model small enough to predict a take in a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec.config import MaskDecoderConfig, MemoryAttentionConfig, MemoryEncoderConfig, ModelConfig, TrunkConfig
from lmeec.model.build import build_model
from lmeec.model.checkpoint import write_safetensors

if TYPE_CHECKING:
    from pathlib import Path

TINY = ModelConfig(
    image_size=64,
    hidden_dim=32,
    trunk=TrunkConfig(
        embed_dim=16,
        num_heads=1,
        stages=(1, 1, 2, 1),
        global_att_blocks=(3,),
        window_spec=(4, 4, 4, 2),
        window_pos_embed_bkg_spatial_size=(4, 4),
    ),
    memory_attention=MemoryAttentionConfig(num_layers=1, dim_feedforward=32),
    memory_encoder=MemoryEncoderConfig(out_dim=16, fuser_layers=1),
    mask_decoder=MaskDecoderConfig(depth=1, num_heads=2, mlp_dim=32, iou_head_hidden_dim=16),
)


def write_tiny(path: Path, seed: int = 1, shift: float = 0.0) -> Path:
    """A checkpoint of the tiny model with random weights that see the object in every frame, or, shifted, in some.

    Args:
        path: of the file.
        seed: of the weights.
        shift: is added to the object's score, which is some hundredths without.
    """
    weights = build_model(TINY, seed=seed).state_dict()
    weights["sam_mask_decoder.pred_obj_score_head.layers.2.bias"] += shift
    write_safetensors(path, weights, TINY)
    return path
