"""What the stages of a training learn from: pairs of clips with captions, then questions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lmeec.errors import ConfigError, require
from lmeec.mllm.data.egoexoclip import PairConfig, ShardClips, read_pairs
from lmeec.mllm.data.reading import VideoClips
from lmeec.mllm.data.set_names import Set
from lmeec.mllm.data.sets import JoinedClips, read_set
from lmeec.mllm.synthetic.store import drawn_clips
from lmeec.mllm.synthetic.world import TAKES, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmeec.mllm.data.source import ClipSource
    from lmeec.mllm.settings import Stage

PairMedia = Literal["takes", "mp4", "shards"]
"""Where the frames of pairs are: in the takes' own videos, in clips cut to files, or in shards."""

_QUESTIONS: Stage = 3


@dataclass(frozen=True)
class QuestionSet:
    """A file of questions to learn from.

    Attributes:
        file: The file.
        videos: Folder that its videos are in; None where it names whole paths.
        kind: Whose file it is.
        beside: A second file that belongs to it; see `read_set`.
    """

    file: Path
    videos: Path | None = None
    kind: Set = "questions"
    beside: Path | None = None

    def absolute(self) -> QuestionSet:
        """The same, as workers in other folders find it."""
        return replace(
            self,
            file=self.file.absolute(),
            videos=self.videos and self.videos.absolute(),
            beside=self.beside and self.beside.absolute(),
        )


@dataclass(frozen=True)
class TrainingData:
    """What is learned from; either files, or synthetic takes.

    Attributes:
        pairs: Table of `lmeec clips`, for stages 0 to 2; none with shards, which hold it.
        media: Where the pairs' frames are.
        clips: Folder that `lmeec clips` cut clips to, for `mp4` and `shards`.
        wearer_only: Only pairs of what the wearer of the ego camera does.
        ego_visible_only: Only pairs of what the ego camera shows.
        questions: For stage 3.
        synthetic: Learn from synthetic takes in place of files.
        takes: How many of these.
        world: Their setting.

    Raises:
        ConfigError: Settings that do not go together.
    """

    pairs: Path | None = None
    media: PairMedia = "takes"
    clips: Path | None = None
    wearer_only: bool = True
    ego_visible_only: bool = True
    questions: tuple[QuestionSet, ...] = ()
    synthetic: bool = False
    takes: int = TAKES["train"]
    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        require(1 <= self.takes <= TAKES["train"], "data.takes", self.takes, f"from 1 to {TAKES['train']}")
        if self.synthetic and (self.pairs is not None or self.clips is not None or self.questions):
            raise ConfigError(
                "`data.synthetic` takes the place of `data.pairs`, `data.clips` and `data.questions`; leave these out",
                settings=["data.synthetic", "data.pairs", "data.clips", "data.questions"],
            )
        if self.media != "takes" and self.pairs is not None and self.clips is None:
            raise ConfigError(
                f"`data.media` is {self.media}, so `data.clips` must name the folder of the clips",
                settings=["data.media", "data.clips"],
            )

    def absolute(self) -> TrainingData:
        """The same, as workers in other folders find it."""
        return replace(
            self,
            pairs=self.pairs and self.pairs.absolute(),
            clips=self.clips and self.clips.absolute(),
            questions=tuple(one.absolute() for one in self.questions),
        )


def clips_of_stage(
    data: TrainingData,
    stage: Stage,
    frames: int,
    drawn: Path,
    *,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> ClipSource:
    """Give the clips that a stage learns from.

    Args:
        data: What is learned from.
        stage: 0 to 2 learn captions of pairs, 3 answers to questions. Of synthetic takes, 0 learns both: what is
            frozen later has to know what a question is, as an instruction-tuned language model does.
        frames: Looks at a clip.
        drawn: Folder that synthetic clips are kept in; they are drawn unless they are there.
        seed: Of what readers draw.
        on_progress: Is called with the synthetic takes that are drawn, and all.

    Raises:
        ConfigError: There is nothing for this stage; names the setting.
        DataError: A file is not of its shape; names file, line and key.
        OutputError: A clips table cannot be read.
    """
    if data.synthetic:
        require(frames == data.world.frames, "data.world.frames", data.world.frames, f"those of the model, {frames}")
        clips = drawn_clips(drawn, data.world, "train", data.takes, on_progress=on_progress)
        if stage == 0:
            return JoinedClips((clips.captions(), clips.questions()))
        return clips.questions() if stage == _QUESTIONS else clips.captions()
    if stage == _QUESTIONS:
        if not data.questions:
            raise ConfigError(
                "stage 3 learns from questions: name files of them in `data.questions`, or take `data.synthetic`",
                settings=["data.questions", "data.synthetic"],
            )
        return JoinedClips(tuple(_questions(one, frames, seed) for one in data.questions))
    return _pairs(data, stage, frames, seed)


def _questions(one: QuestionSet, frames: int, seed: int) -> VideoClips:
    return VideoClips(read_set(one.kind, one.file, one.beside, seed), one.videos, frames)


def _pairs(data: TrainingData, stage: Stage, frames: int, seed: int) -> ClipSource:
    config = PairConfig(data.wearer_only, data.ego_visible_only, seed)
    if data.media == "shards":
        if data.clips is None:
            raise ConfigError(
                f"stage {stage} learns from pairs: name the folder of their shards in `data.clips`",
                settings=["data.clips"],
            )
        return ShardClips(data.clips, frames, config)
    if data.pairs is None:
        raise ConfigError(
            f"stage {stage} learns from pairs: name a table of `lmeec clips` in `data.pairs`, or take `data.synthetic`",
            settings=["data.pairs", "data.synthetic"],
        )
    return VideoClips(read_pairs(data.pairs, config, media=data.media), data.clips, frames)
