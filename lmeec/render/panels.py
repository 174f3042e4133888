"""One picture of a mosaic: a camera's frame with what is known of the object in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lmeec.data.take import Camera, Take
from lmeec.masks import evaluation_size
from lmeec.render import overlay
from lmeec.render.text import shortened, text_size, text_width, write
from lmeec.render.tracks import PredictedFrame, PredictedTrack

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray

BACKGROUND = (24, 24, 24)
_MISSING = (70, 70, 70)
_WITHOUT_PREDICTION = {
    "empty_query": "empty query mask",
    "video": "video cut short",
    "camera": "no video",
    "failed": "failed",
}
_LIGHT = (235, 235, 235)
_DIM = (170, 170, 170)


@dataclass(frozen=True, slots=True)
class Panel:
    """A place of the mosaic.

    Attributes:
        camera: the camera shown.
        query_of: object whose query mask is drawn; None where predictions are.
        track: track whose predictions are drawn; None in a query panel.
        size: (height, width) of the picture, without its caption.
    """

    camera: Camera
    query_of: str | None
    track: PredictedTrack | None
    size: tuple[int, int]

    @property
    def caption_height(self) -> int:
        """Pixels of the line under the picture."""
        return round(1.9 * text_size(self.size[0]))


def panels_of(take: Take, tracks: Sequence[PredictedTrack], height: int) -> list[Panel]:
    """Lay out the tracks of one object: every query camera, followed by the cameras predicted from it.

    Args:
        take: the take, as it is on disk.
        tracks: tracks of one object and direction.
        height: of a picture, in pixels.
    """
    panels = []
    for query in dict.fromkeys(track.query_cam for track in tracks):
        targets = [track for track in tracks if track.query_cam == query]
        camera = _camera(take, query)
        panels.append(Panel(camera, targets[0].object, None, _size_of_query(take, targets[0], height)))
        for track in targets:
            first = next(iter(track.frames.values())).mask
            size = _even(height, height * first.width / first.height)
            panels.append(Panel(_camera(take, track.target_cam), None, track, size))
    return panels


def pictures(take: Take, panel: Panel, frames: Sequence[int]) -> Generator[NDArray[np.uint8], None, None]:
    """Yield the panel at each frame, uint8 RGB [height + caption_height, width, 3].

    A frame that the video does not have is grey and says so; so is a camera that is missing.

    Args:
        take: the take.
        panel: what to show.
        frames: frame numbers, ascending.

    Raises:
        DataError: the video is damaged, or a mask cannot be used.
    """
    for frame, image in zip(frames, _images(panel, frames), strict=True):
        height, width = panel.size
        if image is None:
            picture = np.full((height, width, 3), _MISSING, dtype=np.uint8)
            _centred(picture, "no such frame" if panel.camera.source else "no video")
        else:
            picture = np.ascontiguousarray(image)
        caption = np.full((panel.caption_height, width, 3), BACKGROUND, dtype=np.uint8)
        if panel.track is None:
            _draw_query(take, panel, frame, picture)
            _write_caption(caption, panel, f"{panel.camera.name} · query")
        else:
            prediction = panel.track.frames.get(frame)
            name = panel.camera.name
            if prediction is None:
                picture //= 3
                _write_caption(caption, panel, name, "not predicted")
            else:
                _draw_prediction(picture, prediction)
                _write_caption(caption, panel, name, *_verdicts(prediction))
        yield np.concatenate([picture, caption])


def _camera(take: Take, name: str) -> Camera:
    return take.cameras.get(name) or Camera(name, "exo", None, "the take has no such camera")


def _size_of_query(take: Take, track: PredictedTrack, height: int) -> tuple[int, int]:
    masks = take.tracks.get((track.object, track.query_cam))
    if masks is None or masks.size is None:
        return _even(height, height)
    rows, columns = evaluation_size(*masks.size)
    return _even(height, height * columns / rows)


def _even(height: float, width: float) -> tuple[int, int]:
    return 2 * max(1, round(height / 2)), 2 * max(1, round(width / 2))


def _images(panel: Panel, frames: Sequence[int]) -> Iterator[NDArray[np.uint8] | None]:
    if panel.camera.source is None:
        yield from (None for _ in frames)
        return
    with panel.camera.open(panel.size) as reader:
        there = [frame for frame in frames if reader.has_frame(frame)]
        images = reader.read(there)
        for frame in frames:
            yield next(images)[1] if reader.has_frame(frame) else None


def _draw_query(take: Take, panel: Panel, frame: int, picture: NDArray[np.uint8]) -> None:
    masks = take.tracks.get((panel.query_of or "", panel.camera.name))
    mask = None if masks is None else masks.mask(frame)
    if mask is not None:
        overlay.draw_query(picture, mask.decode())


def _draw_prediction(picture: NDArray[np.uint8], prediction: PredictedFrame) -> None:
    overlay.draw_prediction(picture, prediction.mask.decode())
    if prediction.gt is not None:
        overlay.draw_ground_truth(picture, prediction.gt.decode())


def _verdicts(prediction: PredictedFrame) -> list[str]:
    """What is to be said of a prediction, in full, and for a narrow picture."""
    if prediction.missing is not None:
        words = [_WITHOUT_PREDICTION.get(prediction.missing, prediction.missing)]
    else:
        words = [f"conf. {prediction.confidence:.2f}"]
    truth = []
    if prediction.iou is not None:
        truth = [f"IoU {prediction.iou:.2f}"]
    elif prediction.gt_state == "absent":
        truth = ["absent"]
    back = [] if prediction.cycle_iou is None else [f"cycle {prediction.cycle_iou:.2f}"]
    return [" · ".join([*words, *more]) for more in ([*back, *truth], truth)]


def _write_caption(caption: NDArray[np.uint8], panel: Panel, name: str, *verdicts: str) -> None:
    """Write a camera's name and the first verdict that fits."""
    size = text_size(panel.size[0])
    middle, margin = caption.shape[0] // 2, size // 2
    room = caption.shape[1] - 2 * margin
    fitting = (verdict for verdict in verdicts if text_width(verdict, size) <= room)
    verdict = next(fitting, None) or shortened(verdicts[-1] if verdicts else "", size, room)
    right = text_width(verdict, size)
    write(caption, (margin + room - right, middle), verdict, size, _LIGHT)
    write(caption, (margin, middle), shortened(name, size, room - right - size), size, _DIM)


def _centred(picture: NDArray[np.uint8], text: str) -> None:
    size = text_size(picture.shape[0])
    at = ((picture.shape[1] - text_width(text, size)) // 2, picture.shape[0] // 2)
    write(picture, at, text, size, _LIGHT)
