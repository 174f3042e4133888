"""The LM-EEC network: SAM 2.1's modules, a Memory-View MoE, and the four operations that a step of a track is made of.

It holds no state of a track; banks and pointers belong to `lmeec.inference.tracker`. Tensors are batch first. C is the
hidden size, D the memory size, h = w the side of the feature grid, S = 16h that of the image, and s that of the mask
logits: S/4, or S/2 of a model with embeddings of pixels.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import torch
import torch.nn.functional as F
from sam2.modeling.backbones.hieradet import Hiera
from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
from sam2.modeling.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder
from sam2.modeling.position_encoding import PositionEmbeddingSine
from sam2.modeling.sam.mask_decoder import MaskDecoder
from sam2.modeling.sam.prompt_encoder import PromptEncoder
from sam2.modeling.sam.transformer import TwoWayTransformer
from sam2.modeling.sam2_utils import MLP, DropPath, get_1d_sine_pe
from torch import Tensor, nn

from lmeec.errors import ConfigError
from lmeec.model.memory_attention import MemoryAttention, PreparedTarget
from lmeec.model.mv_moe import MemoryViewMoE
from lmeec.model.pixels import Pixels, pixel_parts
from lmeec.model.query_masks import resize_query_masks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lmeec.config import ModelConfig

ABSENT_LOGIT = -1024.0
"""Mask logit where the object is predicted absent (SAM 2)."""

_IMAGE_MEAN = (0.485, 0.456, 0.406)
_IMAGE_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ViewFeatures:
    """Encoder features of B camera frames.

    Attributes:
        coarse: [B, C, h, w].
        middle: high-resolution features for the mask decoder, [B, C/4, 2h, 2w].
        fine: the same, [B, C/8, 4h, 4w].
        pixels: embeddings of pixels, B rows; None of a model without.
    """

    coarse: Tensor
    middle: Tensor
    fine: Tensor
    pixels: Pixels | None = None

    def rows(self, index: Tensor) -> ViewFeatures:
        """The rows named by `index` [R], repeated as they are named."""
        coarse, middle, fine = (x.index_select(0, index) for x in (self.coarse, self.middle, self.fine))
        return ViewFeatures(coarse, middle, fine, None if self.pixels is None else self.pixels.rows(index))


def joined(parts: Sequence[ViewFeatures]) -> ViewFeatures:
    """The rows of all parts, one after the other; of features as they are encoded, a row a view."""
    if len(parts) == 1:
        return parts[0]
    coarse, middle, fine = (torch.cat([getattr(part, name) for part in parts]) for name in ("coarse", "middle", "fine"))
    embeddings = [part.pixels.embeddings for part in parts if part.pixels is not None]
    return ViewFeatures(coarse, middle, fine, Pixels(torch.cat(embeddings)) if embeddings else None)


def unjoined(features: ViewFeatures, parts: int) -> list[ViewFeatures]:
    """The inverse of `joined`, of parts with equally many rows."""
    grids = zip(*(x.chunk(parts) for x in (features.coarse, features.middle, features.fine)), strict=True)
    pixels: Iterable[Pixels | None] = [None] * parts
    if features.pixels is not None:
        pixels = map(Pixels, features.pixels.embeddings.chunk(parts))
    return [ViewFeatures(coarse, middle, fine, own) for (coarse, middle, fine), own in zip(grids, pixels, strict=True)]


@dataclass(frozen=True)
class Decoded:
    """What the mask decoder says of B targets.

    Attributes:
        mask_logits: [B, s, s] float32; -1024 everywhere where the object is absent.
        object_score: logit of "the object is visible", [B] float32.
        predicted_iou: [B] float32.
        object_pointer: [B, C].
    """

    mask_logits: Tensor
    object_score: Tensor
    predicted_iou: Tensor
    object_pointer: Tensor


class LMEEC(nn.Module):
    """The network. Its state dict has the released checkpoint's names.

    Args:
        config: sizes; `ModelConfig.base_plus()` is the released model.
    """

    target_position: Tensor
    memory_position: Tensor
    image_mean: Tensor
    image_std: Tensor
    compute_dtype: torch.dtype = torch.float32
    """Arithmetic of matrix products and convolutions; parameters stay in float32."""
    drop_path: float = 0.0
    """See `set_drop_path`."""
    inference_only: bool = False
    """Whether the model is arranged for inference, with operations that have no gradient (see `lmeec.model.cpu`)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self._at_sizes: dict[int, LMEEC] = {}
        c, d = config.hidden_dim, config.memory_dim
        self.image_encoder = image_encoder_of(config)
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.memory_attention = MemoryAttention(c, d, config.grid, config.memory_attention)
        self.memory_encoder = memory_encoder_of(config)
        self.sam_prompt_encoder = PromptEncoder(
            embed_dim=c,
            image_embedding_size=(config.grid, config.grid),
            input_image_size=(config.image_size, config.image_size),
            mask_in_chans=16,
        )
        self.sam_mask_decoder = _mask_decoder(config)
        self.obj_ptr_proj = MLP(c, c, c, 3)
        self.obj_ptr_tpos_proj = nn.Linear(c, d)
        self.MV_MoE = MemoryViewMoE(c)
        self.maskmem_tpos_enc = _embedding(config.num_maskmem, 1, 1, d)
        self.no_mem_embed = _embedding(1, 1, c)
        self.no_mem_pos_enc = _embedding(1, 1, c)
        self.no_obj_ptr = _embedding(1, c)
        self.no_obj_embed_spatial = _embedding(1, d)
        if (parts := pixel_parts(config)) is not None:
            self.pixel_encoder, self.pixel_decoder = parts
        self._register_constants()

    def _register_constants(self) -> None:
        """Tables that depend on the sizes alone, kept out of the state dict."""
        grid = torch.zeros(1, 1, self.config.grid, self.config.grid)
        target_position = self.image_encoder.neck.position_encoding(grid)
        memory_position = self.memory_encoder.position_encoding(grid)
        self.register_buffer("target_position", _to_tokens(target_position)[0], persistent=False)
        self.register_buffer("memory_position", _to_tokens(memory_position)[0], persistent=False)
        self.image_encoder.neck.position_encoding = _NoPosition()
        self.memory_encoder.position_encoding = _NoPosition()
        self.register_buffer("image_mean", torch.tensor(_IMAGE_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("image_std", torch.tensor(_IMAGE_STD).view(3, 1, 1), persistent=False)

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which the network computes in `compute_dtype`."""
        if self.compute_dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.compute_dtype)

    def at_size(self, image_size: int) -> LMEEC:
        """A model for pictures of another size that shares this one's parameters, so that training it trains both."""
        if image_size == self.config.image_size:
            return self
        if image_size not in self._at_sizes:
            self._at_sizes[image_size] = self._sharing(replace(self.config, image_size=image_size))
        other = self._at_sizes[image_size]
        other.compute_dtype = self.compute_dtype
        if other.drop_path != self.drop_path:
            other.set_drop_path(self.drop_path)
        return other.train(self.training)

    def _sharing(self, config: ModelConfig) -> LMEEC:
        with torch.random.fork_rng(devices=[]):
            other = LMEEC(config).to(self.device)
        for name, module in self.named_modules():
            for parameter, value in module.named_parameters(recurse=False):
                setattr(other.get_submodule(name), parameter, value)
        for name, value in self.named_buffers():
            if name in self.state_dict():
                other.get_buffer(name).copy_(value)
        return other

    def set_drop_path(self, rate: float) -> None:
        """Let frames skip residual branches of the image encoder by chance in training (stochastic depth).

        Args:
            rate: chance at the trunk's last block; falls evenly to zero at the first.
        """
        self.drop_path = rate
        blocks = self.image_encoder.trunk.blocks
        for place, block in enumerate(blocks):
            chance = rate * place / max(len(blocks) - 1, 1)
            block.drop_path = DropPath(chance) if chance else nn.Identity()

    def train(self, mode: bool = True) -> Self:
        """Set the module in training mode, or in evaluation mode.

        Raises:
            ConfigError: the model is arranged for inference.
        """
        if mode:
            self._check_trainable()
        return super().train(mode)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Let gradients reach the parameters, or not; see `train`."""
        if requires_grad:
            self._check_trainable()
        return super().requires_grad_(requires_grad)

    def _check_trainable(self) -> None:
        if self.inference_only:
            raise ConfigError(
                "this model is arranged for inference on a CPU, where its gradients would be wrong; "
                "lmeec.model.build.read_model reads the same weights to be trained"
            )

    @property
    def has_pixels(self) -> bool:
        """Whether it has embeddings of pixels."""
        return self.config.mask_decoder.pixel_channels > 0

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.maskmem_tpos_enc.device

    def normalise(self, frames: Tensor) -> Tensor:
        """Turn RGB frames into the encoder's input.

        Args:
            frames: uint8 [B, H, W, 3].

        Returns:
            float32 [B, 3, S, S], resized by antialiased bilinear interpolation where H or W is not S.
        """
        images = frames.permute(0, 3, 1, 2).float() / 255
        size = (self.config.image_size, self.config.image_size)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
        return (images - self.image_mean) / self.image_std

    def query_mask(self, masks: Tensor) -> Tensor:
        """Resize masks to the image size as the memory encoder wants them.

        Args:
            masks: bool [B, H, W].

        Returns:
            bool [B, S, S].
        """
        return resize_query_masks(masks, self.config.image_size)

    def encode(self, images: Tensor) -> ViewFeatures:
        """Encode normalised camera frames, [B, 3, S, S]."""
        fine, middle, coarse = self.image_encoder(images)["backbone_fpn"]
        decoder = self.sam_mask_decoder
        pixels = Pixels(self.pixel_encoder(images, fine, middle, coarse)) if self.has_pixels else None
        return ViewFeatures(coarse=coarse, middle=decoder.conv_s1(middle), fine=decoder.conv_s0(fine), pixels=pixels)

    def prepare(self, target: Tensor) -> PreparedTarget:
        """The part of memory attention that depends on the target's camera frame alone.

        Args:
            target: coarse features of the target frames, [B, C, h, w].
        """
        return self.memory_attention.prepare(target, self.target_position)

    def view_memory(self, query: Tensor, masks: Tensor) -> Tensor:
        """Memory of the query view, of an object that is present.

        Args:
            query: coarse features of the query frames, [B, C, h, w].
            masks: bool [B, S, S].

        Returns:
            [B, h*w, D].
        """
        # The released code takes the sigmoid of the 0/1 mask itself, so the encoder sees 0 and 4.62, not -10 and 10.
        return self._encode_memory(query, masks.float())

    def prototype(self, query: ViewFeatures, masks: Tensor) -> Tensor | None:
        """How the query view shows the object: the mean embedding of its pixels, [B, P]; None of a model without.

        Args:
            query: features of the query frames, B rows.
            masks: bool [B, S, S].
        """
        return None if query.pixels is None else query.pixels.mean(masks)

    def target_memory(self, target: Tensor, decoded: Decoded) -> Tensor:
        """Memory of the target view with its predicted masks.

        Args:
            target: coarse features of the target frames, [B, C, h, w].
            decoded: the predictions for them.

        Returns:
            [B, h*w, D]; where the object is absent, with the no-object embedding.
        """
        logits = F.interpolate(
            decoded.mask_logits[:, None], (self.config.image_size,) * 2, mode="bilinear", align_corners=False
        )
        memory = self._encode_memory(target, logits[:, 0])
        absent = (decoded.object_score <= 0).to(memory.dtype)[:, None, None]
        return memory + absent * self.no_obj_embed_spatial

    def _encode_memory(self, features: Tensor, mask_logits: Tensor) -> Tensor:
        scale, bias = self.config.memory_encoder.sigmoid_scale, self.config.memory_encoder.sigmoid_bias
        masks = scale * mask_logits[:, None].sigmoid() + bias
        encoded = self.memory_encoder(features, masks, skip_mask_sigmoid=True)
        return _to_tokens(encoded["vision_features"])

    def attend_view(self, target: PreparedTarget, view_memory: Tensor) -> Tensor:
        """View-guided feature of the target (paper, section 3.2).

        Args:
            target: B rows.
            view_memory: this step's memory of the query view, [B, h*w, D].

        Returns:
            [B, C, h, w].
        """
        return self._to_grid(self.memory_attention.attend(target, view_memory, self.memory_position, 0))

    def attend_memory(
        self,
        target: PreparedTarget,
        banks: Tensor,
        bank_positions: Tensor,
        pointers: Tensor,
        pointer_positions: Tensor,
    ) -> Tensor:
        """Memory-guided feature of the target.

        Args:
            target: B rows.
            banks: query bank, then target bank, oldest entry first, [B, slots, h*w, D].
            bank_positions: their codes, [slots, h*w, D] (see `slot_positions`).
            pointers: object pointers, newest first, [B, p, C].
            pointer_positions: their codes, [B, p, D] (see `pointer_positions`).

        Returns:
            [B, C, h, w].
        """
        d = self.config.memory_dim
        splits = self.config.hidden_dim // d
        pointer_tokens = pointers.reshape(len(pointers), -1, d)
        memory = torch.cat([banks.flatten(1, 2), pointer_tokens.to(banks.dtype)], dim=1)
        bank_codes = bank_positions.flatten(0, 1).expand(len(banks), -1, -1)
        positions = torch.cat([bank_codes, pointer_positions.repeat_interleave(splits, dim=1)], dim=1)
        return self._to_grid(self.memory_attention.attend(target, memory, positions, pointer_tokens.shape[1]))

    def slot_positions(self, slots: int, *, by_recency: bool) -> Tensor:
        """Position codes of one bank's entries, oldest first.

        Args:
            slots: entries in the bank, at most N - 1.
            by_recency: count from the newest entry (as `fifo` does) instead of from slot 0, which differs while
                the bank is filling.

        Returns:
            [slots, h*w, D].
        """
        last = (slots if by_recency else self.config.num_maskmem - 1) - 1
        # A slice, as a list of indices would be copied to the device, which waits for it.
        codes = self.maskmem_tpos_enc[last - slots + 1 : last + 1, 0, 0].flip(0)
        return self.memory_position + codes[:, None]

    def pointer_positions(self, count: int, reach: int) -> Tensor:
        """Position codes of the object pointers of the last `count` steps, newest first.

        Args:
            count: pointers attended to.
            reach: how many steps back the track's pointers reach, min(T, 16) - 1; the unit of distances.

        Returns:
            [count, D].
        """
        distance = torch.arange(1, count + 1, device=self.device) / reach
        codes: Tensor = self.obj_ptr_tpos_proj(get_1d_sine_pe(distance, dim=self.config.hidden_dim))
        return codes

    def decode(self, fused: Tensor, target: ViewFeatures, prototype: Tensor | None = None) -> Decoded:
        """Predict masks from fused features.

        Args:
            fused: [B, C, h, w].
            target: the target frames' features, B rows.
            prototype: how the query views show the objects (see `prototype`); not of a model without embeddings.
        """
        return self.gate(self.decode_ungated(fused, target, prototype))

    def gate(self, decoded: Decoded) -> Decoded:
        """Erase mask and pointer where the object is predicted absent."""
        present = (decoded.object_score > 0)[:, None]
        return replace(
            decoded,
            mask_logits=torch.where(present[..., None], decoded.mask_logits, ABSENT_LOGIT),
            object_pointer=torch.where(present, decoded.object_pointer, self.no_obj_ptr),
        )

    def decode_ungated(self, fused: Tensor, target: ViewFeatures, prototype: Tensor | None = None) -> Decoded:
        """Like `decode`, but with masks and pointers also where the object is predicted absent, as training needs."""
        if prototype is None or target.pixels is None:
            return self._decoded(
                *self._decode_masks(fused, target, torch.zeros((), dtype=fused.dtype, device=fused.device))
            )
        likeness = target.pixels.dot(prototype)
        prompt = self.pixel_decoder.dense_prompt(likeness, self.config.grid)
        masks, iou, tokens, score = self._decode_masks(fused, target, prompt)
        refined = self.pixel_decoder.refine(masks[:, 0], tokens[:, 0], likeness, target.pixels)
        return self._decoded(refined[:, None], iou, tokens, score)

    def _decode_masks(
        self, fused: Tensor, target: ViewFeatures, dense: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """SAM's mask decoder: one mask of B targets, its predicted IoU, its token, and the object score."""
        decoder, prompt = self.sam_mask_decoder, self.sam_prompt_encoder
        # SAM 2 pads an empty prompt twice: once for the missing point, once for the missing box.
        padding = prompt.not_a_point_embed.weight.expand(len(fused), 2, -1)
        masks, iou, tokens, score = decoder(
            image_embeddings=fused,
            image_pe=prompt.get_dense_pe(),
            sparse_prompt_embeddings=padding,
            dense_prompt_embeddings=dense,
            multimask_output=False,
            repeat_image=False,
            high_res_features=[target.fine, target.middle],
        )
        return masks, iou, tokens, score

    def _decoded(self, masks: Tensor, iou: Tensor, tokens: Tensor, score: Tensor) -> Decoded:
        return Decoded(
            mask_logits=masks[:, 0].float(),
            object_score=score[:, 0].float(),
            predicted_iou=iou[:, 0].float(),
            object_pointer=self.obj_ptr_proj(tokens[:, 0]),
        )

    def _to_grid(self, tokens: Tensor) -> Tensor:
        features: Tensor = tokens.transpose(1, 2).unflatten(2, (self.config.grid, self.config.grid))
        return features


def _to_tokens(grid: Tensor) -> Tensor:
    """[B, C, h, w] to [B, h*w, C]."""
    return grid.flatten(2).transpose(1, 2)


def _embedding(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.zeros(*shape), std=0.02))


class _NoPosition(nn.Module):
    """In the place of the position encodings that SAM 2's encoders give with every frame, which nobody reads.

    They would be copied from the host each time, and take as much memory as the features.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(())


def _position(channels: int, config: ModelConfig) -> PositionEmbeddingSine:
    return PositionEmbeddingSine(num_pos_feats=channels, image_size=config.image_size, warmup_cache=False)


def image_encoder_of(config: ModelConfig) -> ImageEncoder:
    """SAM 2's image encoder."""
    trunk = config.trunk
    return ImageEncoder(
        scalp=1,
        trunk=Hiera(
            embed_dim=trunk.embed_dim,
            num_heads=trunk.num_heads,
            stages=trunk.stages,
            global_att_blocks=trunk.global_att_blocks,
            window_spec=trunk.window_spec,
            window_pos_embed_bkg_spatial_size=trunk.window_pos_embed_bkg_spatial_size,
        ),
        neck=FpnNeck(
            position_encoding=_position(config.hidden_dim, config),
            d_model=config.hidden_dim,
            backbone_channel_list=list(trunk.channels),
            fpn_top_down_levels=[2, 3],
            fpn_interp_model="nearest",
        ),
    )


def memory_encoder_of(config: ModelConfig) -> MemoryEncoder:
    """SAM 2's memory encoder."""
    c = config.hidden_dim
    return MemoryEncoder(
        out_dim=config.memory_dim,
        in_dim=c,
        mask_downsampler=MaskDownSampler(embed_dim=c, kernel_size=3, stride=2, padding=1),
        fuser=Fuser(CXBlock(dim=c, kernel_size=7, padding=3), num_layers=config.memory_encoder.fuser_layers),
        position_encoding=_position(config.memory_dim, config),
    )


def _mask_decoder(config: ModelConfig) -> MaskDecoder:
    decoder = config.mask_decoder
    return MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(
            depth=decoder.depth,
            embedding_dim=config.hidden_dim,
            mlp_dim=decoder.mlp_dim,
            num_heads=decoder.num_heads,
        ),
        transformer_dim=config.hidden_dim,
        iou_head_depth=3,
        iou_head_hidden_dim=decoder.iou_head_hidden_dim,
        use_high_res_features=True,
        iou_prediction_use_sigmoid=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        use_multimask_token_for_obj_ptr=True,
    )
