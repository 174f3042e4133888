"""Prediction files of the Ego-Exo4D correspondence challenge.

The format, as far as it is used here::

    {"ego-exo" | "exo-ego": {"results": {take_uid: {"masks": {object: {"<query camera>_<target camera>": {frame:
        {"pred_mask": {"size": [height, width], "counts": COCO counts}, "confidence": number or [number]}}}}}}}}

The file is mapped into memory and one take is decoded at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from lmeec.config import VIEWS
from lmeec.data.naming import view_by_name
from lmeec.data.relations import FrameNumber
from lmeec.errors import DataError
from lmeec.files.json import decode_file, decode_part
from lmeec.files.names import show

if TYPE_CHECKING:
    from collections.abc import Collection

    from lmeec.config import Direction
    from lmeec.files.places import Place


class PredictedMask(msgspec.Struct, gc=False):
    """A mask in COCO's form.

    Attributes:
        size: height and width.
        counts: COCO compressed run lengths.
    """

    size: tuple[int, int]
    counts: str


class Prediction(msgspec.Struct, gc=False):
    """What a method says of one frame.

    Attributes:
        pred_mask: the mask; none stands for an empty one.
        confidence: of the object being visible, as a number or a list of one.
    """

    confidence: float | Annotated[list[float], msgspec.Meta(min_length=1, max_length=1)]
    pred_mask: PredictedMask | None = None

    @property
    def visible_confidence(self) -> float:
        """The confidence as a number."""
        return self.confidence[0] if isinstance(self.confidence, list) else self.confidence


Frames = dict[int, Prediction]


class _TakeMasks(msgspec.Struct):
    masks: dict[str, dict[str, dict[FrameNumber, Prediction]]]


class _Results(msgspec.Struct):
    results: dict[str, msgspec.Raw]


class _Document(msgspec.Struct, rename={"ego2exo": "ego-exo", "exo2ego": "exo-ego"}):
    ego2exo: _Results | None = None
    exo2ego: _Results | None = None


class PredictionsFile:
    """One prediction file, of which takes are decoded as they are asked for.

    Args:
        path: the file.

    Attributes:
        path: the file.
        directions: those that it holds.

    Raises:
        DataError: the file cannot be read, is broken JSON (with line and column) or no prediction file.
    """

    def __init__(self, path: Place) -> None:
        self.path = path
        document = decode_file(path, _Document)
        found: dict[Direction, _Results | None] = {"ego2exo": document.ego2exo, "exo2ego": document.exo2ego}
        self._raw = {direction: one.results for direction, one in found.items() if one is not None}
        if not self._raw:
            raise DataError(
                f"{path}: holds neither 'ego-exo' nor 'exo-ego': it is not a prediction file of the correspondence "
                "challenge"
            )

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Directions that the file has results of."""
        return tuple(self._raw)

    def takes(self, direction: Direction) -> Collection[str]:
        """Uids of the takes of a direction."""
        return self._raw[direction].keys()

    def predictions(
        self, direction: Direction, uid: str, cameras: Collection[str]
    ) -> tuple[dict[tuple[str, str, str], Frames], int]:
        """Decode a take's predictions.

        Args:
            direction: the direction.
            uid: the take.
            cameras: names of the take's cameras, by which pairs of names are told apart.

        Returns:
            The predictions, keyed (object, query camera, target camera), and how many more are of cameras that are
            not known.

        Raises:
            DataError: they do not have the expected fields and types, or a pair can be read in several ways.
        """
        found, unknown = {}, 0
        for name, pairs in self._decode(direction, uid).items():
            for pair, frames in pairs.items():
                try:
                    names = split_pair(pair, cameras, direction)
                except DataError as error:
                    raise DataError(f"{self.path}: take {show(uid)}: {error}") from error
                if names is None:
                    unknown += len(frames)
                else:
                    found[name, *names] = frames
        return found, unknown

    def count(self, direction: Direction, uid: str) -> int:
        """Count the predictions of a take.

        Raises:
            DataError: they do not have the expected fields and types.
        """
        return sum(len(frames) for pairs in self._decode(direction, uid).values() for frames in pairs.values())

    def _decode(self, direction: Direction, uid: str) -> dict[str, dict[str, Frames]]:
        raw = self._raw[direction].get(uid)
        if raw is None:
            return {}
        return decode_part(raw, _TakeMasks, self.path, f"take {show(uid)}").masks


def split_pair(pair: str, cameras: Collection[str], direction: Direction) -> tuple[str, str] | None:
    """Tell the two cameras of `<query>_<target>` apart; their names may hold underscores.

    Where annotations hold query masks only, the target camera is not among the known ones; the query camera is then
    enough.

    Args:
        pair: the two names, joined by an underscore.
        cameras: names of the cameras that are known.
        direction: says which of the two is the ego camera.

    Returns:
        Query and target camera; None if no known camera fits.

    Raises:
        DataError: several ways are possible.

    Example:
        >>> split_pair("aria01_214-1_cam01", ["aria01_214-1", "cam01"], "ego2exo")
        ('aria01_214-1', 'cam01')
    """
    cuts = [place for place, letter in enumerate(pair) if letter == "_"]
    fitting = [
        names
        for names in ((pair[:cut], pair[cut + 1 :]) for cut in cuts)
        if names[0] in cameras and names[1] and tuple(map(view_by_name, names)) == VIEWS[direction]
    ]
    fitting = [names for names in fitting if names[1] in cameras] or fitting
    if len(fitting) > 1:
        raise DataError(f"{show(pair)} can be read as {' and as '.join(f'{a} to {b}' for a, b in fitting)}")
    return fitting[0] if fitting else None
