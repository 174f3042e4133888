"""SAM 2.1 as it was released, to follow objects through one video: its own base class, settings and weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
from sam2.modeling.sam.transformer import RoPEAttention
from sam2.modeling.sam2_base import SAM2Base

from lmeec.config import ModelConfig
from lmeec.errors import CheckpointError
from lmeec.files.places import place
from lmeec.files.reading import in_short, make_presentable
from lmeec.model.checkpoint import read_checkpoint
from lmeec.model.lmeec import image_encoder_of, memory_encoder_of
from lmeec.model.torch_file import without_memory

if TYPE_CHECKING:
    from typing import Any

    import torch

    from lmeec.files.places import Place
    from lmeec.model.checkpoint import Checkpoint

IMAGE_SIZE = 1024
"""Side of the frames that SAM 2.1 was trained on."""

_LISTED = 3


def sam2_parts(config: ModelConfig) -> dict[str, Any]:
    """What SAM 2's base class is made of, with the settings of `sam2.1_hiera_b+.yaml` and of its video predictor.

    Holes of masks are not filled: that needs an extension in CUDA.

    Args:
        config: sizes; SAM 2.1 base plus is `ModelConfig.base_plus()` with an image size of 1024.
    """
    return {
        "image_encoder": image_encoder_of(config),
        "memory_attention": _memory_attention(config),
        "memory_encoder": memory_encoder_of(config),
        "num_maskmem": config.num_maskmem,
        "image_size": config.image_size,
        "max_obj_ptrs_in_encoder": config.max_object_pointers,
        "sigmoid_scale_for_mem_enc": config.memory_encoder.sigmoid_scale,
        "sigmoid_bias_for_mem_enc": config.memory_encoder.sigmoid_bias,
        "binarize_mask_from_pts_for_mem_enc": True,
        "use_mask_input_as_output_without_sam": True,
        "directly_add_no_mem_embed": True,
        "no_obj_embed_spatial": True,
        "use_high_res_features_in_sam": True,
        "multimask_output_in_sam": True,
        "iou_prediction_use_sigmoid": True,
        "use_obj_ptrs_in_encoder": True,
        "add_tpos_enc_to_obj_ptrs": True,
        "proj_tpos_enc_in_obj_ptrs": True,
        "use_signed_tpos_enc_to_obj_ptrs": True,
        "only_obj_ptrs_in_the_past_for_eval": True,
        "pred_obj_scores": True,
        "pred_obj_scores_mlp": True,
        "fixed_no_obj_ptr": True,
        "multimask_output_for_tracking": True,
        "use_multimask_token_for_obj_ptr": True,
        "multimask_min_pt_num": 0,
        "multimask_max_pt_num": 1,
        "use_mlp_for_obj_ptr_proj": True,
        "sam_mask_decoder_extra_args": {
            "dynamic_multimask_via_stability": True,
            "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
        },
    }


def _memory_attention(config: ModelConfig) -> MemoryAttention:
    settings, c = config.memory_attention, config.hidden_dim
    rope = {
        "rope_theta": settings.rope_theta,
        "feat_sizes": (config.grid, config.grid),
        "embedding_dim": c,
        "num_heads": 1,
        "downsample_rate": 1,
        "dropout": settings.dropout,
    }
    layer = MemoryAttentionLayer(
        activation="relu",
        dim_feedforward=settings.dim_feedforward,
        dropout=settings.dropout,
        pos_enc_at_attn=False,
        self_attention=RoPEAttention(**rope),
        d_model=c,
        pos_enc_at_cross_attn_keys=True,
        pos_enc_at_cross_attn_queries=False,
        cross_attention=RoPEAttention(**rope, rope_k_repeat=True, kv_in_dim=config.memory_dim),
    )
    return MemoryAttention(d_model=c, pos_enc_at_input=True, layer=layer, num_layers=settings.num_layers)


def load_sam2(source: str | Place, device: torch.device) -> SAM2Base:
    """Load SAM 2.1 for inference.

    Args:
        source: a checkpoint of SAM 2.1 base plus, a path or URL; or one of other sizes that carries its configuration.
        device: where to compute.

    Raises:
        CheckpointError: it cannot be read, or is of another model.
    """
    checkpoint = read_checkpoint(place(source))
    config = checkpoint.config or replace(ModelConfig.base_plus(), image_size=IMAGE_SIZE)
    with without_memory():  # before memory is taken for what a file says of itself
        expected = {name: tensor.shape for name, tensor in SAM2Base(**sam2_parts(config)).state_dict().items()}
    _check(checkpoint, expected)
    model = SAM2Base(**sam2_parts(config))
    model.load_state_dict(checkpoint.tensors, strict=True)
    return model.eval().to(device)


def _check(checkpoint: Checkpoint, expected: dict[str, torch.Size]) -> None:
    found = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    differing = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    if not differing:
        return
    names = ", ".join(in_short(name, 60) for name in sorted(differing)[:_LISTED])
    kind = "an LM-EEC checkpoint" if any(name.startswith("MV_MoE.") for name in found) else "another model's"
    error = CheckpointError(
        f"{checkpoint.path}: is {kind} ({len(differing)} tensors differ, as {names}), where masks are carried by SAM "
        "2.1 base plus: give sam2.1_hiera_base_plus.pt",
        settings=["propagate"],
    )
    make_presentable(error, checkpoint.path)
    raise error
