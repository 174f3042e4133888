"""Making the clips table of a data set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.clips.bounds import mean_gap, mean_of_gaps
from lmeec.clips.read import METADATA_KEY, SUMMARY_KEY, VERSION_KEY, check_replaceable, read_clips_metadata
from lmeec.clips.rows import readable_videos, take_rows
from lmeec.clips.schema import SCHEMA, SCHEMA_VERSION
from lmeec.clips.summary import ClipsSummary, Tally
from lmeec.clips.videos import VideoLength, video_lengths
from lmeec.data.descriptions import DescriptionsFile, descriptions_files, read_descriptions
from lmeec.data.recordings import Recording, find_recordings, takes_folder
from lmeec.errors import DataError, OutputError
from lmeec.files.places import Place, naming_unreadable
from lmeec.files.whole import written_whole
from lmeec.tables.metadata import digest_of_files
from lmeec.tables.parts import COMPRESSION
from lmeec.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from lmeec.clips.config import ClipsConfig
    from lmeec.clips.grounding import Grounding

_ROW_GROUP_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Source:
    """Descriptions, and the takes on disk that they may be of.

    Attributes:
        annotations: The files.
        descriptions: Uid to the file that describes the take, sorted by uid.
        recordings: Uid to the take's videos, for takes on disk.
        lengths: Video to its length.
    """

    annotations: tuple[Place, ...]
    descriptions: Mapping[str, DescriptionsFile]
    recordings: Mapping[str, Recording]
    lengths: Mapping[Place, VideoLength]

    @property
    def notices(self) -> list[str]:
        """What the user should know of how videos are read, in words that name their files."""
        return [length.notice for length in self.lengths.values() if length.notice is not None]


def read_source(
    root: Place,
    config: ClipsConfig,
    *,
    annotations: Place | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Source:
    """Find described takes and open their videos.

    Args:
        root: The data set's folder, or its `takes` folder.
        config: Says which video files to use.
        annotations: A file of atomic descriptions; None takes all in the folder `annotations`.
        on_progress: Called with how many videos were opened, and how many there are.

    Raises:
        DataError: There are no descriptions, none of their takes is on disk, or a file cannot be read.
    """
    folder = takes_folder(root)
    if annotations is not None:
        with naming_unreadable(annotations):
            if not annotations.is_file():
                raise DataError(f"{annotations}: there is no such file of atomic descriptions")
    files = [annotations] if annotations is not None else descriptions_files(folder.parent)
    if not files:
        raise DataError(
            f"{folder.parent / 'annotations'}: there is no atomic_descriptions_train.json or _val.json; download them "
            "(`egoexo --parts annotations --benchmarks atomic_descriptions`) or name a file with `annotations`",
            settings=["annotations"],
        )
    described = dict(read_descriptions(files))
    recordings = find_recordings(folder, described, config.video)
    if not any(recording.videos for recording in recordings.values()):
        raise DataError(
            f"{folder}: holds no videos of the {len(described)} takes that are described in "
            f"{' and '.join(map(str, files))}; download their videos or give another folder"
        )
    videos = {path: recording.frame_rate for recording in recordings.values() for path in recording.videos.values()}
    return Source(tuple(files), described, recordings, video_lengths(videos, on_progress))


def make_clips(
    source: Source, out: Path, config: ClipsConfig, *, results: Path | None = None, overwrite: bool = False
) -> ClipsSummary:
    """Write the clips table, sorted by take, time stamp, description and exo camera.

    Memory holds the descriptions of one take and some ten thousand rows. A table that is there already and was made
    of the same data and settings is kept.

    Args:
        source: Descriptions and takes.
        out: The Parquet file to write; it appears when it is whole.
        config: Which descriptions become clips, and how long these are.
        results: A results table, whose objects are looked for in the sentences.
        overwrite: Replace a table of other data or settings, or a damaged one.

    Raises:
        OutputError: `out` is another table, `results` or of other settings, or cannot be written; or `results` cannot
            be read.
    """
    if results is not None and results.resolve() == out.resolve():
        raise OutputError(
            f"`out` and `results` both name {out}: name another file to write", settings=["out", "results"]
        )
    if overwrite and out.exists():
        check_replaceable(out)
    grounding = None if results is None else _grounding(results, list(source.recordings))
    settings = _settings(source, config, grounding)
    if out.exists() and not overwrite:
        there = read_clips_metadata(out)
        if there.settings["fingerprint"] == settings["fingerprint"]:
            return there.summary
        raise OutputError(
            f"{out} was made of other takes, annotations or settings: name another file, or pass `overwrite=True`",
            settings=["overwrite"],
        )
    tally = Tally()
    gaps = _gaps(source, config)
    mean = mean_of_gaps(gap for of_take in gaps.values() for gap in of_take)
    schema = SCHEMA.with_metadata(
        {METADATA_KEY: json.dumps(settings).encode(), VERSION_KEY: str(SCHEMA_VERSION).encode()}
    )
    with (
        written_whole(out) as file,
        pq.ParquetWriter(file, schema, compression=COMPRESSION) as writer,
    ):
        for table in _gathered(_rows(source, config, gaps, mean, grounding, tally)):
            writer.write_table(table.cast(schema), _ROW_GROUP_ROWS)
        of_rule = mean if config.length.rule == "context" else None
        summary = tally.summary(of_rule, grounded=grounding is not None)
        writer.add_key_value_metadata({SUMMARY_KEY: json.dumps(summary.to_dict()).encode()})
    return summary


def _grounding(results: Path, uids: Sequence[str]) -> Grounding:
    from lmeec.clips.grounding import Grounding  # pandas takes a while to load

    return Grounding(results, uids)


def _settings(source: Source, config: ClipsConfig, grounding: Grounding | None) -> dict[str, Any]:
    videos = [
        (uid, recording.name, recording.scenario, camera, str(path), length.frames, str(length.rate))
        for uid, recording in sorted(source.recordings.items())
        for camera, path in recording.videos.items()
        for length in (source.lengths[path],)
    ]
    settings = {
        "lmeec_version": __version__,
        "settings": asdict(config),
        "annotation_digest": digest_of_files(source.annotations),
        "video_digest": hashlib.sha256(json.dumps(videos).encode()).hexdigest(),
        "results": None if grounding is None else grounding.identity,
    }
    fingerprint = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return settings | {"fingerprint": fingerprint}


def _gaps(source: Source, config: ClipsConfig) -> dict[str, list[float | None]]:
    """Mean gap of every pass over every take, on disk or not, without impossible time stamps.

    These are negative, or past the end of the take's longest video where that is known: one in milliseconds would
    otherwise change the length of every clip.
    """
    gaps: dict[str, list[float | None]] = {}
    for uid, file in source.descriptions.items():
        try:
            moments = file.moments(uid)
        except DataError:
            continue  # told when its descriptions are read
        end = _known_end(source, uid)
        used = (one.times if config.include_rejected or not one.rejected else () for one in moments)
        gaps[uid] = [mean_gap([time for time in times if 0 <= time <= end]) for times in used]
    return gaps


def _known_end(source: Source, uid: str) -> float:
    """Length of the take's longest video in seconds; infinity if none can be read."""
    recording = source.recordings.get(uid)
    lengths = [source.lengths[path] for path in recording.videos.values()] if recording is not None else []
    return max((length.seconds for length in lengths if length.problem is None), default=float("inf"))


def _rows(
    source: Source,
    config: ClipsConfig,
    gaps: Mapping[str, Sequence[float | None]],
    mean: float | None,
    grounding: Grounding | None,
    tally: Tally,
) -> Iterator[pa.RecordBatch]:
    for uid, file in source.descriptions.items():
        try:
            descriptions = file.read(uid)
        except DataError as error:
            tally.problems.append(str(error))
            continue
        videos = readable_videos(source.recordings.get(uid), source.lengths, len(descriptions), tally)
        if videos is None or not len(descriptions):
            continue
        rows = take_rows(videos, descriptions, gaps[uid], mean, config, tally)
        if grounding is not None:
            rows = grounding.objects(rows)
        tally.add(rows, {camera: length.seconds for camera, length in videos.lengths.items()})
        yield rows


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Join the rows of takes to tables of a row group's size or more."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= _ROW_GROUP_ROWS:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)
