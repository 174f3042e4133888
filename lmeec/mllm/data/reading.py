"""Samples of a file in any of the known shapes, with videos found in a folder: a source of clips."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from lmeec.errors import DataError
from lmeec.mllm.data.frames import read_clip
from lmeec.mllm.data.sample import Clip, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class VideoClips:
    """Samples whose videos are files, or folders of pictures; `AskedClips`.

    Attributes:
        samples: What is asked of each clip.
        folder: The folder of videos; None where samples name whole paths.
        frames: Looks at a clip.
    """

    samples: Sequence[Sample]
    folder: Path | None
    frames: int

    def __len__(self) -> int:
        return len(self.samples)

    def part(self, first: int, past: int) -> VideoClips:
        """Some of them; see `AskedClips`."""
        return replace(self, samples=self.samples[first:past])

    def read(self, place: int) -> Clip:
        """Give a sample with its pictures.

        Raises:
            DataError: A video is missing or damaged, or the clip is not within it; names the sample too.
        """
        sample = self.samples[place]
        exo = None if sample.exo_video is None else self._pictures(sample, sample.exo_video)
        return Clip(sample, self._pictures(sample, sample.video), exo)

    def _pictures(self, sample: Sample, video: str) -> NDArray[np.uint8]:
        rate = None if sample.frame_rate is None else Fraction(sample.frame_rate).limit_denominator(1001)
        try:
            return read_clip(
                video_path(video, self.folder),
                self.frames,
                start=sample.start,
                end=sample.end,
                frames=sample.frames,
                rate=rate,
            )
        except DataError as error:
            raise DataError(f"{sample}: {error}") from error


def video_path(video: str, folder: Path | None) -> Path:
    """Where a sample's video is.

    Raises:
        DataError: Its name leads out of the folder of videos, or there is no folder.
    """
    from pathlib import Path

    if folder is None:
        return Path(video)
    path = folder / video
    if Path(video).is_absolute() or ".." in Path(video).parts:
        raise DataError(f"video {video!r} lies outside of {folder}; name videos relative to their folder")
    return path
