"""Judge a model in training as users will: the project's own prediction and metrics on takes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pyarrow as pa

from lmeec.analysis.evaluation import DirectionScore, evaluate
from lmeec.config import MemoryConfig, PredictConfig
from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.inference.predictor import predict_take
from lmeec.model.cpu import optimise_for_cpu
from lmeec.tables import SCHEMA
from lmeec.training.output.progress import Note, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lmeec.data.takes import TakeSet
    from lmeec.model.lmeec import LMEEC
    from lmeec.training.config import TrainConfig
    from lmeec.training.group import Group
    from lmeec.training.output.progress import TrainingReporter


class TakeValidator:
    """Predicts takes with a model's weights as they are, and scores them; the processes divide the takes.

    Args:
        takes: to predict, with ground truth.
        config: settings of the training.
        group: this process.
        reporter: is told which takes cannot be used, and how far it is.
    """

    def __init__(self, takes: TakeSet, config: TrainConfig, group: Group, reporter: TrainingReporter) -> None:
        self._takes, self._group, self._reporter = takes, group, reporter
        self._directions = config.clips.directions
        self._predict = PredictConfig(memory=MemoryConfig(policy=config.validation.policy), video=config.clips.video)
        wanted = min(config.validation.takes or len(takes), len(takes))
        self._chosen = [place * len(takes) // wanted for place in range(wanted)]

    def __call__(self, model: LMEEC, stopping: Callable[[], bool]) -> Mapping[str, DirectionScore] | None:
        """See `Validator`; empty if no take can be predicted, or none has ground truth, which is said."""
        # A model that is arranged for the CPU can no longer be trained.
        judged = copy.deepcopy(model).eval()
        judged.requires_grad_(False)
        if judged.device.type == "cpu":
            optimise_for_cpu(judged)
        batches: list[pa.RecordBatch] = []
        mine = self._chosen[self._group.rank :: self._group.workers]
        for done, number in enumerate(mine):
            if stopping():
                break
            self._reporter.event(Waiting("validating, takes", done, len(mine)))
            batches += self._predicted(judged, number)
        if self._group.any(stopping()):
            return None
        tables = [table for some in self._group.gather(batches) for table in some]
        try:
            return evaluate(pa.Table.from_batches(tables, SCHEMA))
        except DataError as error:
            # No reason to end a training of hours.
            if self._group.leads:
                self._reporter.event(Note(f"{self._takes.root}: cannot be validated on: {error}"))
            return {}

    def _predicted(self, model: LMEEC, number: int) -> list[pa.RecordBatch]:
        take = self._takes[number]
        try:
            return [
                batch for direction in self._directions for batch in predict_take(model, take, direction, self._predict)
            ]
        except DataError as error:
            self._reporter.event(Note(f"take {show(take.name)} is left out of the validation: {error}"))
            return []
