"""Names for files and folders of tracks: as they are called, in safe characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from lmeec.files.names import plain_names
from lmeec.tables.read import scan_results

if TYPE_CHECKING:
    from lmeec.files.locations import Location

_COLUMNS = ("take_uid", "take_name", "object", "query_cam", "target_cam")


@dataclass(frozen=True)
class TrackNames:
    """What takes, objects and cameras are called in paths, the same whichever of a table's tracks are asked for.

    Attributes:
        takes: by uid.
        objects: by name.
        cameras: by name.
    """

    takes: Mapping[str, str]
    objects: Mapping[str, str]
    cameras: Mapping[str, str]

    @classmethod
    def of(cls, results: Sequence[Location | str]) -> TrackNames:
        """Those of results tables.

        Raises:
            OutputError: a table cannot be read.
        """
        takes: dict[str, str] = {}
        objects: set[str] = set()
        cameras: set[str] = set()
        for one in results:
            for batch in scan_results(one, _COLUMNS):
                tracks = pa.Table.from_batches([batch]).group_by(list(_COLUMNS)).aggregate([]).to_pylist()
                for track in tracks:
                    takes[track["take_uid"]] = track["take_name"]
                    objects.add(track["object"])
                    cameras |= {track["query_cam"], track["target_cam"]}
        return cls(
            plain_names(takes, "take"),
            plain_names({name: name for name in objects}, "object"),
            plain_names({name: name for name in cameras}, "camera"),
        )

    def folder(self, take_uid: str, name: str) -> Path:
        """`TAKE/OBJECT`."""
        return Path(self.takes[take_uid], self.objects[name])

    def pair(self, query_cam: str, target_cam: str) -> str:
        """`QUERY_to_TARGET`."""
        return f"{self.cameras[query_cam]}_to_{self.cameras[target_cam]}"
