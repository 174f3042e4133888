"""Texts and visual tokens in one sequence of embeddings, padded to the longest of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from lmeec.mllm.batch import TextTokens

IGNORED = -100
"""The label of what is not learned."""


@dataclass(frozen=True)
class Spliced:
    """Sequences for the language model.

    Attributes:
        embeddings: [B, L, D]; zeros where padded.
        mask: int64 [B, L], 1 where there is a token.
        labels: int64 [B, L]: the token at each place of an answer, and `IGNORED` on all else, visual tokens among it.
    """

    embeddings: Tensor
    mask: Tensor
    labels: Tensor


def splice(
    embed: Callable[[Tensor], Tensor],
    visual: Tensor,
    texts: Sequence[TextTokens],
    side: Literal["left", "right"] = "right",
) -> Spliced:
    """Put the visual tokens of each clip into its text.

    Args:
        embed: token numbers [n] to embeddings [n, D].
        visual: tokens [B, V, D].
        texts: B texts.
        side: where shorter sequences are padded: right to learn, left to generate.
    """
    device, count = visual.device, visual.shape[1]
    numbers = [token for text in texts for token in (*text.before, *text.after, *text.answer)]
    embedded = embed(torch.tensor(numbers, dtype=torch.int64, device=device)).to(visual.dtype)
    longest = max(len(text) for text in texts) + count
    rows, labels, mask = [], [], []
    for clip, text, own in zip(visual, texts, embedded.split([len(text) for text in texts]), strict=True):
        begin, empty = len(text.before), longest - count - len(text)
        padding = visual.new_zeros((empty, visual.shape[2]))
        row = [own[:begin], clip, own[begin:]]
        label = [IGNORED] * (begin + count + len(text.after)) + list(text.answer)
        there = [1] * len(label)
        if side == "right":
            row, label, there = [*row, padding], label + [IGNORED] * empty, there + [0] * empty
        else:
            row, label, there = [padding, *row], [IGNORED] * empty + label, [0] * empty + there
        rows.append(torch.cat(row))
        labels.append(label)
        mask.append(there)
    return Spliced(
        torch.stack(rows),
        torch.tensor(mask, dtype=torch.int64, device=device),
        torch.tensor(labels, dtype=torch.int64, device=device),
    )
