"""What a step of Exo2Ego learns from, and what a question is: frames of one or both views, and text as tokens.

Whoever reads data makes an `Example` a clip; the model takes a `Batch` of them. The text is in three pieces, because
visual tokens stand between the first and the second and only the third is learned:

    before | visual tokens | after | answer

A caption of stages 0 to 2 has `before` = bos, no `after`, and `answer` = caption and eos. A question has `before` = bos
and the opening of the user's turn, `after` = newline, instruction and the turn's end, `answer` = answer and eos; to
generate, `answer` is empty. `lmeec.mllm.prompt` makes all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lmeec.errors import DataError
from lmeec.model.transfer import to_device

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class TextTokens:
    """A text around a clip, as token numbers.

    Attributes:
        before: those before the visual tokens.
        after: those between the visual tokens and the answer.
        answer: those that are learned; empty where they are to be found.
    """

    before: tuple[int, ...]
    after: tuple[int, ...] = ()
    answer: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.before) + len(self.after) + len(self.answer)


@dataclass(frozen=True)
class Example:
    """A clip with its text.

    Attributes:
        text: its tokens.
        ego: uint8 [T, S, S, 3] RGB frames of the ego camera, made square by `lmeec.mllm.pixels`; None where a stage
            needs none.
        exo: those of an exo camera at the same instants; None where there are none.
        origin: where the clip is from, for messages.
        marks: uint8 [2, T, M, 3], what cells of both views show; None but of drawn clips.
        classes: uint8 [K], what is true of a drawn clip.
    """

    text: TextTokens
    ego: np.ndarray | None = None
    exo: np.ndarray | None = None
    origin: str = ""
    marks: np.ndarray | None = None
    classes: np.ndarray | None = None


@dataclass(frozen=True)
class Batch:
    """Examples of equally many frames, joined.

    Attributes:
        ego: uint8 [B, T, 3, S, S]; None if the examples have none.
        exo: the same of the exo cameras.
        texts: B texts, as long as they are: the model pads them.
        marks: uint8 [B, 2, T, M, 3], the ego view first; None if an example has none.
        classes: uint8 [B, K], as well.
    """

    ego: Tensor | None
    exo: Tensor | None
    texts: tuple[TextTokens, ...]
    marks: Tensor | None = None
    classes: Tensor | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def answer_tokens(self) -> int:
        """Tokens that are learned, over all texts."""
        return sum(len(text.answer) for text in self.texts)

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return replace(
            self,
            ego=_moved(self.ego, device),
            exo=_moved(self.exo, device),
            marks=_moved(self.marks, device),
            classes=_moved(self.classes, device),
        )


def collate(examples: Sequence[Example]) -> Batch:
    """Join examples of equally many frames and one size.

    Raises:
        DataError: a clip without frames, or clips of different shapes; names the clip.
    """
    return Batch(
        ego=_stacked("ego", [one.ego for one in examples], examples),
        exo=_stacked("exo", [one.exo for one in examples], examples),
        texts=tuple(one.text for one in examples),
        marks=_told([one.marks for one in examples]),
        classes=_told([one.classes for one in examples]),
    )


def _told(of_clips: Sequence[np.ndarray | None]) -> Tensor | None:
    """What is known of all clips of a batch; None where it is not of one."""
    there = [one for one in of_clips if one is not None]
    return torch.from_numpy(np.stack(there)) if len(there) == len(of_clips) else None


def _stacked(view: str, clips: Sequence[np.ndarray | None], examples: Sequence[Example]) -> Tensor | None:
    if all(clip is None for clip in clips):
        return None
    first = next(clip for clip in clips if clip is not None)
    for clip, example in zip(clips, examples, strict=True):
        if clip is None or len(clip) == 0:
            raise DataError(f"{example.origin or 'a clip'}: has no {view} frames")
        if clip.shape != first.shape:
            raise DataError(
                f"{example.origin or 'a clip'}: its {view} frames are {list(clip.shape)}, but others of the batch "
                f"{list(first.shape)}"
            )
    return torch.from_numpy(np.stack([clip for clip in clips if clip is not None])).permute(0, 1, 4, 2, 3)


def _moved(frames: Tensor | None, device: torch.device) -> Tensor | None:
    return None if frames is None else to_device(frames, device)
