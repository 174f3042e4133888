"""What a training tells of how it goes; how that is shown is up to the reporter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from lmeec.analysis.evaluation import DirectionScore


@dataclass(frozen=True)
class Preparing:
    """Takes are read and their frames decoded.

    Attributes:
        done: takes so far.
        takes: of this process.
    """

    done: int
    takes: int


@dataclass(frozen=True)
class Waiting:
    """Something takes a while; told again while it goes on.

    Attributes:
        what: it, in words.
        done: how far it is.
        of: how far it goes; 0 where nobody knows.
    """

    what: str
    done: int = 0
    of: int = 0


@dataclass(frozen=True)
class TrainingStarted:
    """The first step is about to begin.

    Attributes:
        step: steps done before.
        steps: of the whole training.
        parameters: numbers that are trained.
        about: model, source, device and arithmetic, in words.
    """

    step: int
    steps: int
    parameters: int
    about: str


@dataclass(frozen=True)
class StepDone:
    """A step is done.

    Attributes:
        step: steps done.
        steps: of the whole training.
        values: losses, learning rate and the like.
        seconds: that it took.
    """

    step: int
    steps: int
    values: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Validated:
    """The model was judged.

    Attributes:
        step: steps done.
        scores: by direction.
        iou: mean over the directions.
        best: whether no validation before was better.
    """

    step: int
    scores: Mapping[str, DirectionScore]
    iou: float
    best: bool


@dataclass(frozen=True)
class Saved:
    """The state is on disk.

    Attributes:
        step: steps done.
    """

    step: int


@dataclass(frozen=True)
class Note:
    """Something the user should know, in words."""

    text: str


TrainingEvent: TypeAlias = Preparing | Waiting | TrainingStarted | StepDone | Validated | Saved | Note


class TrainingReporter(Protocol):
    """Shows how a training goes."""

    def event(self, event: TrainingEvent) -> None:
        """Something happened."""


class Silent:
    """Shows nothing."""

    def event(self, event: TrainingEvent) -> None:
        """See `TrainingReporter`."""
