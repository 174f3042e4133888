"""Training of the head that says whether an object is visible, and of nothing else.

All other weights stay as they are, to the last bit. What the head reads, the mask decoder's object token (SAM 2,
section D.1), is made without gradients and as prediction makes it: without dropout, with memories that are gated by the
head as it is. A step costs what predicting its clips does.

Visible and absent frames weigh the same, as they do in balanced accuracy, and clips are drawn so that there are enough
of both.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lmeec.model.transfer import to_host
from lmeec.training.clips.clip import collate
from lmeec.training.forward import run_clips
from lmeec.training.optimiser import make_optimiser
from lmeec.training.step import diverged, explained
from lmeec.training.trained import Trained

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

    from lmeec.analysis.evaluation import DirectionScore
    from lmeec.model.lmeec import LMEEC
    from lmeec.training.clips.clip import Clip, ClipSource
    from lmeec.training.config import TrainConfig
    from lmeec.training.task import Pass


@dataclass(frozen=True)
class Heard:
    """What the head reads of a batch's frames, and what is true of them.

    Attributes:
        tokens: float32 [F, C].
        visible: whether the object is annotated as visible, bool [F].
        absent: whether it is annotated as not visible, bool [F].
    """

    tokens: Tensor
    visible: Tensor
    absent: Tensor


class PresenceTask(Trained):
    """A `Task`: the object-score head of LM-EEC on clips.

    Reading clips is what costs time, and the head is all that changes: so what it reads of the latest batches is kept,
    and every step learns from all of it. Steps without clips learn from what is kept alone.

    Args:
        model: on its device; its `compute_dtype` is the arithmetic of the training.
        config: settings; losses' weights, drop path and help from scratch have no part in it.
    """

    def __init__(self, model: LMEEC, config: TrainConfig) -> None:
        self.model, self.config = model.eval(), config
        model.requires_grad_(False)
        head_of(model).requires_grad_(True)
        self.optimiser = make_optimiser(model, config.optimiser)
        self._kept: deque[Heard] = deque(maxlen=config.presence.kept)

    def gradients(self, items: Sequence[Clip], run: Pass) -> dict[str, float] | None:
        """See `Task`."""
        if items:
            heard = listen(self.model, items, self.config, run)
            if heard is None:
                return None
            self._kept.append(heard)
        return presence_gradients(self.model, self._kept, run)

    def state(self) -> dict[str, Any]:
        """See `Task`."""
        return {**super().state(), "kept": [vars(heard) for heard in self._kept]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Task`."""
        super().restore(state)
        self._kept.clear()
        device = self.model.device
        self._kept.extend(Heard(**{name: x.to(device) for name, x in heard.items()}) for heard in state["kept"])


class EveryFewSteps:
    """A `ClipSource` that gives a batch now and then, and in between no clip.

    Args:
        source: of the batches.
        steps: that each serves.
    """

    def __init__(self, source: ClipSource, steps: int) -> None:
        self._source, self._steps = source, steps

    def batch(self, step: int) -> list[Clip]:
        """See `ClipSource`."""
        number, rest = divmod(step, self._steps)
        return [] if rest else self._source.batch(number)


def presence_worth(score: DirectionScore) -> float | None:
    """Balanced accuracy and IoU together: what is called absent has an empty mask, which can cost IoU."""
    known = [value for value in (score.balanced_accuracy, score.iou) if value is not None]
    return sum(known) if known else None


def head_of(model: LMEEC) -> nn.Module:
    """The head that makes the object score of the mask decoder's object token."""
    head: nn.Module = model.sam_mask_decoder.pred_obj_score_head
    return head


def listen(model: LMEEC, clips: Sequence[Clip], config: TrainConfig, run: Pass) -> Heard | None:
    """Read clips with the network as it is; None if given up.

    Args:
        model: in evaluation mode.
        clips: this process's share of a batch.
        config: micro batch and rules.
        run: the step.

    Raises:
        TrainingError: memory does not suffice; names the step.
    """
    parts: list[Heard] = []
    for first in range(0, len(clips), config.micro_batch):
        if run.interrupted():
            return None
        some = clips[first : first + config.micro_batch]
        with explained(config, run, some):
            batch = collate(some).to(model.device)
            with torch.no_grad(), model.autocast(), _listening(model.at_size(batch.views.shape[2])) as tokens:
                run_clips(model, batch, slots_by_recency=config.rules.slots_by_recency)
            visible, absent = batch.visible & batch.annotated, ~batch.visible & batch.annotated
            parts.append(Heard(torch.stack(tokens, 1).flatten(0, 1).float(), visible.flatten(), absent.flatten()))
    return Heard(*(torch.cat([getattr(part, name) for part in parts]) for name in ("tokens", "visible", "absent")))


def presence_gradients(model: LMEEC, kept: Sequence[Heard], run: Pass) -> dict[str, float]:
    """Add the gradients of the cross entropy to those of the head.

    The loss is the mean over all visible frames and the mean over all absent ones, half of each: it does not depend on
    how the frames are divided among processes.

    Args:
        model: with parameters of which the head's alone have gradients.
        kept: this process's frames.
        run: the step.

    Returns:
        `loss`, `balanced_accuracy` of these frames before the step, and `absent`, the share of them that are; over all
        processes.

    Raises:
        TrainingError: the loss is not finite; names the step.
    """
    tokens, visible, absent = (torch.cat([getattr(one, name) for one in kept]) for name in vars(kept[0]))
    counts = run.group.sum(torch.stack([visible.sum(), absent.sum()]).float())
    shares = run.group.workers * 0.5 / counts.clamp(min=1)
    with model.autocast():
        scores = head_of(model)(tokens)[:, 0].float()
    entropy = F.binary_cross_entropy_with_logits(scores, visible.float(), reduction="none")
    loss = (entropy * (shares[0] * visible + shares[1] * absent)).sum()
    loss.backward()
    said = scores.detach() > 0
    sums = run.group.sum(torch.stack([loss.detach(), (said & visible).sum(), (~said & absent).sum()]))
    total, *rights, visibles, absents = to_host(torch.cat([sums, counts])).get().tolist()
    if not math.isfinite(total):
        raise diverged(f"step {run.step}: the loss is {total}")
    shares_right = [right / count for right, count in zip(rights, (visibles, absents), strict=True) if count]
    return {
        "loss": total / run.group.workers,
        "balanced_accuracy": sum(shares_right) / max(len(shares_right), 1),
        "absent": absents / max(visibles + absents, 1),
    }


@contextmanager
def _listening(model: LMEEC) -> Iterator[list[Tensor]]:
    """What the head reads while the context lasts: tokens [R, C], one instant after the other."""
    tokens: list[Tensor] = []
    hook = head_of(model).register_forward_pre_hook(lambda _, arguments: tokens.append(arguments[0]))
    try:
        yield tokens
    finally:
        hook.remove()
