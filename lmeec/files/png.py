"""Pictures as PNG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


def png_of(image: Image.Image) -> bytes:
    """The content of a PNG file. Pillow, given a file, writes past the object that names it in errors."""
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()
