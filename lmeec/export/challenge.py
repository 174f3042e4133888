"""The prediction file of the Ego-Exo4D correspondence challenge.

One JSON document for both directions, as the ego-exo4d-relation benchmark's evaluation reads it::

    {"ego-exo": {"version": "xx", "challenge": "xx", "results": {TAKE_UID: {
        "masks": {OBJECT: {"QUERY_TARGET": {FRAME: {"pred_mask": {"size": [H, W], "counts": TEXT}, "confidence": P}}}},
        "subsample_idx": [FRAME, ...]}}},
     "exo-ego": ...}

Its validation asks for every take and object of the annotations, no others, and for every pair of an ego and an exo
camera a prediction at each frame at which the query camera has a mask. The files of the test split have query masks
only: there, the cameras of a take are those that the file names for any object, or those of the results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from lmeec.config import VIEWS
from lmeec.data.naming import EGO_RULE, view_by_name
from lmeec.data.truth import EvaluationSizes
from lmeec.errors import DataError
from lmeec.files.names import first_few, show
from lmeec.files.reading import in_short
from lmeec.files.whole import written_whole
from lmeec.importing.truth import TruthFile
from lmeec.masks import RunLengthMask, evaluation_size, resize_nearest
from lmeec.tables.masks import predicted_mask
from lmeec.tables.merge import check_free
from lmeec.tables.read import read_metadata
from lmeec.tables.takes import scan_takes

if TYPE_CHECKING:
    from pathlib import Path

    from lmeec.config import Direction, View
    from lmeec.data.tracks import MaskTrack
    from lmeec.files.locations import Location

DIRECTIONS: dict[Direction, str] = {"ego2exo": "ego-exo", "exo2ego": "exo-ego"}
"""The challenge's names of the directions."""

_COLUMNS = ("object", "query_cam", "target_cam", "frame", "height", "width", "mask_rle", "confidence")

_Frames = dict[str, dict[str, Any]]
_Masks = dict[str, dict[str, _Frames]]


@dataclass(frozen=True, slots=True)
class ChallengeSummary:
    """What an exported file holds.

    Attributes:
        takes: number of takes, by direction.
        predictions: number of predictions from the results, by direction.
        missing: number of frames that the results have no prediction of, and which are written as empty masks of
            confidence 0, by direction.
        filled: number of empty masks added where the annotations ask for a prediction and there is none, by
            direction; None when no annotations were given to tell.
    """

    takes: Mapping[str, int]
    predictions: Mapping[str, int]
    missing: Mapping[str, int]
    filled: Mapping[str, int] | None


def export_challenge(
    results: Sequence[Location | str],
    out: Location,
    *,
    annotations: Path | None = None,
    overwrite: bool = False,
) -> ChallengeSummary:
    """Write the challenge's prediction file from one run, or from several that do not overlap.

    Args:
        results: results tables; one with both directions, or one a direction.
        out: JSON file to write.
        annotations: relations file of the split, or the benchmark's processed ground truth. With it, predictions that
            the validation asks for and the results lack are added as empty masks of confidence 0, and results that it
            does not ask for are refused.
        overwrite: replace an existing file.

    Raises:
        OutputError: a table cannot be read, or the file exists or cannot be written.
        DataError: two tables hold the same take and direction, results do not go with the annotations, or their masks
            are of another shape than the frames.
    """
    check_free(out, overwrite=overwrite)
    for path in results:
        selection = read_metadata(path).selection
        if selection is not None:
            raise DataError(
                f"{path} is a selection ({in_short(selection, 80)}), and the challenge asks for all of a run: export "
                "the table that it was selected from"
            )
        if read_metadata(path).has_square_masks:
            raise DataError(
                f'{path}: its masks are at 480x480 whatever the frame\'s shape (`mask_size="square"`), which the '
                'challenge does not compare: predict without `mask_size="square"`',
                settings=["mask_size"],
            )
    expected = None if annotations is None else TruthFile(annotations)
    writer = _Writer(results, expected)
    with written_whole(out) as file:
        separator = b"{"
        for direction, name in DIRECTIONS.items():
            file.write(separator + msgspec.json.encode(name) + b':{"version":"xx","challenge":"xx","results":{')
            writer.write(file, direction)
            file.write(b"}}")
            separator = b","
        file.write(b"}\n")
    return ChallengeSummary(
        writer.takes, writer.predictions, writer.missing, None if expected is None else writer.filled
    )


class _Writer:
    def __init__(self, results: Sequence[Location | str], expected: TruthFile | None) -> None:
        self._results = results
        self._expected = expected
        self.takes: Counter[str] = Counter()
        self.predictions: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self.filled: Counter[str] = Counter()

    def write(self, file: BinaryIO, direction: Direction) -> None:
        """Write the results of one direction, a take at a time."""
        for uid, masks in self._takes(direction):
            if self._expected is not None:
                self.filled[direction] += self._fill(masks, self._expected.take(uid).tracks, direction, uid)
            separator = b"," if self.takes[direction] else b""
            frames = {int(frame) for pairs in masks.values() for some in pairs.values() for frame in some}
            take = {"masks": masks, "subsample_idx": sorted(frames)}
            file.write(separator + msgspec.json.encode(uid) + b":" + msgspec.json.encode(take))
            self.takes[direction] += 1

    def _takes(self, direction: Direction) -> Iterator[tuple[str, _Masks]]:
        seen: dict[str, Location | str] = {}
        for path in self._results:
            for uid, _, rows in scan_takes(path, _COLUMNS, pc.field("direction") == direction):
                if uid in seen:
                    raise DataError(
                        f"{seen[uid]} and {path} both hold take {show(uid)} in direction {direction}: give results of "
                        "different takes or directions"
                    )
                if self._expected is not None and uid not in self._expected.uids:
                    raise DataError(
                        f"{path} holds take {show(uid)}, which {self._expected.path} does not name: give the "
                        "annotations that were predicted from"
                    )
                seen[uid] = path
                self.missing[direction] += rows["mask_rle"].null_count
                self.predictions[direction] += rows.num_rows - rows["mask_rle"].null_count
                _check_names(rows, path, uid, direction)
                yield uid, _masks(rows)
        for uid in self._expected.uids if self._expected is not None else ():
            if uid not in seen:
                yield uid, {}

    def _fill(self, masks: _Masks, tracks: Mapping[tuple[str, str], MaskTrack], direction: Direction, uid: str) -> int:
        """Add what the validation asks for and is not there; returns the number of predictions added."""
        objects = dict.fromkeys(name for name, _ in tracks)
        foreign = [name for name in masks if name not in objects]
        if foreign:
            raise DataError(
                f"take {show(uid)}: the results hold objects that the annotations do not name ({first_few(foreign)}): "
                "give the annotations that were predicted from"
            )
        sizes = EvaluationSizes(tracks)
        query_view, target_view = VIEWS[direction]
        added = 0
        for name in objects:
            masks.setdefault(name, {})
        for (name, query), track in tracks.items():
            if view_by_name(query) != query_view or not track.frames:
                continue
            for target in self._targets(tracks, uid, target_view):
                frames = masks[name].setdefault(f"{query}_{target}", {})
                height, width = sizes.of(name, target, target_view)
                empty = {"size": [height, width], "counts": RunLengthMask.empty(height, width).counts}
                for frame in track.frames:
                    if str(frame) not in frames:
                        frames[str(frame)] = {"pred_mask": empty, "confidence": 0.0}
                        added += 1
        return added

    def _targets(self, tracks: Mapping[tuple[str, str], MaskTrack], uid: str, view: View) -> list[str]:
        """Target cameras of a take: those in the annotations, for whatever object, else those in the results."""
        for cameras in ({camera for _, camera in tracks}, self._result_cameras.get(uid, set())):
            targets = sorted(camera for camera in cameras if view_by_name(camera) == view)
            if targets:
                return targets
        assert self._expected is not None
        raise DataError(
            f"take {show(uid)}: neither {self._expected.path} nor the results name its {view} cameras, so what is "
            "asked for cannot be told: predict this take too, or give the results that hold it"
        )

    @cached_property
    def _result_cameras(self) -> dict[str, set[str]]:
        """Cameras in the results, of either direction, by take."""
        found: dict[str, set[str]] = {}
        for path in self._results:
            for uid, _, rows in scan_takes(path, ("query_cam", "target_cam")):
                for name in ("query_cam", "target_cam"):
                    found.setdefault(uid, set()).update(pc.unique(rows[name]).to_pylist())
        return found


def _check_names(rows: pa.Table, path: Location | str, uid: str, direction: Direction) -> None:
    """Refuse takes of other data sets: the challenge knows a camera's view by its name alone.

    Raises:
        DataError: a camera is not called as one of its view is in Ego-Exo4D.
    """
    for column, view in zip(("query_cam", "target_cam"), VIEWS[direction], strict=True):
        foreign = [name for name in pc.unique(rows[column]).to_pylist() if view_by_name(name) != view]
        if foreign:
            raise DataError(
                f"{path}: take {show(uid)}: {first_few(foreign)} is an {view} camera in {direction}, and is not called "
                f"as one in Ego-Exo4D, where {EGO_RULE}: the challenge takes Ego-Exo4D alone; export to another format"
            )


def _masks(rows: pa.Table) -> _Masks:
    masks: _Masks = {}
    columns = (rows[name].to_pylist() for name in _COLUMNS)
    for name, query, target, frame, height, width, counts, confidence in zip(*columns, strict=True):
        mask = resize_nearest(predicted_mask(height, width, counts), evaluation_size(height, width))
        prediction = {"pred_mask": {"size": [mask.height, mask.width], "counts": mask.counts}, "confidence": confidence}
        masks.setdefault(name, {}).setdefault(f"{query}_{target}", {})[str(frame)] = prediction
    return masks
