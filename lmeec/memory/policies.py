"""Memory policies: what a full bank keeps (paper, section 3.3, and its ablations).

A *compression* shortens each bank by one entry, on its own, at every spatial position by itself. A *selection* chooses
whole steps, the same for both banks, from what the target bank knows of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from lmeec.config import MemoryConfig, Policy

_TIE = 1e-5
"""Relative difference of two distances under which they count as equal."""

Compression = Callable[[Tensor], Tensor]
"""Bank entries [R, n + 1, P, D], oldest first -> [R, n, P, D]."""


def drop(entries: Tensor) -> Tensor:
    """Remove, of the two successive entries nearest to each other, the later one (the released code)."""
    t = _nearest_successor(entries)
    kept = _without(entries, t + 1)
    return entries.gather(1, _as_index(kept, entries))


def merge(entries: Tensor) -> Tensor:
    """Replace the two successive entries nearest to each other by their mean (the paper's formula)."""
    t = _nearest_successor(entries)
    kept = entries.gather(1, _as_index(_without(entries, t + 1), entries))
    pair = _as_index(t[:, None], entries)
    mean = (entries.gather(1, pair) + entries.gather(1, pair + 1)) / 2
    return kept.scatter(1, pair, mean)


def fifo(entries: Tensor) -> Tensor:
    """Drop the oldest entry."""
    return entries[:, 1:]


def _nearest_successor(entries: Tensor) -> Tensor:
    """At each position the t with the smallest L2 distance between entries t and t + 1; [R, P]."""
    return (entries[:, 1:] - entries[:, :-1]).float().square().sum(-1).argmin(1)


def _without(entries: Tensor, removed: Tensor) -> Tensor:
    """Indices of the entries that stay when `removed` [R, P] goes; [R, n, P]."""
    slots = torch.arange(entries.shape[1] - 1, device=entries.device)[None, :, None]
    return slots + (slots >= removed[:, None])


def _as_index(index: Tensor, entries: Tensor) -> Tensor:
    return index[..., None].expand(-1, -1, -1, entries.shape[-1])


class Selection(Protocol):
    """Chooses steps of a track.

    Attributes:
        forgets: whether a step that was not chosen, other than the last, can never be chosen again, so that it need
            not be stored.
        by_recency: whether position codes count from the newest entry.
        leads_pointers: whether object pointers are those of the chosen steps, the last one first, and not the latest.
    """

    forgets: bool
    by_recency: bool
    leads_pointers: bool

    def __call__(self, summaries: np.ndarray, predicted_iou: Sequence[float], size: int, reach: int) -> list[int]:
        """Choose steps; the last `size` of them are the entries of both banks.

        Args:
            summaries: spatial mean of each step's target memory, float32 [k, D].
            predicted_iou: of each step, length k.
            size: entries in a full bank.
            reach: how many steps back the track's object pointers reach.

        Returns:
            Numbers of steps, in the banks' order.
        """


class KeyFrames:
    """K-means over the steps' mean memories; of each cluster, the step nearest to its centre.

    Both steps of a cluster of two are equally near. Rounding must not choose between them, or results would depend on
    the batch: the one with the smaller norm is taken, which agrees with the released code wherever it is known.
    """

    forgets = False
    by_recency = False
    leads_pointers = False

    def __call__(self, summaries: np.ndarray, predicted_iou: Sequence[float], size: int, reach: int) -> list[int]:
        """See `Selection`."""
        if len(summaries) <= size:
            return list(range(len(summaries)))
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            # Fewer distinct steps than clusters (a still video) is no concern of the user's.
            warnings.simplefilter("ignore", ConvergenceWarning)
            points = summaries.astype(np.float64)
            centres = KMeans(n_clusters=size, random_state=42, n_init="auto").fit(points).cluster_centers_
        distance = np.linalg.norm(points[None] - centres[:, None], axis=-1)
        norm = np.linalg.norm(points, axis=-1)
        equally_near = distance <= distance.min(axis=1, keepdims=True) * (1 + _TIE) + _TIE * norm.mean()
        return sorted(set(np.where(equally_near, norm, np.inf).argmin(axis=1).tolist()))


class Confident:
    """The latest steps whose predicted IoU is over a threshold, and the last two in any case (the released code).

    As released, the last two come after the others where they are not confident, the last before the one before it,
    so that the order need not be that of time; and step 0 counts only as one of them.
    """

    forgets = True
    by_recency = True
    leads_pointers = True

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def __call__(self, summaries: np.ndarray, predicted_iou: Sequence[float], size: int, reach: int) -> list[int]:
        """See `Selection`."""
        k = len(predicted_iou)
        chosen = [step for step in range(max(1, k - reach), k) if predicted_iou[step] > self.threshold]
        chosen += [step for step in (k - 1, k - 2) if step >= 0 and step not in chosen]
        return chosen


COMPRESSIONS: dict[Policy, Compression] = {"drop": drop, "merge": merge, "fifo": fifo}
"""Policies that shorten each bank on its own."""


def selection(config: MemoryConfig) -> Selection:
    """The policy that chooses whole steps, `kmeans` or `iou`."""
    return KeyFrames() if config.policy == "kmeans" else Confident(config.iou_threshold)
