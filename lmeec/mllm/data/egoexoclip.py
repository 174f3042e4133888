"""Ego-ExoClip, as `lmeec clips` makes it: pairs of synchronised clips with a sentence (Exo2Ego, section 3).

Three ways to the same pairs: the table and the takes' own videos, of which frames are decoded by number; the table and
the clips that were cut to MP4 files; and WebDataset shards. Which descriptions count is not stated in the paper; here
it is what the wearer does and the ego camera shows. (`lmeec clips` leaves out the rejected and the unsure ones.)
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, overload

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmeec.clips.captions import caption_of
from lmeec.clips.extract import SHARDS_FOLDER
from lmeec.clips.read import scan_clip_takes
from lmeec.errors import DataError
from lmeec.files.json import decoder_of
from lmeec.files.names import show
from lmeec.files.reading import reading, understanding
from lmeec.files.whole import naming_the_file
from lmeec.mllm.data.frames import read_clip
from lmeec.mllm.data.sample import Clip, Sample
from lmeec.mllm.data.templates import INSTRUCTIONS, even_places

if TYPE_CHECKING:
    from numpy.typing import NDArray


SOURCE = "ego-exoclip"
TASK = "description"

Media = Literal["takes", "mp4"]

_COLUMNS = (
    "take_uid",
    "clip_id",
    "text",
    "subject",
    "ego_visible",
    "start_frame",
    "end_frame",
    "frame_rate",
    "exo_cam",
    "ego_video",
    "exo_video",
    "ego_clip",
    "exo_clip",
)
_SHORTEST = 2
_LARGEST_ROW = 2**20  # bytes
_CHOICES = ("wearer_only", "ego_visible_only")


@dataclass(frozen=True)
class PairConfig:
    """Which pairs are taken.

    Attributes:
        wearer_only: Only what the wearer of the ego camera does (subject C).
        ego_visible_only: Only what the ego camera shows.
        seed: Of the drawing of instructions.
    """

    wearer_only: bool = True
    ego_visible_only: bool = True
    seed: int = 0


class PairSamples(Sequence[Sample]):
    """The samples of many pairs, each made when it is asked for, so that a million take little memory.

    Args:
        rows: Of a clips table.
        media: Which videos they name.
        seed: Of the drawing of instructions.
        source: The table or the folder of shards, for messages.
    """

    def __init__(self, rows: pa.Table, media: Media, seed: int, source: Path) -> None:
        self._rows, self._media, self._source = rows.combine_chunks(), media, source
        self._told = even_places(len(INSTRUCTIONS["description"]), len(rows), seed, SOURCE).astype(np.int8)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Sample: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Sample]: ...

    def __getitem__(self, place: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(f"sample {place} of {len(self)}")
        place %= len(self)
        with understanding(self._source, DataError, "a source of pairs", "make it again with `lmeec clips`"):
            (row,) = self._rows.slice(place, 1).to_pylist()
        cut = self._media == "mp4"
        first, past = row["start_frame"], max(row["end_frame"], row["start_frame"] + _SHORTEST)
        with understanding(self._source, DataError, "a source of pairs", "make it again with `lmeec clips`"):
            return Sample(
                id=f"{row['clip_id']}_{row['exo_cam']}",
                video=row["ego_clip" if cut else "ego_video"],
                exo_video=row["exo_clip" if cut else "exo_video"],
                source=SOURCE,
                task=TASK,
                instruction=INSTRUCTIONS["description"][int(self._told[place])],
                answer=caption_of(row["text"]),
                frames=None if cut else (first, past),
                frame_rate=None if cut else row["frame_rate"],
            )


def read_pairs(table: Path, config: PairConfig | None = None, *, media: Media = "takes") -> PairSamples:
    """Read the pairs of a clips table.

    Args:
        table: What `lmeec clips` wrote.
        config: Which pairs are taken.
        media: `takes` names the takes' own videos, `mp4` the clips that `lmeec clips` cut, relative to their folder;
            `lmeec.mllm.data.reading.VideoClips` reads either.

    Raises:
        OutputError: The table cannot be read.
        DataError: It has no pairs that are to be taken.
    """
    config = config or PairConfig()
    kept = [_wanted(rows, config) for rows in scan_clip_takes(table, _COLUMNS)]
    rows = pa.concat_tables(kept) if kept else None
    if rows is None or not len(rows):
        raise DataError(
            f"{table}: has no pair that is to be taken: see what `lmeec clips` left out, or take what others do "
            "(`wearer_only=False`) and what the ego camera does not show (`ego_visible_only=False`)",
            settings=_CHOICES,
        )
    return PairSamples(rows, media, config.seed, table)


def _wanted(rows: pa.Table, config: PairConfig) -> pa.Table:
    keep = pa.array(np.ones(len(rows), bool))
    if config.wearer_only:
        keep = pc.and_(keep, pc.fill_null(pc.equal(rows["subject"], "C"), False))
    if config.ego_visible_only:
        keep = pc.and_(keep, pc.fill_null(rows["ego_visible"], False))
    return rows.filter(keep)


class _Row(msgspec.Struct):
    """What is read of a sample's JSON."""

    take_uid: str
    clip_id: str
    text: str
    start_frame: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    end_frame: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    frame_rate: float
    exo_cam: str
    subject: str | None = None
    ego_visible: bool | None = None
    ego_video: str | None = None
    exo_video: str | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a clip is in a shard: the shard, and offset and bytes of either view."""

    shard: Path
    ego: tuple[int, int]
    exo: tuple[int, int]


class ShardClips:
    """Pairs out of WebDataset shards; a `ClipSource`.

    The shards' directories are read once, at the beginning; a clip is read where it lies, without what is before it.

    Args:
        folder: That `lmeec clips` cut clips to, or its folder of shards.
        frames: Looks at a clip.
        config: Which pairs are taken.

    Raises:
        DataError: There are no shards, a shard is damaged, or none of its pairs is to be taken; names the file.
    """

    def __init__(self, folder: Path, frames: int, config: PairConfig | None = None) -> None:
        config = config or PairConfig()
        self._frames = frames
        home = folder / SHARDS_FOLDER if (folder / SHARDS_FOLDER).is_dir() else folder
        shards = sorted(home.glob("*.tar"))
        if not shards:
            raise DataError(f"{home}: holds no shards; make them with `lmeec clips` in the format webdataset")
        self._places: list[_Place] = []
        rows: list[dict[str, Any]] = []
        for shard in shards:
            for row, place in _members(shard):
                hidden = config.ego_visible_only and row["ego_visible"] is not True
                if hidden or (config.wearer_only and row["subject"] != "C"):
                    continue
                self._places.append(place)
                rows.append(row)
        if not rows:
            raise DataError(
                f"{home}: none of its pairs is to be taken, see `wearer_only` and `ego_visible_only`", settings=_CHOICES
            )
        names = {"ego_clip": "ego.mp4", "exo_clip": "exo.mp4"}
        self.samples = PairSamples(pa.Table.from_pylist([row | names for row in rows]), "mp4", config.seed, home)

    def __len__(self) -> int:
        return len(self._places)

    def read(self, place: int) -> Clip:
        """Give a pair with its pictures.

        Raises:
            DataError: A clip is damaged; names the shard.
        """
        at, sample = self._places[place], self.samples[place]
        return Clip(sample, self._pictures(at.shard, at.ego, sample), self._pictures(at.shard, at.exo, sample))

    def _pictures(self, shard: Path, where: tuple[int, int], sample: Sample) -> NDArray[np.uint8]:
        offset, size = where
        with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
            with reading(shard, DataError, "a shard", "cut the clips again"), shard.open("rb") as tar:
                tar.seek(offset)
                clip = tar.read(size)
            with naming_the_file(Path(file.name)):
                file.write(clip)
                file.flush()
            try:
                return read_clip(Path(file.name), self._frames)
            except DataError as error:
                said = str(error).replace(file.name, str(shard))
                raise DataError(f"{sample}: {said}") from error


def _members(shard: Path) -> list[tuple[dict[str, Any], _Place]]:
    """What a shard holds: each sample's row, and where its clips are."""
    found: dict[str, dict[str, tarfile.TarInfo]] = {}
    told: dict[str, dict[str, Any]] = {}
    mend = "remove it, and cut the clips again"
    with reading(shard, DataError, "a shard", mend), tarfile.open(shard, "r:") as tar:
        for member in tar:
            key, _, ending = member.name.partition(".")
            found.setdefault(key, {})[ending] = member
            if member.issparse() or (ending == "json" and member.size > _LARGEST_ROW):
                raise DataError(f"{shard}: has a member that `lmeec clips` does not write; {mend}")
            if ending == "json" and (file := tar.extractfile(member)) is not None:
                told[key] = msgspec.structs.asdict(decoder_of(_Row).decode(file.read()))
    pairs = []
    for key, row in told.items():
        parts = found[key]
        if "ego.mp4" not in parts or "exo.mp4" not in parts:
            raise DataError(f"{shard}: sample {show(key[:60])} lacks ego.mp4 or exo.mp4; cut the clips again")
        ego, exo = ((parts[name].offset_data, parts[name].size) for name in ("ego.mp4", "exo.mp4"))
        pairs.append((row, _Place(shard, ego, exo)))
    return pairs
