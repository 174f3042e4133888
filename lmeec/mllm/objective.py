"""What each stage of Exo2Ego minimises (arXiv 2503.09143, section 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from lmeec.errors import DataError
from lmeec.mllm.connector import Resampler
from lmeec.mllm.losses import ccl_loss, kl_loss, vtg_loss
from lmeec.mllm.marks_head import clips_loss, looking_loss, marks_loss

if TYPE_CHECKING:
    from torch import Tensor

    from lmeec.mllm.batch import Batch
    from lmeec.mllm.marks_head import MarksHead
    from lmeec.mllm.model import Exo2Ego
    from lmeec.mllm.settings import LossConfig, Stage


@dataclass(frozen=True)
class Objective:
    """The losses of a stage, for a batch.

    Attributes:
        stage: its number.
        losses: weights and choices.
        marks: tells what cells show, in stage 0; None does without.
        both: learn texts in stage 0 with one view and with both, in place of with each.
        seeing: so many steps of stage 0 train encoders by marks alone; those after it leave the encoders.
    """

    stage: Stage
    losses: LossConfig
    marks: MarksHead | None = None
    both: bool = False
    seeing: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The losses that there are, their sum first."""
        paired = self.stage == 2
        others = {"kl": paired and self.losses.use_kl, "ccl": paired and self.losses.use_ccl, "marks": self.marks}
        return ("loss", "vtg", *(name for name, used in others.items() if used))

    def texts(self, batch: Batch) -> int:
        """How many times a batch's texts are learned: in stage 0 once with each view."""
        return (batch.ego is not None) + (batch.exo is not None) if self.stage == 0 else 1

    def __call__(self, model: Exo2Ego, batch: Batch, step: int = 0) -> dict[str, Tensor]:
        """The losses.

        Args:
            model: prepared for the stage.
            batch: on its device, with the views that the stage needs.
            step: number of the step.

        Returns:
            `vtg`, the sum over learned tokens; where used, `kl` and `ccl` in stage 2 and `marks` in stage 0, means over
            the batch.

        Raises:
            DataError: a view is missing.
        """
        if self.stage == 0:
            if self.marks is not None and step < self.seeing:
                return self._seeing(model, batch, step)
            return self._captions_of_each_view(model, batch)
        if self.stage == 1:
            seen = model.tokens(model.exo_features(batch))
            return {"vtg": vtg_loss(model.answer_log_probabilities(seen, batch.texts))}
        if self.stage == 2:
            return self._guidance(model, batch)
        return {"vtg": vtg_loss(model.answer_log_probabilities(model.see(batch), batch.texts))}

    def _captions_of_each_view(self, model: Exo2Ego, batch: Batch) -> dict[str, Tensor]:
        # What has learned to see stays as it is, so that what speaks of it has something to go by.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.seeing):
            views = _views(model, batch)
        tokens = [model.tokens(features) for features in views]
        found = {"vtg": self._texts_of_views(model, batch, tokens)}
        if self.marks is not None:
            found["marks"] = self._marks(views, batch) + self._told_by_tokens(model, views, tokens, batch)
        return found

    def _texts_of_views(self, model: Exo2Ego, batch: Batch, tokens: list[Tensor]) -> Tensor:
        if not self.both or len(tokens) == 1:
            return vtg_loss(model.answer_log_probabilities(torch.cat(tokens), batch.texts * len(tokens)))
        half = len(batch) // 2
        one = torch.cat([tokens[0][:half], tokens[1][half:]])
        joined = torch.cat(tokens, 1)
        return vtg_loss(model.answer_log_probabilities(one, batch.texts)) + vtg_loss(
            model.answer_log_probabilities(joined, batch.texts)
        )

    def _seeing(self, model: Exo2Ego, batch: Batch, step: int) -> dict[str, Tensor]:
        """What cells show in one frame of each clip, as those of one clip are much alike."""
        frames = [step % model.config.frames]
        one = replace(
            batch,
            ego=None if batch.ego is None else batch.ego[:, frames],
            exo=None if batch.exo is None else batch.exo[:, frames],
            marks=None if batch.marks is None else batch.marks[:, :, frames],
        )
        views = _views(model, one)
        return {"vtg": views[0].new_zeros(()), "marks": self._marks(views, one)}

    def _marks(self, views: list[Tensor], batch: Batch) -> Tensor:
        """What cells show, the mean of the views."""
        if batch.marks is None or batch.classes is None:
            raise DataError("the clips have no marks: only those of synthetic takes have; set losses.marks to 0")
        assert self.marks is not None
        told = [
            marks_loss(self.marks(features), shown)
            for features, shown in zip(views, batch.marks.unbind(1), strict=True)
        ]
        return torch.stack(told).mean()

    def _told_by_tokens(
        self, model: Exo2Ego, views: list[Tensor], tokens: list[Tensor], batch: Batch
    ) -> Tensor | float:
        """What tokens say of the clip, and where the first of them looks; the mean of the views.

        Of a resampler alone: other connectors have too many tokens to read them together.
        """
        connector = model.connector
        if not isinstance(connector, Resampler):
            return 0.0
        assert self.marks is not None
        assert batch.marks is not None
        assert batch.classes is not None
        told = [
            clips_loss(self.marks.clips(seen), batch.classes)
            + looking_loss(connector.attention(features), self.marks.shown(shown))
            for features, seen, shown in zip(views, tokens, batch.marks.unbind(1), strict=True)
        ]
        return torch.stack(told).mean()

    def _guidance(self, model: Exo2Ego, batch: Batch) -> dict[str, Tensor]:
        losses = self.losses
        x, y = model.ego_features(batch), model.exo_features(batch).detach()
        estimated: list[Tensor] = []

        def estimate() -> Tensor:
            if not estimated:
                estimated.append(model.to_exo(x))
            return estimated[0]

        seen = model.joined(x, lambda: y if model.config.join == "real" else estimate())
        found = {"vtg": vtg_loss(model.answer_log_probabilities(seen, batch.texts))}
        if losses.use_kl:
            found["kl"] = kl_loss(estimate(), y, losses.temperature, losses.kl_pool)
        if losses.use_ccl:
            found["ccl"] = ccl_loss(model.to_ego(estimate()), x)
            if losses.cycle == "both":
                found["ccl"] = found["ccl"] + ccl_loss(model.to_exo(model.to_ego(y)), y)
        return found

    def total(self, found: dict[str, Tensor], *, answers: float, share: float) -> Tensor:
        """The loss of which gradients are taken: a batch's share of the mean over tokens and clips of a whole step.

        Args:
            found: from a call.
            answers: learned tokens of the whole step, each as often as it is learned.
            share: clips of this batch over those of the whole step.
        """
        total = found["vtg"] / answers
        for name, weight in (("kl", self.losses.kl), ("ccl", self.losses.ccl), ("marks", self.losses.marks)):
            if name in found:
                total = total + weight * share * found[name]
        return total


def _views(model: Exo2Ego, batch: Batch) -> list[Tensor]:
    """The features of the views that are there, the ego view first."""
    views = [
        features(batch)
        for features, frames in ((model.ego_features, batch.ego), (model.exo_features, batch.exo))
        if frames is not None
    ]
    if not views:
        raise DataError("the clips have no frames")
    return views
