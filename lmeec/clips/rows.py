"""The rows of one take: every usable description with every exo camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmeec.clips.bounds import Bounds, clip_bounds, clip_length
from lmeec.clips.schema import SCHEMA
from lmeec.clips.selection import usable, without_duplicates
from lmeec.clips.videos import VideoLength
from lmeec.data.recordings import Recording
from lmeec.files.names import show

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmeec.clips.config import ClipsConfig
    from lmeec.clips.summary import Tally
    from lmeec.data.descriptions import TakeDescriptions
    from lmeec.files.places import Place

VIDEOS_FOLDER = "videos"
"""In the folder that clips are cut to, holds them as MP4 files."""

_KEPT, _NOT_BEST, _OUTSIDE, _TOO_SHORT = range(4)
_PAIR_REASONS = {_NOT_BEST: "not_best_exo", _OUTSIDE: "outside_video", _TOO_SHORT: "too_short"}
_CLIP_REASONS = {_NOT_BEST: "no_best_exo_video", _OUTSIDE: "outside_video", _TOO_SHORT: "too_short"}


@dataclass(frozen=True, slots=True)
class TakeVideos:
    """The videos of a take that can be read.

    Attributes:
        recording: The take.
        ego: Name of the ego camera.
        exos: Names of the exo cameras.
        lengths: Camera to the length of its video.
    """

    recording: Recording
    ego: str
    exos: tuple[str, ...]
    lengths: Mapping[str, VideoLength]


def readable_videos(
    recording: Recording | None, lengths: Mapping[Place, VideoLength], descriptions: int, tally: Tally
) -> TakeVideos | None:
    """Choose the cameras of a take; None, and its descriptions are counted as dropped, if it has not both views.

    Args:
        recording: The take; None if it is not on disk.
        lengths: Video to its length, for all of the take's.
        descriptions: How many descriptions the take has.
        tally: Counts what is dropped.
    """
    if recording is None:
        tally.dropped_descriptions["take_not_on_disk"] += descriptions
        return None
    if recording.problem is not None:
        tally.problems.append(f"take {show(recording.name)}: {recording.problem}")
    of = {camera: lengths[path] for camera, path in recording.videos.items()}
    for camera, length in of.items():
        if length.problem is not None:
            tally.problems.append(f"take {show(recording.name)}, camera {show(camera)}: {length.problem}")
    ego = recording.ego
    if ego is None or of[ego].problem is not None:
        tally.dropped_descriptions["no_ego_video"] += descriptions
        return None
    exos = tuple(camera for camera in recording.exos if of[camera].problem is None)
    if not exos:
        tally.dropped_descriptions["no_exo_video"] += descriptions
        return None
    return TakeVideos(recording, ego, exos, of)


def take_rows(
    videos: TakeVideos,
    descriptions: TakeDescriptions,
    gaps: Sequence[float | None],
    mean: float | None,
    config: ClipsConfig,
    tally: Tally,
) -> pa.RecordBatch:
    """Make the rows of one take, sorted by time stamp, description and exo camera; objects are null.

    Args:
        videos: The take's videos.
        descriptions: What was said of it.
        gaps: Mean gap of each pass of an annotator, in seconds, as `bounds.mean_gap` gives it.
        mean: The mean of all gaps of all takes, in seconds.
        config: Which descriptions become clips, and how long these are.
        tally: Counts what is dropped.
    """
    chosen, dropped = usable(descriptions, config)
    tally.dropped_descriptions.update(dropped)
    times = np.array(descriptions.times, np.float64)[chosen]
    order = np.argsort(times, kind="stable")
    chosen, times = chosen[order], times[order]
    of_pass = np.array([clip_length(config.length, gap, mean) for gap in gaps], np.float64)
    lengths = of_pass[np.array(descriptions.passes, np.int64)[chosen]]

    exos = len(videos.exos)
    clip, exo = np.repeat(np.arange(len(chosen)), exos), np.tile(np.arange(exos), len(chosen))
    ego_frames = videos.lengths[videos.ego].frames
    frames = np.array([min(ego_frames, videos.lengths[camera].frames) for camera in videos.exos], np.int64)
    bounds = clip_bounds(times[clip], lengths[clip], frames[exo], videos.lengths[videos.ego].rate)
    best = np.array([_place(descriptions.best_exos[place], videos.exos) for place in chosen], np.int64)
    fate = np.where(bounds.end - bounds.start < config.length.shortest - 1e-9, _TOO_SHORT, _KEPT)
    fate = np.where(bounds.inside, fate, _OUTSIDE)
    if config.best_exo_only:
        fate = np.where(exo == best[clip], fate, _NOT_BEST)
    first = (fate.reshape(-1, exos) != _KEPT).all(axis=1)
    alive = np.flatnonzero(~first)  # only a sentence that becomes a clip can stand for others
    texts = [descriptions.texts[place] or "" for place in chosen[alive]]
    half = lengths[alive] / 2
    first[alive] = without_duplicates(texts, times[alive] - half, times[alive] + half, config.duplicates)
    tally.dropped_descriptions["duplicate"] += int((~first).sum())
    _count(fate.reshape(-1, exos)[first], tally)
    kept = (fate == _KEPT) & first[clip]
    return _batch(videos, descriptions, chosen, best, clip[kept], exo[kept], times, _narrowed(bounds, kept))


def clip_files(take: str, cameras: pa.Array, start: NDArray[np.int64], end: NDArray[np.int64]) -> pa.Array:
    """Give the files of clips in the folder that they are cut to; clips of the same camera and frames share one.

    Args:
        take: Name of the take's folder.
        cameras: Names, strings [N].
        start: First frames [N].
        end: Frames after the last ones [N].
    """
    first, last = (pc.utf8_lpad(pa.array(frames).cast(pa.string()), 6, "0") for frames in (start, end))
    names = pc.binary_join_element_wise(first, last, "-")
    names = pc.binary_join_element_wise(names, "mp4", ".")
    return pc.binary_join_element_wise(f"{VIDEOS_FOLDER}/{take}", cameras, names, "/")


def _place(camera: str | None, exos: Sequence[str]) -> int:
    """Where a camera is among others; -1 if it is not there, -2 if there is none."""
    if camera is None:
        return -2
    return exos.index(camera) if camera in exos else -1


def _count(fate: NDArray[np.int64], tally: Tally) -> None:
    """Count dropped pairs, and descriptions [N] of which every pair [N, exo cameras] was dropped."""
    for reason, name in _PAIR_REASONS.items():
        tally.dropped_pairs[name] += int((fate == reason).sum())
    lost = fate[(fate != _KEPT).all(axis=1)].max(axis=1, initial=_KEPT)
    for reason, name in _CLIP_REASONS.items():
        tally.dropped_descriptions[name] += int((lost == reason).sum())


def _narrowed(bounds: Bounds, kept: NDArray[np.bool_]) -> Bounds:
    return Bounds(
        bounds.start[kept], bounds.end[kept], bounds.start_frame[kept], bounds.end_frame[kept], bounds.inside[kept]
    )


def _batch(
    videos: TakeVideos,
    descriptions: TakeDescriptions,
    chosen: NDArray[np.int64],
    best: NDArray[np.int64],
    clip: NDArray[np.int64],
    exo: NDArray[np.int64],
    times: NDArray[np.float64],
    bounds: Bounds,
) -> pa.RecordBatch:
    recording, ego, count = videos.recording, videos.ego, len(clip)
    places = [descriptions.places[place] for place in chosen]

    def of_clip(values: Sequence[object], kind: pa.DataType) -> pa.Array:
        return pa.array([values[place] for place in chosen], kind).take(pa.array(clip))

    def of_exo(values: Sequence[str]) -> pa.Array:
        return pa.array(values, pa.string()).take(pa.array(exo))

    columns = {
        "take_uid": pa.repeat(recording.uid, count),
        "take_name": pa.repeat(recording.name, count),
        "scenario": pa.repeat(pa.scalar(recording.scenario, pa.string()), count),
        "annotator": of_clip(descriptions.annotators, pa.string()),
        "clip_id": pa.array([f"{recording.uid}-{a}-{d}" for a, d in places], pa.string()).take(pa.array(clip)),
        "text": of_clip(descriptions.texts, pa.string()),
        "subject": of_clip(descriptions.subjects, pa.string()),
        "timestamp": times[clip],
        "start": bounds.start,
        "end": bounds.end,
        "start_frame": bounds.start_frame,
        "end_frame": bounds.end_frame,
        "frame_rate": np.full(count, float(videos.lengths[ego].rate)),
        "ego_cam": pa.repeat(ego, count),
        "exo_cam": of_exo(videos.exos),
        "is_best_exo": pa.array(exo == best[clip], mask=best[clip] == -2),
        "ego_visible": of_clip(descriptions.ego_visible, pa.bool_()),
        "unsure": of_clip(descriptions.unsure, pa.bool_()),
        "ego_video": pa.repeat(str(recording.videos[ego]), count),
        "exo_video": of_exo([str(recording.videos[camera]) for camera in videos.exos]),
        "ego_clip": clip_files(recording.folder, pa.repeat(ego, count), bounds.start_frame, bounds.end_frame),
        "exo_clip": clip_files(recording.folder, of_exo(videos.exos), bounds.start_frame, bounds.end_frame),
        "objects": pa.nulls(count, SCHEMA.field("objects").type),
        "mean_confidence": pa.nulls(count, pa.float64()),
    }
    return pa.record_batch([_typed(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)


def _typed(values: pa.Array | NDArray[np.generic], kind: pa.DataType) -> pa.Array:
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)
