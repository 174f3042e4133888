"""Panels put together to one frame, under a title and over a key."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lmeec.render import overlay
from lmeec.render.panels import BACKGROUND, Panel
from lmeec.render.text import shortened, text_size, text_width, write

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIGHT = (235, 235, 235)
_SWATCH = (110, 110, 110)


class Mosaic:
    """Where each panel goes; pictures of one frame to one image.

    Args:
        panels: what is shown.
        title: shown above, left of the frame number.

    Attributes:
        size: (height, width) of the image, both even.
    """

    def __init__(self, panels: Sequence[Panel], title: str) -> None:
        self._title = title
        self._font = text_size(panels[0].size[0])
        self._band = round(2.1 * self._font)
        self._gap = 2 * max(1, self._font // 6)
        self._key = [(text, draw) for text, draw, shown in _KEY if any(map(shown, panels))]
        self._places = self._lay_out(panels)
        bottom = max(
            top + panel.size[0] + panel.caption_height for (top, _), panel in zip(self._places, panels, strict=True)
        )
        right = max(left + panel.size[1] for (_, left), panel in zip(self._places, panels, strict=True))
        right = max(right, _key_width(self._key, self._font) + 2 * self._font)
        self.size = (2 * math.ceil((bottom + self._band) / 2), 2 * math.ceil(right / 2))

    def _lay_out(self, panels: Sequence[Panel]) -> list[tuple[int, int]]:
        """Fill rows of at most `_columns` panels, each in the middle; a query camera begins one where several are."""
        columns = _columns(panels)
        several = sum(panel.track is None for panel in panels) > 1
        rows: list[list[Panel]] = []
        for panel in panels:
            if not rows or len(rows[-1]) == columns or (several and panel.track is None):
                rows.append([])
            rows[-1].append(panel)
        widths = [sum(panel.size[1] for panel in row) + self._gap * (len(row) - 1) for row in rows]
        widest = max(*widths, _key_width(self._key, self._font) + 2 * self._font)
        places, top = [], self._band
        for row, width in zip(rows, widths, strict=True):
            left = (widest - width) // 2
            for panel in row:
                places.append((top, left))
                left += panel.size[1] + self._gap
            top += max(panel.size[0] + panel.caption_height for panel in row) + self._gap
        return places

    def compose(self, pictures: Sequence[NDArray[np.uint8]], frame: int, seconds: float) -> NDArray[np.uint8]:
        """Return the image of one frame, uint8 RGB [height, width, 3].

        Args:
            pictures: those of the panels, in their order.
            frame: frame number.
            seconds: the frame's time in the take.
        """
        image = np.full((*self.size, 3), BACKGROUND, dtype=np.uint8)
        for (top, left), picture in zip(self._places, pictures, strict=True):
            image[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        self._write_title(image, f"frame {frame} · {seconds:.1f} s")
        self._draw_key(image)
        return image

    def _write_title(self, image: NDArray[np.uint8], time: str) -> None:
        margin, middle = self._font // 2, self._band // 2
        left = image.shape[1] - margin - text_width(time, self._font)
        write(image, (left, middle), time, self._font, _LIGHT)
        write(image, (margin, middle), shortened(self._title, self._font, left - 3 * margin), self._font, _LIGHT)

    def _draw_key(self, image: NDArray[np.uint8]) -> None:
        side = round(1.3 * self._font)
        top = image.shape[0] - self._band // 2 - side // 2
        left = self._font // 2
        for text, draw in self._key:
            swatch = np.full((side, 2 * side, 3), _SWATCH, dtype=np.uint8)
            mask = np.zeros(swatch.shape[:2], dtype=bool)
            mask[2:-2, 2:-2] = True
            draw(swatch, mask, max(1, self._font // 10))
            image[top : top + side, left : left + 2 * side] = swatch
            left += 2 * side + self._font // 2
            write(image, (left, image.shape[0] - self._band // 2), text, self._font, _LIGHT)
            left += text_width(text, self._font) + self._font


def _has_truth(panel: Panel) -> bool:
    return panel.track is not None and any(frame.gt is not None for frame in panel.track.frames.values())


_Draw = Callable[[NDArray[np.uint8], NDArray[np.bool_], int], None]

_KEY: tuple[tuple[str, _Draw, Callable[[Panel], bool]], ...] = (
    ("query mask", overlay.draw_query, lambda panel: panel.track is None),
    ("prediction", overlay.draw_prediction, lambda panel: panel.track is not None),
    ("ground truth", overlay.draw_ground_truth, _has_truth),
)


def _key_width(key: Sequence[tuple[str, _Draw]], font: int) -> int:
    return sum(2 * round(1.3 * font) + 2 * font + text_width(text, font) for text, _ in key)


def _columns(panels: Sequence[Panel]) -> int:
    """Panels in a row: one row of up to three, else about as many as rows."""
    if len(panels) <= 3:
        return len(panels)
    return 2 if len(panels) == 4 else 3
