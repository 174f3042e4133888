"""Batches of a training out of any source of clips: which clips a step has, as squares, with their texts as tokens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from lmeec.errors import DataError
from lmeec.mllm.batch import Example
from lmeec.mllm.data.words import reply_of, words_of
from lmeec.mllm.pixels import squares
from lmeec.training.clips.batches import share

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from numpy.typing import NDArray

    from lmeec.mllm.batch import TextTokens
    from lmeec.mllm.config import MllmConfig
    from lmeec.mllm.data.sample import Sample
    from lmeec.mllm.data.source import ClipSource
    from lmeec.mllm.prompt import Prompter
    from lmeec.training.group import Group

Form = Literal["caption", "question", "either"]

_THREADS = 4
_ORDER = 4
"""Sets draws about the order of samples apart from others of the same seed."""

_TRIES = 8


class Examples:
    """A `Source` of examples out of clips; a context manager that ends its threads.

    Every pass goes through all samples once, in an order of its own, which depends on the seed and the pass alone.

    Args:
        clips: The clips.
        prompter: Makes tokens of texts.
        config: The model, whose squares are made, and whose settings say what stands around a question.
        form: `caption` learns a sample's answer as a caption (stages 0 to 2), `question` as the answer to what is
            asked (stage 3), `either` as the sample's own task has it.
        batch: Clips in a step, over all workers.
        seed: Of the training.
        group: This process, which makes its share of each batch.
        on_problem: Is told of a clip that cannot be read, and of what stands in for it, the next one that can; None
            lets it end the training.

    Raises:
        DataError: There are no clips, or a sample's answer is not known.
    """

    def __init__(
        self,
        clips: ClipSource,
        prompter: Prompter,
        config: MllmConfig,
        *,
        form: Form,
        batch: int,
        seed: int,
        group: Group,
        on_problem: Callable[[str], None] | None = None,
    ) -> None:
        if not len(clips):
            raise DataError("there is no clip to train on: see what the data set's reader left out")
        self._clips, self._prompter, self._config, self._form = clips, prompter, config, form
        self._batch, self._seed, self._group, self._on_problem = batch, seed, group, on_problem
        self._order = lru_cache(2)(self._draw_order)
        self._threads = ThreadPoolExecutor(_THREADS, "clips")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def batch(self, step: int) -> list[Example]:
        """This process's share of the batch of a step; always the same for the same step."""
        places = share(range(step * self._batch, (step + 1) * self._batch), self._group)
        return list(self._threads.map(self._example, places))

    def _draw_order(self, number: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, _ORDER, number]).permutation(len(self._clips))

    def _example(self, place: int) -> Example:
        passed, number = divmod(place, len(self._clips))
        order = self._order(passed)
        problem: DataError | None = None
        for further in range(min(_TRIES, len(order))):
            try:
                return self._read(int(order[(number + further) % len(order)]))
            except DataError as error:
                problem = error
                if self._on_problem is None:
                    raise
                self._on_problem(f"{error}; the next clip stands in for it")
        assert problem is not None  # there is at least one clip to try
        raise DataError(f"{_TRIES} clips after one another cannot be read; the last: {problem}")

    def _read(self, place: int) -> Example:
        clip = self._clips.read(place)
        return Example(
            text=self._text(clip.sample),
            ego=self._square(clip.ego),
            exo=None if clip.exo is None else self._square(clip.exo),
            origin=str(clip.sample),
            marks=clip.marks,
            classes=clip.classes,
        )

    def _text(self, sample: Sample) -> TextTokens:
        said = reply_of(sample)
        if said is None:
            raise DataError(f"{sample}: its answer is not known, so that it cannot be learned; leave it out")
        if self._form == "caption" or (self._form == "either" and sample.is_caption):
            return self._prompter.caption(said)
        prompt = self._config.prompt
        return self._prompter.question(words_of(sample, task=prompt.task, first_person=prompt.first_person), said)

    def _square(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        side = self._config.encoder.image_size
        return pictures if pictures.shape[1:3] == (side, side) else squares(pictures, self._config)
