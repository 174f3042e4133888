"""The masks of one object in one camera, decoded as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.files.places import Place
from lmeec.files.reading import in_short, understanding
from lmeec.masks import RunLengthMask

_LONGEST_REASON = 240


class EncodedMask(NamedTuple):
    """A mask as its file has it.

    Attributes:
        height: Declared rows.
        width: Declared columns.
        text: The mask, in the encoding of its file.
    """

    height: int
    width: int
    text: str


@dataclass(frozen=True, slots=True)
class MaskTrack:
    """One object in one camera of a take.

    What of it is ground truth, `lmeec.data.truth` says.

    Attributes:
        object: The object's name.
        camera: The camera's name.
        annotated_frames: Frames that annotators looked at, sorted; a mask may lie outside. None where the file does not
            say.
        encoded: Frame number to mask, in the order of frames.
        take: The take's name, for messages.
        source: The annotation file, for messages.
        read_counts: Gives COCO compressed counts from a mask's text; raises DataError.
        between: How many masks or pictures of the source are at frames of the video that the take does not read.
        null_frames: Frames under which the file has `null` in place of a mask, as the mask could not be decoded.
    """

    object: str
    camera: str
    annotated_frames: tuple[int, ...] | None
    encoded: Mapping[int, EncodedMask]
    take: str
    source: Place
    read_counts: Callable[[str], str]
    null_frames: frozenset[int] = frozenset()
    between: int = 0

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames that carry a mask, sorted."""
        return tuple(self.encoded)

    @property
    def known_frames(self) -> set[int]:
        """Frames that annotators looked at, and those that carry a mask."""
        return {*(self.annotated_frames or ()), *self.encoded}

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the masks in pixels; None without masks."""
        first = next(iter(self.encoded.values()), None)
        return None if first is None else (first.height, first.width)

    def mask(self, frame: int) -> RunLengthMask | None:
        """Decode the mask of a frame; None where there is none.

        Raises:
            DataError: The mask does not decode, does not fit its declared size, or its size is absurd or
                differs from the track's other masks. The message names file, take, object, camera and frame.
        """
        encoded = self.encoded.get(frame)
        if encoded is None:
            return None
        with understanding(self.source, DataError, "a file of masks", "download it again"), self._placing(frame):
            if (encoded.height, encoded.width) != self.size:
                height, width = self.size or (0, 0)
                raise DataError(
                    f"it is declared as {encoded.height}x{encoded.width} (height x width), other masks of this object "
                    f"and camera as {height}x{width}"
                )
            return RunLengthMask.from_counts(self.read_counts(encoded.text), encoded.height, encoded.width)

    def thinned(self, every: int) -> MaskTrack:
        """What of it is at frames that are multiples of a number."""
        if every == 1:
            return self
        annotated = self.annotated_frames
        return replace(
            self,
            annotated_frames=None if annotated is None else tuple(frame for frame in annotated if frame % every == 0),
            encoded={frame: mask for frame, mask in self.encoded.items() if frame % every == 0},
            null_frames=frozenset(frame for frame in self.null_frames if frame % every == 0),
        )

    @contextmanager
    def _placing(self, frame: int) -> Iterator[None]:
        """Say of which mask something is wrong."""
        try:
            yield
        except DataError as error:
            raise DataError(
                f"{self.source}: take {show(self.take)}, object {show(self.object)}, camera "
                f"{show(self.camera)}, frame {frame}: the mask cannot be used: {in_short(str(error), _LONGEST_REASON)}"
            ) from error


def as_written(text: str) -> str:
    """Give COCO counts from a mask that is stored as such."""
    return text
