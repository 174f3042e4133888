"""The released model's outputs for a small configuration, and weights that are rebuilt from their names."""

import zlib
from dataclasses import replace

import numpy as np
import torch

from lmeec.config import MemoryAttentionConfig, ModelConfig, TrunkConfig
from lmeec.model.build import build_model
from lmeec.model.lmeec import LMEEC
from tests.support.places import ASSETS

REFERENCE = ASSETS / "reference/reference_small.npz"

SMALL = replace(
    ModelConfig.base_plus(),
    image_size=128,
    trunk=TrunkConfig(embed_dim=32, num_heads=1, stages=(1, 1, 2, 1), global_att_blocks=(3,)),
    memory_attention=MemoryAttentionConfig(num_layers=2, dim_feedforward=256),
)


def small_model(salt: str = "") -> LMEEC:
    """The reference's model: every weight is drawn from a generator seeded with its own name."""
    return with_named_weights(build_model(SMALL), salt)


def with_named_weights(model: LMEEC, salt: str = "") -> LMEEC:
    """Weights as the reference has them: they see objects and draw masks, which usual random weights do not."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.from_numpy(_weight(name, tuple(tensor.shape), salt)))
    return model


def _weight(name: str, shape: tuple[int, ...], salt: str) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(zlib.crc32((name + salt).encode())))
    normal = np.asarray(generator.standard_normal(shape), np.float32)
    if len(shape) >= 2:
        return (normal / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
    if len(shape) == 1 and name.endswith((".weight", ".gamma")):
        return 1 + np.float32(0.1) * normal
    return np.float32(0.1) * normal
