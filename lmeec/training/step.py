"""The gradients of one optimiser step, computed a few clips at a time."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmeec.errors import TrainingError
from lmeec.model.transfer import to_device, to_host
from lmeec.training.clips.clip import Clip, ClipBatch, collate
from lmeec.training.correspondence import correspondence_loss
from lmeec.training.dense import dense_loss
from lmeec.training.forward import run_clips
from lmeec.training.losses import step_losses
from lmeec.training.output.random_state import memory_generator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lmeec.model.lmeec import LMEEC
    from lmeec.training.config import TrainConfig
    from lmeec.training.task import Pass

LOSSES = ("focal", "dice", "iou", "object_score", "balanced", "near", "correspondence", "dense")
"""Names of the losses, as in `LossWeights`."""


def diverged(what: str) -> TrainingError:
    """The error of a training whose numbers have run away, with what to do."""
    return TrainingError(
        f"{what}. The last saved state is kept. Begin anew with a lower learning rate (`optimiser.lr`) or "
        '`dtype="float32"`, in another `out`, with the weights of this one (`checkpoint=OUT/last.safetensors`)',
        settings=["optimiser.lr", "dtype", "out", "checkpoint"],
    )


def accumulate_gradients(
    model: LMEEC, clips: Sequence[Clip], config: TrainConfig, run: Pass
) -> dict[str, float] | None:
    """Add the gradients of a batch's loss to the parameters'.

    The loss is the mean over the clips' instants (or their sum, see `Rules.over_steps`) of the mean over the objects
    annotated there, in the whole batch: it does not depend on how the batch is divided among processes and passes. Only
    the correspondence and dense losses do, which compare the objects and pixels of a pass with each other.

    Args:
        model: in training mode.
        clips: this process's share of the batch.
        config: micro batch, losses and help from scratch.
        run: the step.

    Returns:
        `loss`, each loss before its weight, and `mask_iou` of this batch, over all processes; None if given up.

    Raises:
        TrainingError: a loss is not finite, or memory does not suffice; names the step and the clips.
    """
    size = config.micro_batch
    device = model.device
    objects = (
        run.group.sum(to_device(torch.stack([_judged(clip) for clip in clips]).sum(0), device)).clamp(min=1)
        / run.group.workers
    )
    sums = torch.zeros(len(LOSSES) + 3, device=device)
    losses: list[Tensor] = []
    for first in range(0, len(clips), size):
        if run.interrupted():
            return None
        some = clips[first : first + size]
        with explained(config, run, some):
            batch = collate(some).to(device)
            forced = _annotated_memory(some, config, run, first)
            measured = _losses(model, batch, config, objects, len(some) / len(clips), forced)
            if measured[0].requires_grad:
                measured[0].backward()
            sums += measured.detach()
            losses.append(measured[0].detach())
    # One copy to the host a step, after the gradients: asking for each loss would make the device wait.
    found = to_host(torch.cat([run.group.sum(sums), torch.stack(losses)])).get().tolist()
    for place, loss in enumerate(found[len(sums) :]):
        if not math.isfinite(loss):
            some = clips[place * size : (place + 1) * size]
            raise diverged(f"step {run.step}: the loss of {_origins(some)} is {loss}")
    *values, reached, shown = found[: len(sums)]
    means = dict(zip(("loss", *LOSSES), (value / run.group.workers for value in values), strict=True))
    return means | {"mask_iou": reached / shown if shown else 0.0}


def _judged(clip: Clip) -> Tensor:
    """Objects of a clip that are annotated, at each instant."""
    return torch.from_numpy(clip.annotated.sum(0)).float()


def _annotated_memory(clips: Sequence[Clip], config: TrainConfig, run: Pass, first: int) -> Tensor | None:
    chance = config.scratch.annotated_memory
    if not chance:
        return None
    drawn = [
        memory_generator(config.seed, run.step, run.group.rank + place * run.group.workers).random(len(clip.annotated))
        for place, clip in enumerate(clips, first)
    ]
    return torch.cat([torch.from_numpy(values < chance) for values in drawn])


def _losses(
    model: LMEEC, batch: ClipBatch, config: TrainConfig, objects: Tensor, part: float, forced: Tensor | None
) -> Tensor:
    """Loss, the losses it is the sum of, sum of IoUs and number of visible objects, of some of a batch's clips."""
    with model.autocast():
        outputs = run_clips(
            model,
            batch,
            annotated_memory=None if forced is None else to_device(forced, model.device),
            recompute=config.recompute,
            slots_by_recency=config.rules.slots_by_recency,
        )
    weights, rules = config.losses, config.rules
    found = [
        step_losses(
            rules.seen_by_losses(model, decoded),
            batch.target_masks[:, k],
            batch.annotated[:, k],
            stride=config.mask_stride,
            objects=objects[k],
        )
        for k, decoded in enumerate(outputs.steps)
    ]
    correspondence = objects.new_zeros(())
    if weights.correspondence:
        correspondence = correspondence_loss(outputs.query, outputs.target, batch) * part
    dense = objects.new_zeros(())
    if weights.dense:
        dense = dense_loss(outputs, batch) * part
    total = rules.over_steps(torch.stack([one.total(weights) for one in found]))
    total = total + weights.correspondence * correspondence + weights.dense * dense
    parts = [rules.over_steps(torch.stack([getattr(one, name) for one in found])) for name in LOSSES[:-2]]
    reached = torch.stack([one.reached for one in found]).sum()
    return torch.stack([total, *parts, correspondence, dense, reached, (batch.visible & batch.annotated).sum()])


def _origins(clips: Sequence[Clip]) -> str:
    return "; ".join(dict.fromkeys(clip.origin for clip in clips))


@contextmanager
def explained(config: TrainConfig, run: Pass, clips: Sequence[Clip]) -> Iterator[None]:
    """Say in the user's terms what memory did not suffice for."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and "allocate memory" not in str(error):
            raise
        hints = [
            *(["`micro_batch=1`"] if config.micro_batch > 1 else []),
            *([] if config.recompute else ["`recompute=True`"]),
            "fewer `clips.objects` or `clips.frames` in another `out`",
        ]
        objects = sum(len(clip.annotated) for clip in clips)
        raise TrainingError(
            f"step {run.step}: out of memory, with {len(clips)} clips of {clips[0].annotated.shape[1]} frames and "
            f"{objects} objects at once; use {', or '.join(hints)}. The last saved state is kept",
            settings=["micro_batch", "recompute", "clips.objects", "clips.frames", "out"],
        ) from error
