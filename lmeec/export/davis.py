"""Results as DAVIS has its annotations: a folder a track, an indexed PNG a frame.

Names of takes, objects and cameras come from data files, so folders are named safely and `tracks.json` says which
folder is which track.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from PIL import Image

from lmeec.errors import DataError
from lmeec.files.folder import folder_written_whole
from lmeec.files.png import png_of
from lmeec.files.whole import naming_the_file, opened_to_write
from lmeec.tables.masks import predicted_mask
from lmeec.tables.takes import scan_takes
from lmeec.tables.track_names import TrackNames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lmeec.files.locations import Location

TRACKS = "tracks.json"

_TRACK = ("take_uid", "take_name", "direction", "query_cam", "target_cam", "object")
_COLUMNS = (*_TRACK, "frame", "height", "width", "mask_rle")
_PALETTE = (0, 0, 0, 236, 95, 103)  # background, object


@dataclass(frozen=True, slots=True)
class DavisSummary:
    """What an exported folder holds.

    Attributes:
        tracks: folders of images.
        frames: images.
    """

    tracks: int
    frames: int


def export_davis(results: Sequence[Location | str], out: Path, *, overwrite: bool = False) -> DavisSummary:
    """Write results as folders `Annotations/TAKE/OBJECT/QUERY_to_TARGET/FRAME.png`.

    Pixels are 0 for the background and 1 for the object, at the size of the table's masks. A frame without a prediction
    is all background, as it is scored.

    Args:
        results: results tables.
        out: folder to make.
        overwrite: replace a folder of an earlier export.

    Raises:
        OutputError: a table cannot be read, or the folder exists or cannot be written.
        DataError: the counts of a mask are bad, or two tables hold the same frame of a track.
    """
    tracks: dict[tuple[str, ...], dict[str, Any]] = {}
    names = TrackNames.of(results)
    with folder_written_whole(out, made_by=TRACKS, overwrite=overwrite) as folder:
        for path in results:
            for _, _, rows in scan_takes(path, _COLUMNS):
                for batch in rows.to_batches():
                    for row in batch.to_pylist():
                        _write(folder, out, names, tracks, row)
        with opened_to_write(folder / TRACKS, out / TRACKS) as file:
            file.write(msgspec.json.format(msgspec.json.encode(list(tracks.values())), indent=2))
    return DavisSummary(len(tracks), sum(track["frames"] for track in tracks.values()))


def _write(
    folder: Path, out: Path, names: TrackNames, tracks: dict[tuple[str, ...], dict[str, Any]], row: dict[str, Any]
) -> None:
    key = tuple(row[name] for name in _TRACK)
    if key not in tracks:
        safe_direction(row["direction"])
        pair = names.pair(row["query_cam"], row["target_cam"])
        place = Path("Annotations") / names.folder(row["take_uid"], row["object"]) / pair
        tracks[key] = {"folder": str(place), **{name: row[name] for name in _TRACK}, "frames": 0}
        with naming_the_file(out / place):
            (folder / place).mkdir(parents=True)
    track = tracks[key]
    file = folder / track["folder"] / f"{row['frame']:05d}.png"
    if file.exists():
        raise DataError(
            f"{file.relative_to(folder)} is in the results twice: give results of different runs one by one"
        )
    try:
        mask = predicted_mask(row["height"], row["width"], row["mask_rle"]).decode()
    except DataError as error:
        raise DataError(f"{', '.join(map(repr, key))}, frame {row['frame']}: {error}") from error
    with opened_to_write(file, out / file.relative_to(folder)) as image:
        image.write(png_of(indexed_image(mask)))
    track["frames"] += 1


def safe_direction(direction: str) -> str:
    """Take a direction as it is when it is one."""
    if direction not in ("ego2exo", "exo2ego"):
        raise DataError(f"the results hold a direction {direction!r}: there are ego2exo and exo2ego")
    return direction


def indexed_image(mask: NDArray[np.bool_]) -> Image.Image:
    """An image of palette indices: 1 where the mask is."""
    image = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8)).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(_PALETTE)
    return image
