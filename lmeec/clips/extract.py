"""Cutting the clips of a table to files, take by take.

What is done shows in the files themselves: a clip or a shard is there only when it is whole, so a run that was stopped
goes on by leaving out what is there. `extract.json` says what they were made of, and keeps two runs apart.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import time
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pyarrow as pa

from lmeec.clips.counting import FrameCount, Way, WayCounter
from lmeec.clips.cutting import Cut, count_frames, cut_video
from lmeec.clips.read import read_clips_metadata, scan_clip_takes
from lmeec.clips.rows import VIDEOS_FOLDER
from lmeec.clips.shards import write_shard
from lmeec.errors import ConfigError, DataError, DiskFullError, LmeecError, OutputError
from lmeec.files.names import show
from lmeec.files.places import place
from lmeec.files.whole import naming_the_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import FileIO

    from lmeec.config import ClipFormat
    from lmeec.runs.stop import Stop
    from lmeec.runs.tasks import TaskExecutor

MARKER = "extract.json"
SHARDS_FOLDER = "shards"
_WORK_FOLDER = ".work"
_SMALLEST, _LARGEST = 32, 4320


@dataclass(frozen=True, slots=True)
class ExtractConfig:
    """What to write.

    Attributes:
        formats: `mp4` writes a file a clip, `webdataset` a shard a take.
        short_side: Pixels of the shorter side of the clips.

    Raises:
        ConfigError: A value is outside of what it may be.
    """

    formats: tuple[ClipFormat, ...] = ("mp4",)
    short_side: int = 256

    def __post_init__(self) -> None:
        if not self.formats:
            raise ConfigError("formats must name mp4, webdataset or both")
        if not _SMALLEST <= self.short_side <= _LARGEST:
            raise ConfigError(
                f"`short_side` is {self.short_side}, but must be from {_SMALLEST} to {_LARGEST}",
                settings=["short_side"],
            )


@dataclass(frozen=True, slots=True)
class TakeJob:
    """The clips of one take.

    Attributes:
        number: Of the take in the table, which is that of its shard.
        rows: Its rows.
    """

    number: int
    rows: pa.Table

    @property
    def take(self) -> str:
        """The take's name."""
        return str(self.rows["take_name"][0])

    @property
    def frames(self) -> int:
        """Frames to read of all its videos."""
        return sum(count_frames(cuts) for cuts in _wanted(self, Path()).values())


@dataclass(frozen=True, slots=True)
class TakeResult:
    """What became of a take.

    Attributes:
        take: Its name.
        cut: Clips that were cut, a file each.
        kept: Clips that were there before, or in a shard that was.
        failures: What went wrong, in words that name take and camera.
        disk_full: No more can be written.
        number: The job's.
        read: Frames that were read.
    """

    take: str
    cut: int = 0
    kept: int = 0
    failures: tuple[str, ...] = ()
    disk_full: bool = False
    number: int = 0
    read: int = 0


@dataclass(slots=True)
class ExtractSummary:
    """What was extracted.

    Attributes:
        takes: Takes that are whole.
        cut: Clips that were cut, a file each.
        kept: Clips that were there before.
        seconds: How long it took.
        failures: What went wrong, in words that name take and camera.
        waiting: Takes that were not begun, as the run was stopped or the disk is full.
    """

    takes: int = 0
    cut: int = 0
    kept: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    waiting: int = 0


def extract_clips(
    table: Path,
    folder: Path,
    config: ExtractConfig,
    executor: TaskExecutor,
    *,
    overwrite: bool = False,
    stop: Stop | None = None,
    on_result: Callable[[TakeResult], None] = lambda _result: None,
    on_way: Callable[[Way], None] = lambda _way: None,
) -> ExtractSummary:
    """Cut the clips of a table; what is in the folder already is kept.

    A take whose videos are damaged does not stop the others: what can be cut of it is, and its shard has `.partial` in
    its name. It counts as failed, and the next run tries again what it lacks.

    Args:
        table: A clips table.
        folder: Where to: `videos/TAKE/CAMERA/START-END.mp4` and `shards/clips-NUMBER.tar`, or
            `shards/clips-NUMBER.partial.tar` without the rows that lack a clip.
        config: What to write.
        executor: Does the work.
        overwrite: Remove clips of another table or size that are in the folder.
        stop: Lets the caller end early: takes at hand are finished.
        on_result: Called with what became of each take.
        on_way: Called with how far the cutting is: before that, and every second or so by a thread.

    Raises:
        OutputError: The folder holds other things, or clips of another table or size, or cannot be written.
    """
    began = time.monotonic()
    summary = ExtractSummary()
    total = read_clips_metadata(table).summary.takes
    with (
        _claimed(table, folder, config, overwrite=overwrite),
        WayCounter(folder / _WORK_FOLDER, [job.frames for job in _jobs(table)], on_way) as way,
    ):
        ending = False
        begun = 0

        def jobs() -> Iterator[TakeJob]:
            nonlocal begun
            for job in _jobs(table):
                if ending or (stop is not None and stop.requested):
                    return
                begun += 1
                yield job

        work = partial(extract_take, folder=folder.absolute(), config=config, threads=executor.threads)
        for result in executor(work, jobs(), _died):
            summary.takes += not result.failures
            summary.cut += result.cut
            summary.kept += result.kept
            summary.failures += result.failures
            ending |= result.disk_full
            way.end(result.number, result.read)
            on_way(way.way)
            on_result(result)
        with contextlib.suppress(OSError):
            (folder / _WORK_FOLDER).rmdir()
    summary.waiting = total - begun
    summary.seconds = time.monotonic() - began
    return summary


def _jobs(table: Path) -> Iterator[TakeJob]:
    return (TakeJob(number, rows) for number, rows in enumerate(scan_clip_takes(table)))


def extract_take(job: TakeJob, folder: Path, config: ExtractConfig, threads: int) -> TakeResult:
    """Cut the clips of one take, each of its videos decoded once.

    Args:
        job: The take.
        folder: As for `extract_clips`.
        config: What to write.
        threads: Threads that decode; 0 takes one a core.
    """
    shard = folder / SHARDS_FOLDER / f"clips-{job.number:06d}.tar" if "webdataset" in config.formats else None
    if shard is not None and shard.exists():
        shard = None
    media = folder if "mp4" in config.formats else folder / _WORK_FOLDER / f"{job.number:06d}"
    wanted = _wanted(job, media)
    clips = sum(map(len, wanted.values()))
    if shard is None and media is not folder:
        shutil.rmtree(media, ignore_errors=True)  # of a run that was killed before it did so
        return TakeResult(job.take, kept=clips, number=job.number)
    rate = Fraction(job.rows["frame_rate"][0].as_py()).limit_denominator(1001)
    missing = {key: [cut for cut in cuts if not cut.path.exists()] for key, cuts in wanted.items()}
    kept = clips - sum(map(len, missing.values()))
    cut = 0
    failures: list[str] = []
    count = FrameCount(folder / _WORK_FOLDER, job.number)
    try:
        for (camera, video), cuts in missing.items():
            try:
                if cuts:
                    cut_video(place(video), cuts, config.short_side, rate, threads=threads, on_frame=count.add)
            except (DataError, av.FFmpegError) as error:
                failures.append(f"take {show(job.take)}, camera {show(camera)}: {error}")
            cut += sum(one.path.exists() for one in cuts)
        if shard is not None:
            _write_shard(shard, job, media, whole=not failures)
            if media is not folder and not failures:
                shutil.rmtree(media)
    except (LmeecError, OSError) as error:
        failures.append(f"take {show(job.take)}: {error}")
        return TakeResult(
            job.take, cut, kept, tuple(failures), isinstance(error, DiskFullError), job.number, count.frames
        )
    return TakeResult(job.take, cut, kept, tuple(failures), number=job.number, read=count.frames)


def _wanted(job: TakeJob, media: Path) -> dict[tuple[str, str], list[Cut]]:
    """The clips of each camera and its video; those of the same frames, from several rows, are one file."""
    cuts: dict[tuple[str, str], dict[str, Cut]] = defaultdict(dict)
    for view in ("ego", "exo"):
        columns = [f"{view}_cam", f"{view}_video", f"{view}_clip", "start_frame", "end_frame"]
        for camera, video, clip, start, end in zip(*(job.rows[name].to_pylist() for name in columns), strict=True):
            cuts[camera, video][clip] = Cut(start, end, media / clip)
    return {key: list(of_camera.values()) for key, of_camera in cuts.items()}


def _write_shard(shard: Path, job: TakeJob, media: Path, *, whole: bool) -> None:
    """Write a take's shard; if it is not whole, under another name and with the rows of which both clips are there."""
    partial_shard = shard.with_suffix(".partial.tar")
    partial_shard.unlink(missing_ok=True)
    rows = job.rows.to_pylist()
    if whole:
        write_shard(shard, rows, media)
        return
    there = [row for row in rows if (media / row["ego_clip"]).exists() and (media / row["exo_clip"]).exists()]
    if there:
        write_shard(partial_shard, there, media)


def _died(job: TakeJob, reason: str) -> TakeResult:
    return TakeResult(job.take, failures=(f"take {show(job.take)}: its worker failed: {reason}",), number=job.number)


@contextlib.contextmanager
def _claimed(table: Path, folder: Path, config: ExtractConfig, *, overwrite: bool) -> Iterator[None]:
    """Have the folder for this run alone.

    Raises:
        OutputError: It holds other things, or clips of another table or size, or another run is filling it.
    """
    marker = folder / MARKER
    made_of = {"clips": read_clips_metadata(table).settings["fingerprint"], "short_side": config.short_side}
    with naming_the_file(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not marker.exists() and any(folder.iterdir()):
            raise OutputError(f"{folder} holds other things than clips: name another folder")
        file = marker.open("a+b", buffering=0)
    with file:
        _lock(file, folder)
        file.seek(0)
        there = file.read()
        if there and _parsed(there) != made_of:
            if not overwrite:
                raise OutputError(
                    f"{folder} holds clips of another table or size: name another folder, or pass `overwrite=True` to "
                    "replace them",
                    settings=["overwrite"],
                )
            for name in (VIDEOS_FOLDER, SHARDS_FOLDER, _WORK_FOLDER):
                shutil.rmtree(folder / name, ignore_errors=True)
        if there != (said := json.dumps(made_of).encode()):
            with naming_the_file(marker):
                _mark(file, said)
        yield


def _mark(file: FileIO, said: bytes) -> None:
    """Fill the marker; half of it would say that the clips are of another table."""
    file.truncate(0)
    try:
        while said:
            said = said[file.write(said) :]
    except OSError:
        file.truncate(0)
        raise


def _parsed(text: bytes) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _lock(file: FileIO, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"{folder}: another run is writing clips there; wait for it, or name another folder"
        ) from None
    except OSError:
        return  # a file system without locks
