"""The released tool's way through the network, for comparison: one track at a time, both views encoded at every step.

It runs SAM 2's own modules in their own order with the same weights, batch of one, and keeps the whole `drop` memory as
the released code does. It shares nothing between tracks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sam2.modeling.memory_attention import MemoryAttention as Sam2MemoryAttention
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import Tensor

from lmeec.memory.policies import drop

if TYPE_CHECKING:
    from lmeec.model.lmeec import LMEEC, Decoded


class ReleasedTrack:
    """One track, advanced step by step.

    Args:
        model: weights and modules.
        length: steps of the track.
    """

    def __init__(self, model: LMEEC, length: int) -> None:
        self.model = model
        self.length = length
        self.query_bank: list[Tensor] = []
        self.target_bank: list[Tensor] = []
        self.pointers: list[Tensor] = []

    @torch.inference_mode()
    def step(self, query: Tensor, target: Tensor, mask: Tensor) -> Decoded:
        """Advance by one step.

        Args:
            query: RGB frame, uint8 [H, W, 3].
            target: the same of the target view.
            mask: bool [h, w].
        """
        with self.model.autocast():
            return self._step(query, target, mask)

    def _step(self, query: Tensor, target: Tensor, mask: Tensor) -> Decoded:
        model = self.model
        query_features = model.encode(model.normalise(query[None].to(model.device)))
        target_features = model.encode(model.normalise(target[None].to(model.device)))
        view = model.view_memory(query_features.coarse, model.query_mask(mask[None].to(model.device)))
        position = model.memory_position[:, None]
        fused = self._attend(target_features.coarse, view.transpose(0, 1), position, 0)
        if self.query_bank:
            tokens, positions, pointer_tokens = self._memory_tokens()
            guided = self._attend(target_features.coarse, tokens, positions, pointer_tokens)
            fused = model.MV_MoE(guided, fused)
        decoded = model.decode(fused, target_features)
        self._remember(view, model.target_memory(target_features.coarse, decoded), decoded.object_pointer)
        return decoded

    def _attend(self, features: Tensor, tokens: Tensor, positions: Tensor, pointer_tokens: int) -> Tensor:
        attended = Sam2MemoryAttention.forward(
            self.model.memory_attention,
            curr=features.flatten(2).permute(2, 0, 1),
            curr_pos=self.model.target_position[:, None],
            memory=tokens,
            memory_pos=positions,
            num_obj_ptr_tokens=pointer_tokens,
        )
        return attended.permute(1, 2, 0).unflatten(2, (self.model.config.grid,) * 2)

    def _memory_tokens(self) -> tuple[Tensor, Tensor, int]:
        model, config = self.model, self.model.config
        tokens, positions = [], []
        for bank in (self.query_bank, self.target_bank):
            for slot, entry in enumerate(bank):
                tokens.append(entry.transpose(0, 1))
                positions.append(model.memory_position[:, None] + model.maskmem_tpos_enc[config.num_maskmem - slot - 2])
        splits = config.hidden_dim // config.memory_dim
        span = min(self.length, config.max_object_pointers) - 1
        recent = self.pointers[::-1][:span]
        distance = torch.arange(1, len(recent) + 1, device=model.device) / span
        codes = model.obj_ptr_tpos_proj(get_1d_sine_pe(distance, dim=config.hidden_dim))
        pointers = torch.stack(recent).reshape(len(recent) * splits, 1, config.memory_dim)
        tokens.append(pointers.to(tokens[0].dtype))
        positions.append(codes.repeat_interleave(splits, dim=0)[:, None])
        return torch.cat(tokens), torch.cat(positions), len(pointers)

    def _remember(self, view: Tensor, memory: Tensor, pointer: Tensor) -> None:
        self.query_bank = self._compressed([*self.query_bank, view])
        self.target_bank = self._compressed([*self.target_bank, memory])
        self.pointers.append(pointer)

    def _compressed(self, bank: list[Tensor]) -> list[Tensor]:
        if len(bank) < self.model.config.num_maskmem:
            return bank
        return list(drop(torch.stack(bank, dim=1)).unbind(1))
