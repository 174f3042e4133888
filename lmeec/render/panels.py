"""One picture of a mosaic: a camera's frame with what is known of the object in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lmeec.data.take import Camera, Take
from lmeec.masks import evaluation_size
from lmeec.render import overlay
from lmeec.render.text import shortened, text_size, text_width, write
from lmeec.render.tracks import PredictedFrame, PredictedTrack
from lmeec.render.window import Window, window_about

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

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
_SMALL = 0.01
"""Share of a picture under which an object is shown larger in a corner."""

_NEAR = 0.5
"""Share of a frame's sides up to which a part of it shows more than the frame."""

_MOST_MAGNIFIED = 4.0

_VISIBLE_OVER = 0.5
"""Confidence, as in the benchmark's metrics."""
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


def pictures(
    take: Take, panel: Panel, frames: Sequence[int], *, close: bool = False, inset: bool = False
) -> Generator[NDArray[np.uint8], None, None]:
    """Yield the panel at each frame, uint8 RGB [height + caption_height, width, 3].

    A frame that the video does not have is grey and says so; so is a camera that is missing.

    Args:
        take: the take.
        panel: what to show.
        frames: frame numbers, ascending.
        close: show the part of each frame that the object is in, larger.
        inset: show that part in a corner where the object is small.

    Raises:
        DataError: the video is damaged, or a mask cannot be used.
    """
    masks = {frame: _masks(take, panel, frame) for frame in frames}
    windows = {frame: _about(found) for frame, found in masks.items()}
    magnified = [one.side for one in windows.values() if one is not None] if close or inset else []
    scale = min(_MOST_MAGNIFIED, 1 / min(magnified, default=1.0))
    for frame, image in zip(frames, _images(panel, frames, scale), strict=True):
        height, width = panel.size
        whole = Window(0, 0, 1)
        window = (windows[frame] or whole) if close else whole
        if image is None:
            picture = np.full((height, width, 3), _MISSING, dtype=np.uint8)
            _centred(picture, "no such frame" if panel.camera.source else "no video")
        else:
            picture = _fitting(window.cut(image), panel.size)
        caption = np.full((panel.caption_height, width, 3), BACKGROUND, dtype=np.uint8)
        if panel.track is None:
            _draw(picture, masks[frame], window)
            _write_caption(caption, panel, f"{panel.camera.name} · query")
        else:
            prediction = panel.track.frames.get(frame)
            name = panel.camera.name
            if prediction is None:
                picture //= 3
                _write_caption(caption, panel, name, "not predicted")
            else:
                _draw(picture, masks[frame], window)
                _write_caption(caption, panel, name, *_verdicts(prediction))
        about = windows[frame]
        if inset and image is not None and about is not None and about.side <= _NEAR and _is_small(masks[frame]):
            _draw_inset(picture, image, masks[frame], about)
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


def _images(panel: Panel, frames: Sequence[int], scale: float) -> Iterator[NDArray[np.uint8] | None]:
    """Frames at the panel's size, or so much larger."""
    if panel.camera.source is None:
        yield from (None for _ in frames)
        return
    height, width = panel.size
    with panel.camera.open(_even(height * scale, width * scale)) as reader:
        there = [frame for frame in frames if reader.has_frame(frame)]
        images = reader.read(there)
        for frame in frames:
            yield next(images)[1] if reader.has_frame(frame) else None


def _masks(take: Take, panel: Panel, frame: int) -> dict[str, NDArray[np.bool_]]:
    """What is drawn of a frame, by what it is."""
    if panel.track is None:
        known = take.tracks.get((panel.query_of or "", panel.camera.name))
        mask = None if known is None else known.mask(frame)
        return {} if mask is None else {"query": mask.decode()}
    prediction = panel.track.frames.get(frame)
    if prediction is None:
        return {}
    truth = {} if prediction.gt is None else {"truth": prediction.gt.decode()}
    return {"prediction": prediction.mask.decode(), **truth}


def _about(masks: Mapping[str, NDArray[np.bool_]]) -> Window | None:
    """The part of a frame with the object and what was predicted, or the object alone where that is far from it."""
    both = window_about(masks.values())
    if both is None or both.side <= _NEAR:
        return both
    return window_about([masks["truth"]]) or both if "truth" in masks else both


_DRAW = {
    "query": overlay.draw_query,
    "prediction": overlay.draw_prediction,
    "truth": overlay.draw_ground_truth,
}


def _draw(picture: NDArray[np.uint8], masks: Mapping[str, NDArray[np.bool_]], window: Window) -> None:
    for name, mask in masks.items():
        _DRAW[name](picture, window.cut(mask))


def _fitting(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if image.shape[:2] == size:
        return np.ascontiguousarray(image)
    smaller = image.shape[0] > size[0]
    resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _is_small(masks: Mapping[str, NDArray[np.bool_]]) -> bool:
    shares = [float(mask.mean()) for mask in masks.values() if mask.any()]
    return bool(shares) and max(shares) < _SMALL


def _draw_inset(
    picture: NDArray[np.uint8], image: NDArray[np.uint8], masks: Mapping[str, NDArray[np.bool_]], window: Window
) -> None:
    """Show a part larger, in the corner that is farthest from it."""
    height, width = picture.shape[:2]
    rows, columns = height // 3, width // 3
    inset = _fitting(window.cut(image), (rows, columns))
    _draw(inset, masks, window)
    cv2.rectangle(inset, (0, 0), (columns - 1, rows - 1), _LIGHT, 2)
    top = 0 if window.top + window.side / 2 > 0.5 else height - rows
    left = 0 if window.left + window.side / 2 > 0.5 else width - columns
    corner = round(window.left * width), round(window.top * height)
    opposite = round((window.left + window.side) * width), round((window.top + window.side) * height)
    cv2.rectangle(picture, corner, opposite, _LIGHT, 1)
    picture[top : top + rows, left : left + columns] = inset


def _verdicts(prediction: PredictedFrame) -> list[str]:
    """What is to be said of a prediction, in full, and for a narrow picture."""
    truth = []
    if prediction.iou is not None:
        truth = [f"IoU {prediction.iou:.2f}{' (both empty)' if _both_are_empty(prediction) else ''}"]
    elif prediction.gt_state == "absent":
        truth = ["truly absent"]
    back = [] if prediction.cycle_iou is None else [f"cycle {prediction.cycle_iou:.2f}"]
    if prediction.missing is not None:
        said = [[_WITHOUT_PREDICTION.get(prediction.missing, prediction.missing)]]
    elif prediction.confidence <= _VISIBLE_OVER:
        said = [[f"called absent, conf. {prediction.confidence:.2f}"], ["called absent"]]
    else:
        said = [[f"conf. {prediction.confidence:.2f}"]]
    return [" · ".join([*words, *more]) for more in ([*back, *truth], truth, []) for words in said]


def _both_are_empty(prediction: PredictedFrame) -> bool:
    """Whether the IoU is 1 without anything to be seen, as where the object is smaller than a pixel of the masks."""
    return prediction.mask.area == 0 and prediction.gt is not None and prediction.gt.area == 0


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
