"""Models of Exo2Ego that come with lmeec, by their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lmeec.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

BUILT_IN: Mapping[str, Path] = {"nano": Path(__file__).parents[1] / "weights" / "exo2ego-nano"}
"""Models that can be named in place of a folder."""


def model_folder(source: str | Path) -> Path:
    """Where a model is.

    Args:
        source: A name of `BUILT_IN`, or a folder of a model of ours.

    Raises:
        CheckpointError: It is neither.
    """
    folder = BUILT_IN.get(str(source), Path(source))
    if not folder.is_dir() and str(source) in BUILT_IN:
        raise CheckpointError(
            f"{source}: its weights do not come with this lmeec; name a folder of a model (`model`)", settings=["model"]
        )
    if not folder.is_dir():
        raise CheckpointError(
            f"{source}: neither a folder of a model of Exo2Ego nor a built-in one ({', '.join(BUILT_IN)})"
        )
    return folder.absolute()
