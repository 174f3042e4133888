"""What the annotations say of a target view's frame: the one definition that all who ask for ground truth use.

With A the frames that annotators looked at in a camera for an object, and K those under which the file has a mask::

    visible      in A and in K, also where the mask has no foreground
    absent       in A and not in K
    unannotated  else: a mask outside A does not count, nor does one that is null (its decoding failed)

The processed layout has no A; there a frame is visible where it has a mask, and else unannotated.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.files.reading import in_short
from lmeec.masks import SQUARE_SIZE, evaluation_size, resize_nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lmeec.config import GtState, MaskSize, View
    from lmeec.data.take import Take
    from lmeec.data.tracks import MaskTrack
    from lmeec.files.places import Place
    from lmeec.masks import RunLengthMask

_LONGEST_NAME = 80
_USUAL_SIZES: dict[View, tuple[int, int]] = {"ego": (1408, 1408), "exo": (2160, 3840)}


class FrameTruth(NamedTuple):
    """The ground truth of one frame.

    Attributes:
        state: what the annotations say.
        mask: the object, at the size of its annotations; given exactly where the state is `visible`.
    """

    state: GtState
    mask: RunLengthMask | None


def state_of(masks: MaskTrack | None, frame: int) -> GtState:
    """Say what the annotations know of an object in a camera's frame, without decoding its mask.

    Args:
        masks: the object's masks in the camera; None where it has no annotations there.
        frame: the frame's number.
    """
    if masks is None or frame in masks.null_frames:
        return "unannotated"
    has_mask = frame in masks.encoded
    if masks.annotated_frames is None:
        return "visible" if has_mask else "unannotated"
    if frame not in masks.annotated_frames:
        return "unannotated"
    return "visible" if has_mask else "absent"


def has_truth(masks: MaskTrack | None, frames: Iterable[int]) -> bool:
    """Whether the annotations say something (`state_of`) of an object in a camera at any of some frames.

    Args:
        masks: the object's masks in the camera; None where it has no annotations there.
        frames: numbers of frames.
    """
    if masks is None:
        return False
    known = masks.encoded if masks.annotated_frames is None else masks.annotated_frames
    return not set(known).difference(masks.null_frames).isdisjoint(frames)


def frame_truth(masks: MaskTrack | None, frame: int) -> FrameTruth:
    """Give the ground truth of an object in a camera's frame.

    Args:
        masks: the object's masks in the camera; None where it has no annotations there.
        frame: the frame's number.

    Raises:
        DataError: the mask cannot be used; the message names file, take, object, camera and frame.
    """
    state = state_of(masks, frame)
    return FrameTruth(state, masks.mask(frame) if masks is not None and state == "visible" else None)


class UncountedMasks:
    """Counts the masks that are no ground truth, for a warning: those outside the annotated frames, and null ones."""

    def __init__(self) -> None:
        self._outside: Counter[str] = Counter()
        self._null: Counter[str] = Counter()
        self._between: dict[Place, int] = {}

    def add(self, tracks: Iterable[MaskTrack]) -> None:
        """Count those of a take."""
        for track in tracks:
            where = f"take {show(track.take)}, object {show(track.object)}, camera {show(track.camera)}"
            if track.between:
                self._between[track.source] = track.between
            annotated = track.encoded if track.annotated_frames is None else track.annotated_frames
            for counted, frames in (
                (self._outside, track.encoded.keys() - set(annotated)),
                (self._null, track.null_frames),
            ):
                if frames:
                    counted[f"{where}, frame {min(frames)}"] += len(frames)

    def warnings(self) -> Iterator[str]:
        """Say in words what was counted."""
        for counted, problem in (
            (self._outside, "are not at annotated frames"),
            (self._null, "are null, as their decoding failed"),
        ):
            if counted:
                yield (
                    f"{counted.total():,} masks {problem}, and do not count as ground truth; the first is "
                    f"{next(iter(counted))}"
                )
        if self._between:
            yield (
                f"{sum(self._between.values()):,} masks or pictures are of frames of their video that fall between "
                "those that the take counts, or before its start, and are left out; the first are in "
                f"{next(iter(self._between))}: give the take the video's `frame_rate`, or correct the offset"
            )


class EvaluationSizes:
    """The size at which an object's masks in a target camera are compared, wherever they are.

    It is that of the object's own masks in the camera; where it has none, that of other masks of the camera, or of the
    camera's frames, or the usual one of ego and exo cameras.

    Args:
        tracks: (object, camera) to masks.
        frames: height and width of the frames of cameras that are known.
    """

    def __init__(
        self, tracks: Mapping[tuple[str, str], MaskTrack], frames: Mapping[str, tuple[int, int]] | None = None
    ) -> None:
        self._source = next((track.source for track in tracks.values()), None)
        self._own = {key: track.size for key, track in tracks.items() if track.size is not None}
        self._cameras = dict(frames or {}) | {camera: size for (_, camera), size in reversed(self._own.items())}

    def source_of(self, name: str, camera: str, view: View) -> tuple[int, int]:
        """Height and width of the frames that an object's masks in a camera are drawn on."""
        return self._own.get((name, camera)) or self._cameras.get(camera) or _USUAL_SIZES[view]

    def of(self, name: str, camera: str, view: View) -> tuple[int, int]:
        """Height and width at which masks of an object in a camera are compared.

        Raises:
            DataError: its masks are declared with a side that is not positive; the message names the annotations.
        """
        try:
            return evaluation_size(*self.source_of(name, camera, view))
        except DataError as error:
            place = f"object {in_short(name, _LONGEST_NAME)}, camera {in_short(camera, _LONGEST_NAME)}"
            raise DataError(f"{self._source}: {place}: {in_short(str(error))}; download it again") from error


class TargetTruth:
    """What the annotations of a take say of its target views, at the size of the masks in the results.

    Args:
        take: the take.
        frames: height and width of the frames of cameras that are open; they count where a camera has no masks.
        mask_size: as in `PredictConfig`.
    """

    def __init__(
        self, take: Take, frames: Mapping[str, tuple[int, int]] | None = None, mask_size: MaskSize = "evaluation"
    ) -> None:
        self._take = take
        self._mask_size = mask_size
        self._sizes = EvaluationSizes(take.tracks, frames)

    def size(self, name: str, camera: str) -> tuple[int, int]:
        """Height and width of an object's masks in a camera in the results.

        Raises:
            DataError: masks of the camera are declared with a side that is not positive.
        """
        compared = self.compared_size(name, camera)
        if self._mask_size != "source":
            return compared
        return self._sizes.source_of(name, camera, self._take.cameras[camera].view)

    def compared_size(self, name: str, camera: str) -> tuple[int, int]:
        """Height and width at which masks of an object in a camera are compared, and taken back.

        Raises:
            DataError: as `size`.
        """
        if self._mask_size == "square":
            return SQUARE_SIZE
        return self._sizes.of(name, camera, self._take.cameras[camera].view)

    def given(self, name: str, camera: str, frame: int) -> RunLengthMask | None:
        """The mask that an object has in a query camera's frame, at the size at which masks are compared.

        Raises:
            DataError: the mask cannot be used.
        """
        masks = self._take.tracks.get((name, camera))
        mask = None if masks is None else masks.mask(frame)
        return mask and resize_nearest(mask, self.compared_size(name, camera))

    def at(self, name: str, camera: str, frame: int) -> FrameTruth:
        """State of an object in a camera's frame, with its mask where it is visible.

        With square masks it comes with a mask outside the annotated frames too: the paper's protocol counts it.

        Raises:
            DataError: the mask cannot be used.
        """
        masks = self._take.tracks.get((name, camera))
        state, mask = frame_truth(masks, frame)
        if self._mask_size == "square" and masks is not None:
            mask = masks.mask(frame)
        return FrameTruth(state, mask and resize_nearest(mask, self.size(name, camera)))
