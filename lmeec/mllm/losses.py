"""The losses of Exo2Ego (arXiv 2503.09143, section 3), all in float32.

Their sum is taken in `lmeec.mllm.objective`; where the paper leaves a reduction, a direction or an axis open, the
choice is said here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from lmeec.mllm.settings import Pool

_POOLED: dict[Pool, tuple[int, ...]] = {"none": (), "space": (2,), "space_time": (1, 2)}


def vtg_loss(log_probabilities: Tensor) -> Tensor:
    """Vision-grounded text generation: the sum of the tokens' negative log-likelihoods; their mean is the loss.

    Args:
        log_probabilities: of each learned token, given those before it and the visual tokens.
    """
    return -log_probabilities.float().sum()


def ccl_loss(cycled: Tensor, original: Tensor) -> Tensor:
    """Cycle consistency: the mean distance (L1) of G(F(x)) to x, or of F(G(y)) to y.

    Args:
        cycled: features that went to the other view and back.
        original: features before; no gradient goes to them by this way.
    """
    return (cycled.float() - original.detach().float()).abs().mean()


def kl_loss(estimate: Tensor, real: Tensor, temperature: float = 1.0, pool: Pool = "none") -> Tensor:
    """Migration: the divergence KL(y || F(x)) of distributions over channels, mean over frames and patches.

    Args:
        estimate: F(x) [B, T, N, C].
        real: y [B, T, N, C]; gets no gradient.
        temperature: divides the features before their softmax; the divergence is multiplied by its square.
        pool: take the mean over patches (`space`), or over frames, too (`space_time`), before: patches of two views do
            not correspond.
    """
    q, p = (_pooled(features.float(), pool) / temperature for features in (estimate, real.detach()))
    log_q, log_p = q.log_softmax(-1), p.log_softmax(-1)
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()


def _pooled(features: Tensor, pool: Pool) -> Tensor:
    dims = _POOLED[pool]
    return features.mean(dims) if dims else features
