"""How many tracks to take through the network at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from lmeec.config import ModelConfig
    from lmeec.model.lmeec import LMEEC

_CPU_BATCH = 4
_GPU_BATCH = 64


def auto_batch(model: LMEEC) -> int:
    """How many tracks to take at once: on a GPU what fits well into its free memory, on a CPU a few.

    A CPU gains little from larger batches, and its caches lose.
    """
    if model.device.type != "cuda":
        return _CPU_BATCH
    free, _ = torch.cuda.mem_get_info(model.device)
    return gpu_batch(model.config, free)


def gpu_batch(config: ModelConfig, free: int) -> int:
    """How many tracks fit into half of `free` bytes; the other half is for banks, kernels and the allocator's holes."""
    return max(1, min(_GPU_BATCH, int(free / 2 / bytes_per_track(config))))


def bytes_per_track(config: ModelConfig) -> int:
    """Bytes by which another track in a batch raises the peak, with full banks and in float32 at worst.

    The peak is where keys of the memory are turned by their positions: the keys, their two products and what those are
    made of and summed to, beside banks, memory, positions and their sum, and the features of the track's target.
    """
    cells = config.grid**2
    tokens = 2 * (config.num_maskmem - 1) * cells
    features = 20 * cells * config.hidden_dim
    return 4 * (tokens * (5 * config.hidden_dim + 4 * config.memory_dim) + features)
