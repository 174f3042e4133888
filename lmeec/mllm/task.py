"""A stage of Exo2Ego for the loop of a training: its gradients, optimiser and state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import clip_grad_norm_

from lmeec.errors import OutputError, TrainingError
from lmeec.mllm.batch import Batch, Example, collate
from lmeec.mllm.checkpoint import LanguageSource, save_mllm
from lmeec.mllm.objective import Objective
from lmeec.mllm.sharding import gathered, gathered_by_name, optimiser_state, restore_optimiser, restore_parameter
from lmeec.mllm.stages import ADAPTERS
from lmeec.model.transfer import to_device, to_host
from lmeec.training.config import OptimiserConfig
from lmeec.training.optimiser import schedule, set_rates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lmeec.mllm.hugging_face import PreTrainedTokenizerBase
    from lmeec.mllm.marks_head import MarksHead
    from lmeec.mllm.model import Exo2Ego
    from lmeec.mllm.settings import MllmTrainConfig, Stage, StageConfig
    from lmeec.training.group import Group
    from lmeec.training.output.folder import TrainingFolder
    from lmeec.training.output.record import Kept
    from lmeec.training.task import Pass

MODEL, BEST = "model", "best"
"""Folders of the weights in a training's folder."""

_LATE = ("connector.", "llm.", "marks.token_")
"""What learns after `seeing`."""

_LOSSES = ("loss", "vtg", "kl", "ccl", "marks")


class StageTask:
    """A `Task`: one stage.

    Args:
        model: prepared for the stage, on its device, and divided among the workers if it is to be.
        tokenizer: is written beside the weights.
        stage: its number.
        training: settings.
        language: where the language model is that is not trained; None if it is written with the others.
        autocast: arithmetic of the large operations, if it is not that of the weights.
        sharded: whether parameters are divided among the workers.
        marks: is trained along in stage 0, and left out of what is written.
        leads: whether this process, of those that parameters are divided among, is the one that writes.
    """

    def __init__(
        self,
        model: Exo2Ego,
        tokenizer: PreTrainedTokenizerBase,
        stage: Stage,
        training: MllmTrainConfig,
        *,
        language: LanguageSource | None = None,
        autocast: torch.dtype | None = None,
        sharded: bool = False,
        marks: MarksHead | None = None,
        leads: bool = True,
    ) -> None:
        self.model, self.tokenizer, self.stage, self.training = model, tokenizer, stage, training
        self.language, self._autocast, self._sharded = language, autocast, sharded
        self._leads = leads or not sharded
        settings = training.stage(stage)
        self._objective = Objective(stage, training.losses, marks, settings.train_all, settings.seeing)
        self._trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
        if marks is not None:
            self._trained |= {f"marks.{name}": value for name, value in marks.named_parameters()}
        self._seeing, self._steps = settings.seeing, settings.steps or 0
        groups = _groups(self._trained, settings)
        self.optimiser = torch.optim.AdamW(groups, betas=training.betas, weight_decay=training.weight_decay)
        self._written: dict[str, Tensor] | None = None

    def gradients(self, items: Sequence[Example], run: Pass) -> dict[str, float] | None:
        """Add the gradients of a batch's loss: the mean over learned tokens, and over clips, of the whole of it.

        It does not depend on how the batch is divided among workers and passes.

        Raises:
            DataError: a clip lacks a view, or is of another size; names it.
            TrainingError: a loss is not finite, or memory does not suffice.
        """
        rate = self._set_rates(run.step)
        size, device = self.training.micro_batch, self.model.device
        parts = [collate(items[first : first + size]) for first in range(0, len(items), size)]
        counts = torch.tensor(
            [sum(part.answer_tokens * self._objective.texts(part) for part in parts), len(items)], dtype=torch.float64
        )
        tokens, clips = run.group.sum(to_device(counts.float(), device)).tolist()
        # As gradients are means over the workers.
        answers, clips = tokens / run.group.workers, clips / run.group.workers
        measured: list[Tensor] = []
        for part in parts:
            if run.interrupted():
                return None
            with _explained(run.step, len(part), self.training):
                found = self._found(part.to(device), run.step)
                share = len(part) / clips
                total = self._objective.total(found, answers=answers, share=share)
                total.backward()
            shares = [self._share(found, name, answers, share) for name in _LOSSES[1:]]
            measured.append(torch.stack([total.detach(), *shares]))
        # One copy to the host a step, after the gradients: asking for each loss would make the device wait.
        own = torch.stack(measured)
        joint = run.group.sum(own.sum(0)) / run.group.workers
        values = to_host(torch.cat([joint, own[:, 0]])).get().tolist()
        for place, loss in enumerate(values[len(_LOSSES) :]):
            if not math.isfinite(loss):
                some = items[place * size : (place + 1) * size]
                origins = "; ".join(dict.fromkeys(one.origin for one in some))
                raise self.diverged(f"step {run.step}: the loss of {origins} is {loss}")
        means = dict(zip(_LOSSES, values, strict=False))
        return (
            {name: value for name, value in means.items() if name in self._objective.names} | rate | {"tokens": tokens}
        )

    def _set_rates(self, step: int) -> dict[str, float]:
        """Let the rate rise and fall once while encoders learn to see, and once more for what learns after that.

        Returns:
            The rate of what learns now as `lr`; nothing where the loop's own counts.
        """
        if not self._seeing:
            return {}
        late = step >= self._seeing
        first, steps = (self._seeing, self._steps - self._seeing) if late else (0, self._seeing)
        warmup = round(self.training.stage(self.stage).warmup * steps)
        share = schedule(step - first, steps, OptimiserConfig(warmup=warmup, final=0.0))
        set_rates(self.optimiser, share)
        settings = self.training.stage(self.stage)
        return {"lr": share * (settings.late_lr or settings.lr if late else settings.lr)}

    def _found(self, part: Batch, step: int) -> dict[str, Tensor]:
        here = self.model.device.type
        with (
            torch.autocast(here, self._autocast, enabled=self._autocast is not None),
            # In bfloat16 the CPU's flash attention takes half of a step for its gradients alone.
            sdpa_kernel(SDPBackend.MATH) if here == "cpu" and self._autocast is not None else nullcontext(),
        ):
            found: dict[str, Tensor] = self.model(lambda model: self._objective(model, part, step))
        return found

    def _share(self, found: Mapping[str, Tensor], name: str, answers: float, share: float) -> Tensor:
        """A loss before its weight, as its part of the mean."""
        if name not in found:
            return torch.zeros((), device=self.model.device)
        return found[name].detach().float() * (1 / answers if name == "vtg" else share)

    def join_gradients(self, group: Group, most: float) -> Tensor:
        """See `Task`; divided parameters have joint gradients already."""
        parameters = list(self._trained.values())
        if not self._sharded:
            group.average_gradients(parameters)
            return clip_grad_norm_(parameters, most)
        norm = clip_grad_norm_(parameters, most)
        return gathered(norm)

    def diverged(self, what: str) -> TrainingError:
        """See `Task`."""
        return TrainingError(
            f"{what}. The last saved state is kept. Begin this stage anew with a lower learning rate "
            f'(`training.stage{self.stage}.lr`) or `dtype="float32"`, in another `out`',
            settings=[f"training.stage{self.stage}.lr", "dtype", "out"],
        )

    def state(self) -> dict[str, Any]:
        """What is trained, and its optimiser: frozen parts come from where the stage began.

        Of divided parameters, all processes gather them one by one, and the leading one alone keeps them: whole models
        in the memory of all would be too much for one machine.
        """
        if self._sharded:
            # For `write`, which the leading process does alone.
            self._written = gathered_by_name(self._to_write(), keep=self._leads)
        model = gathered_by_name(self._trained, keep=self._leads)
        return {"model": model, "optimiser": optimiser_state(self.optimiser, keep=self._leads)}

    def _to_write(self) -> dict[str, Tensor]:
        """All of the model but a language model that stays where it is."""
        elsewhere = self.language is not None
        return {
            name: value
            for name, value in self.model.state_dict().items()
            if not (elsewhere and name.startswith("llm.") and ADAPTERS not in name)
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Task`.

        Raises:
            OutputError: the state is of another set of parameters.
        """
        saved = state["model"]
        if saved.keys() != self._trained.keys():
            odd = sorted(saved.keys() ^ self._trained.keys())
            raise OutputError(f"the saved state trains other parameters: {', '.join(odd[:8])}")
        for name, parameter in self._trained.items():
            restore_parameter(parameter, saved[name])
        restore_optimiser(self.optimiser, state["optimiser"])

    def write(self, folder: TrainingFolder, which: Kept) -> None:
        """See `Writes`."""
        name = MODEL if which == "last" else BEST
        save_mllm(folder.path / name, self.model, self.tokenizer, language=self.language, state=self._written)


def _groups(trained: Mapping[str, nn.Parameter], settings: StageConfig) -> list[dict[str, Any]]:
    """Parameters with their learning rates: connector and language model may have one of their own."""
    late = [value for name, value in trained.items() if name.startswith(_LATE)]
    other = [value for name, value in trained.items() if not name.startswith(_LATE)]
    if settings.late_lr is None or not late or not other:
        return [{"params": list(trained.values()), "lr": settings.lr, "base_lr": settings.lr}]
    return [
        {"params": values, "lr": rate, "base_lr": rate}
        for values, rate in ((other, settings.lr), (late, settings.late_lr))
    ]


def cast_for(model: nn.Module, dtype: torch.dtype) -> None:
    """Bring what is frozen to an arithmetic.

    What is trained stays float32, so that small steps are not lost, and so do norms and biases, which are few.
    """
    for parameter in model.parameters():
        frozen = not parameter.requires_grad and parameter.dim() > 1
        parameter.data = parameter.data.to(dtype if frozen else torch.float32)


@contextmanager
def _explained(step: int, clips: int, training: MllmTrainConfig) -> Iterator[None]:
    """Say in the user's terms what memory did not suffice for."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and "allocate memory" not in str(error):
            raise
        hints = [
            *(["`training.micro_batch=1`"] if training.micro_batch > 1 else []),
            *([] if training.recompute else ["`training.recompute=True`"]),
            *([] if training.shard else ["`training.shard=True` with more workers"]),
        ]
        raise TrainingError(
            f"step {step}: out of memory, with {clips} clips at once; use {', or '.join(hints) or 'a larger GPU'}. "
            "The last saved state is kept",
            settings=["training.micro_batch", "training.recompute", "training.shard"],
        ) from error
