"""Asking a model about clips: replies and likelihoods, as rows of the table of answers.

A caption, and each candidate of a question such as EgoMCQ's, is put without words, as captions are learned. The
options of a question are ranked as answers to it without the list of options; the reply is to the question with the
list.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from lmeec.errors import DataError
from lmeec.mllm.answers import question_columns
from lmeec.mllm.batch import Example, TextTokens, collate
from lmeec.mllm.data.words import words_of
from lmeec.mllm.pixels import squares

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from lmeec.mllm.data.sample import Clip, Sample
    from lmeec.mllm.data.source import ClipSource
    from lmeec.mllm.model import Exo2Ego
    from lmeec.mllm.prompt import Prompter


@dataclass(frozen=True)
class AskConfig:
    """How a model is asked.

    Attributes:
        batch: Clips at once.
        open_tokens: At most so many tokens of an open answer.
        choice_tokens: At most so many of a reply to a question with options.
        likelihoods: Rank options by their likelihood too.
    """

    batch: int = 16
    open_tokens: int = 128
    choice_tokens: int = 16
    likelihoods: bool = True


@dataclass(frozen=True)
class _Asked:
    """A clip that was read, its row, and the texts about it."""

    clip: Clip
    row: dict[str, Any]
    text: TextTokens
    candidates: list[TextTokens]

    @property
    def speaks(self) -> bool:
        """Whether the model is to reply; a candidate of a group is ranked alone."""
        return self.clip.sample.group is None


class Asker:
    """Asks one model.

    Args:
        model: On its device, in `eval` mode.
        prompter: Makes tokens of texts, and texts of tokens.
        config: How it is asked.
    """

    def __init__(self, model: Exo2Ego, prompter: Prompter, config: AskConfig | None = None) -> None:
        self._model, self._prompter, self._config = model, prompter, config or AskConfig()

    def ask(self, clips: ClipSource, places: Sequence[int] | None = None) -> Iterator[list[dict[str, Any]]]:
        """Ask about clips, a batch at a time.

        Args:
            clips: What is asked about.
            places: Which of its samples, in this order; None for all.

        Yields:
            Rows of the table of answers, in the order of the samples. A clip that cannot be read has a row with the
            reason in `failure`.
        """
        wanted = list(range(len(clips)) if places is None else places)
        for first in range(0, len(wanted), self._config.batch):
            yield self._batch(clips, wanted[first : first + self._config.batch])

    def _batch(self, clips: ClipSource, places: Sequence[int]) -> list[dict[str, Any]]:
        rows = [question_columns(clips.samples[place]) for place in places]
        asked: list[_Asked] = []
        for place, row in zip(places, rows, strict=True):
            try:
                clip = self._square(clips.read(place))
                asked.append(_Asked(clip, row, self._text(clip.sample), self._candidates(clip.sample)))
            except DataError as error:
                row["failure"] = str(error)
        if asked:
            visual = self._see([one.clip for one in asked])
            self._reply(asked, visual)
            self._rank(asked, visual)
        return rows

    @torch.inference_mode()
    def _see(self, clips: Sequence[Clip]) -> Tensor:
        real, nothing = self._model.config.join == "real", TextTokens(())
        examples = [Example(nothing, clip.ego, clip.exo if real else None, str(clip.sample)) for clip in clips]
        return self._model.see(collate(examples).to(self._model.device))

    def _reply(self, asked: Sequence[_Asked], visual: Tensor) -> None:
        """Let the model speak to all but the candidates of a group; those with options in fewer words."""
        for options, tokens in ((False, self._config.open_tokens), (True, self._config.choice_tokens)):
            here = [at for at, one in enumerate(asked) if one.speaks and bool(one.clip.sample.options) == options]
            if here:
                texts = [asked[at].text for at in here]
                said = self._model.generate(visual[here], texts, tokens=tokens, end=self._end)
                for at, one in zip(here, said, strict=True):
                    asked[at].row["reply"] = self._prompter.text(one)

    def _rank(self, asked: Sequence[_Asked], visual: Tensor) -> None:
        """The likelihood of every option, and of the sentence of every candidate of a group."""
        wanted = [(at, text) for at, one in enumerate(asked) for text in one.candidates]
        found: list[list[float]] = [[] for _ in asked]
        for first in range(0, len(wanted), self._config.batch):
            part = wanted[first : first + self._config.batch]
            values = self._model.likelihoods(visual[[at for at, _ in part]], [text for _, text in part])
            for (at, _), value in zip(part, values, strict=True):
                found[at].append(value)
        for one, values in zip(asked, found, strict=True):
            if values and one.speaks:
                one.row["option_likelihoods"] = values
            elif values:
                one.row["truth_likelihood"] = values[0]

    def _text(self, sample: Sample) -> TextTokens:
        if sample.is_caption:
            return self._prompter.caption(None)
        prompt = self._model.config.prompt
        return self._prompter.question(words_of(sample, task=prompt.task, first_person=prompt.first_person))

    def _candidates(self, sample: Sample) -> list[TextTokens]:
        """What is ranked: the options of a question, or the sentence of a candidate."""
        if sample.group is not None:
            return [] if sample.answer is None else [self._prompter.candidate(self._text(sample), sample.answer)]
        if not (sample.options and self._config.likelihoods):
            return []
        bare = self._text(replace(sample, options=()))
        return [self._prompter.candidate(bare, option) for option in sample.options]

    def _square(self, clip: Clip) -> Clip:
        exo = None if clip.exo is None or self._model.config.join != "real" else self._squares(clip.exo)
        return replace(clip, ego=self._squares(clip.ego), exo=exo)

    def _squares(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        side = self._model.config.encoder.image_size
        return pictures if pictures.shape[1:3] == (side, side) else squares(pictures, self._model.config)

    @property
    def _end(self) -> int:
        end: int = self._prompter.tokenizer.eos_token_id
        return end
