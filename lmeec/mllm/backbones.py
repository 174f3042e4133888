"""The encoders and the language model as transformers builds them, and their sizes in both ways of writing them."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from lmeec.mllm.colours import DEVIATION, MEAN
from lmeec.mllm.config import EncoderConfig, LanguageConfig, LoraSettings
from lmeec.mllm.hugging_face import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LoraConfig,
    MistralConfig,
    MistralForCausalLM,
    PeftModel,
    get_peft_model,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""All linear layers of Mistral but the last, which is VideoLLaMA2's rule."""


def clip_config(config: EncoderConfig) -> CLIPVisionConfig:
    """An encoder's sizes as transformers writes them."""
    return CLIPVisionConfig(
        image_size=config.image_size,
        patch_size=config.patch_size,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.hidden,
    )


def encoder_config(config: CLIPVisionConfig, *, below_last: bool) -> EncoderConfig:
    """The inverse of `clip_config`.

    Args:
        config: as transformers writes it.
        below_last: leave out the last layer, as features are read before it.
    """
    return EncoderConfig(
        image_size=_side(config.image_size),
        patch_size=_side(config.patch_size),
        width=config.hidden_size,
        layers=config.num_hidden_layers - int(below_last),
        heads=config.num_attention_heads,
        hidden=config.intermediate_size,
    )


def _side(pixels: Any) -> int:
    """The side of a square, which transformers lets be written in several ways."""
    return int(pixels if isinstance(pixels, int) else pixels[0])


def mistral_config(config: LanguageConfig) -> MistralConfig:
    """A language model's sizes as transformers writes them."""
    return MistralConfig(
        vocab_size=config.vocabulary,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        intermediate_size=config.hidden,
        max_position_embeddings=config.positions,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        sliding_window=config.window,
        rms_norm_eps=config.norm_eps,
        tie_word_embeddings=config.tied,
    )


def language_config(config: MistralConfig, above: LanguageConfig) -> LanguageConfig:
    """The inverse of `mistral_config`; what transformers does not write is taken from `above`."""
    rope = config.rope_parameters or {}
    return replace(
        above,
        vocabulary=config.vocab_size,
        width=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        hidden=config.intermediate_size,
        positions=config.max_position_embeddings,
        rope_theta=rope.get("rope_theta") or above.rope_theta,
        window=config.sliding_window,
        norm_eps=config.rms_norm_eps,
        tied=config.tie_word_embeddings,
    )


def make_encoder(config: EncoderConfig) -> CLIPVisionModel:
    """A CLIP image encoder with random weights; the norm of its pooled output is of no use and never trained."""
    encoder = CLIPVisionModel(clip_config(config))
    encoder.post_layernorm.requires_grad_(False)
    return encoder


def make_language_model(config: LanguageConfig) -> MistralForCausalLM:
    """A Mistral with random weights."""
    return MistralForCausalLM(mistral_config(config))


def patch_features(encoder: CLIPVisionModel, frames: Tensor) -> Tensor:
    """The features of every patch, without the class token.

    Args:
        encoder: ends with the layer whose output is read.
        frames: uint8 [B, T, 3, S, S] RGB.

    Returns:
        [B, T, N, C].
    """
    trained = any(parameter.requires_grad for parameter in encoder.parameters())
    weight = encoder.embeddings.patch_embedding.weight
    pictures = frames.flatten(0, 1).to(torch.float32) / 255
    mean, deviation = (pictures.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    with torch.set_grad_enabled(trained and torch.is_grad_enabled()):
        hidden: Tensor = encoder(pixel_values=((pictures - mean) / deviation).to(weight.dtype)).last_hidden_state
    features: Tensor = hidden[:, 1:].unflatten(0, frames.shape[:2])
    return features


def recompute_activations(model: CLIPVisionModel | MistralForCausalLM) -> None:
    """Let a model keep its layers' inputs alone in training mode, and compute the rest again for the gradients."""
    # The older name is deprecated where there is the newer one.
    enable: Callable[..., None] = (
        getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    )
    enable({"use_reentrant": False})


def with_adapters(language: MistralForCausalLM, lora: LoraSettings) -> PeftModel:
    """The language model with low-rank adapters, which alone are trained."""
    adapters = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(LORA_TARGETS),
        bias="none",
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        # peft asks a property by a name that transformers has renamed; users can do nothing about it.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        adapted: PeftModel = get_peft_model(language, adapters)
    return adapted
