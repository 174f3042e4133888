"""Tying sentences to the objects that were segmented in both views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from lmeec.clips.mentions import Mentions
from lmeec.clips.schema import OBJECT, SCHEMA
from lmeec.errors import OutputError
from lmeec.tables.read import read_contents, read_metadata, result_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

REACH_SECONDS = 1.0
"""How far from a clip's middle a prediction may be: annotations are one a second, so that there is one in reach."""

_VISIBLE = 0.5
_TAKES_AT_ONCE = 64
_COLUMNS = (
    "take_uid",
    "object",
    "query_cam",
    "target_cam",
    "direction",
    "frame",
    "height",
    "width",
    "area",
    "bbox",
    "confidence",
)


class Grounding:
    """A results table, of which takes are read as they are asked for, in ascending order.

    Args:
        results: A file that `lmeec predict` wrote, or a folder that it filled.
        takes: Uids of the takes that will be asked for.

    Attributes:
        identity: Tells results apart.

    Raises:
        OutputError: The table cannot be read, or is no results table.
    """

    def __init__(self, results: Path, takes: Sequence[str]) -> None:
        self.identity = [read_metadata(results).fingerprint, read_contents(results).digest]
        self._dataset = ds.dataset([str(file) for file in result_files(results)], format="parquet")
        self._takes = sorted(takes)
        self._loaded: dict[str, pd.DataFrame] = {}
        self._waiting = 0

    def objects(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Fill in the objects that the sentences of one take mention, and their mean confidence.

        A box is that of the prediction nearest to the clip's middle frame, at most `REACH_SECONDS` from it: for the
        exo view the one made from the ego view, for the ego view the one made from the row's exo view. It is null
        where there is no such prediction, or it is that the object is not visible.

        Args:
            rows: Rows of one take. They stay without objects if the results do not have the take.

        Raises:
            OutputError: A file of the results is damaged.
        """
        if not rows.num_rows:
            return rows
        predictions = self._predictions(rows["take_uid"][0].as_py())
        if predictions is None:
            return rows
        mentioned = _mentioned(rows, Mentions(predictions["object"].unique()))
        reach = round(REACH_SECONDS * rows["frame_rate"][0].as_py())
        ego_cam = rows["ego_cam"][0].as_py()
        of_ego = predictions[(predictions.direction == "exo2ego") & (predictions.target_cam == ego_cam)]
        of_exo = predictions[(predictions.direction == "ego2exo") & (predictions.query_cam == ego_cam)]
        ego = _nearest(mentioned, of_ego.rename(columns={"query_cam": "exo_cam"}), reach)
        exo = _nearest(mentioned, of_exo.rename(columns={"target_cam": "exo_cam"}), reach)
        confidence = pd.concat([ego.confidence, exo.confidence], axis=1).mean(axis=1)
        objects = pa.StructArray.from_arrays(
            [
                pa.array(mentioned.object, pa.string()),
                _boxes(ego),
                _boxes(exo),
                _nullable(ego.frame, pa.int32()),
                _nullable(exo.frame, pa.int32()),
                _nullable(confidence, pa.float64()),
            ],
            fields=list(OBJECT),
        )
        counts = np.bincount(mentioned.row, minlength=rows.num_rows)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        means = confidence.groupby(mentioned.row.to_numpy()).mean().reindex(range(rows.num_rows))
        columns = {name: rows[name] for name in SCHEMA.names} | {
            "objects": pa.ListArray.from_arrays(offsets, objects).cast(SCHEMA.field("objects").type),
            "mean_confidence": _nullable(means, pa.float64()),
        }
        return pa.record_batch(list(columns.values()), schema=SCHEMA)

    def _predictions(self, uid: str) -> pd.DataFrame | None:
        """The predictions of a take; those of the next takes are read with it, as each reading looks at all files."""
        if uid not in self._loaded and self._waiting < len(self._takes) and uid >= self._takes[self._waiting]:
            start = self._takes.index(uid, self._waiting)
            chunk = self._takes[start : start + _TAKES_AT_ONCE]
            self._waiting = start + len(chunk)
            uids = ds.field("take_uid")
            # The range is what whole row groups are left out by.
            wanted = (uids >= chunk[0]) & (uids <= chunk[-1]) & uids.isin(chunk)
            try:
                table = self._dataset.to_table(columns=list(_COLUMNS), filter=wanted).to_pandas()
            except (pa.ArrowException, OSError) as error:
                raise self._damage(wanted, error) from error
            self._loaded = dict(list(table.groupby("take_uid")))
        return self._loaded.get(uid)

    def _damage(self, wanted: ds.Expression, error: Exception) -> OutputError:
        """Find the file of which these rows cannot be read, and say so."""
        for fragment in self._dataset.get_fragments():
            try:
                fragment.to_table(self._dataset.schema, columns=list(_COLUMNS), filter=wanted)
            except (pa.ArrowException, OSError) as its_error:
                return OutputError(f"{fragment.path} is damaged: predict its takes again ({its_error})")
        return OutputError(f"{', '.join(self._dataset.files)} cannot be read ({error})")


def _mentioned(rows: pa.RecordBatch, mentions: Mentions) -> pd.DataFrame:
    """One line for each row and object that it mentions, in the order of rows: row, object, exo_cam, middle."""
    start, end = rows["start_frame"].to_numpy(), rows["end_frame"].to_numpy()
    texts = rows["text"].dictionary_encode()
    found = [mentions.find(text) for text in texts.dictionary.to_pylist()]
    names = [found[place] for place in texts.indices.to_pylist()]
    lines = pd.DataFrame(
        {
            "row": np.arange(rows.num_rows),
            "object": names,
            "exo_cam": rows["exo_cam"].to_pylist(),
            "middle": (start.astype(np.int64) + end - 1) // 2,
        }
    )
    return lines.explode("object").dropna(subset="object").reset_index(drop=True).astype({"object": str})


def _nearest(mentioned: pd.DataFrame, predictions: pd.DataFrame, reach: int) -> pd.DataFrame:
    """The prediction of the object and exo camera that is nearest in time; lines of NaN where there is none."""
    by = ["object", "exo_cam"]
    columns = [*by, "frame", "height", "width", "area", "bbox", "confidence"]
    right = predictions[columns].astype({"frame": np.int64, "object": str, "exo_cam": str}).sort_values("frame")
    left = mentioned.astype({"exo_cam": str}).rename_axis("line").reset_index().sort_values("middle", kind="stable")
    joined = pd.merge_asof(
        left,
        right.assign(at=right.frame),
        left_on="middle",
        right_on="at",
        by=by,
        direction="nearest",
        tolerance=reach,
    )
    return joined.sort_values("line").reset_index(drop=True)


def _boxes(predictions: pd.DataFrame) -> pa.Array:
    """Boxes as fractions of the frame; null where the object is not visible."""
    visible = ((predictions.confidence > _VISIBLE) & (predictions.area > 0)).to_numpy()
    pixels = np.array([*predictions.bbox[visible]], np.float32).reshape(-1, 4)
    sizes = predictions.loc[visible, ["width", "height", "width", "height"]].to_numpy(np.float32)
    boxes: list[Any] = [None] * len(predictions)
    for place, box in zip(np.flatnonzero(visible), pixels / sizes, strict=True):
        boxes[place] = box
    return pa.array(boxes, OBJECT.field("ego_box").type)


def _nullable(values: pd.Series, kind: pa.DataType) -> pa.Array:
    return pa.array(values.to_numpy(np.float64), pa.float64(), from_pandas=True).cast(kind)
