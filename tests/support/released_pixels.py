"""What the released scripts make of frames and masks: an excerpt of the vectors that the project was given.

Of each image every 16th row is kept (`rows`), and the CRC-32 of the whole.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.support.places import ASSETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FILE = ASSETS / "pixels_small.npz"

BLOCKS = ASSETS / "video/03_blocks.mp4"
"""The video that the frames of `blocks` come from."""


@cache
def released() -> dict[str, NDArray[Any]]:
    """The vectors by name."""
    with np.load(_FILE) as arrays:
        return {name: arrays[name] for name in arrays.files}
