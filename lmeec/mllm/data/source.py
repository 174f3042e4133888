"""What gives clips to a training, or to whoever answers: samples by place, and their pictures when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmeec.mllm.data.sample import Clip, Sample


class ClipSource(Protocol):
    """Samples with their clips; may be read from several threads at once.

    Attributes:
        samples: What is asked of each clip.
    """

    @property
    def samples(self) -> Sequence[Sample]:
        """What is asked of each clip."""
        ...

    def __len__(self) -> int: ...

    def read(self, place: int) -> Clip:
        """Give a sample with its pictures.

        Raises:
            DataError: They cannot be read; the message names the file.
        """
        ...


class AskedClips(ClipSource, Protocol):
    """Clips that are asked about part by part; a part can be sent to another process."""

    def part(self, first: int, past: int) -> AskedClips:
        """Some of them.

        Args:
            first: Place of the first.
            past: One past the place of the last.
        """
        ...
