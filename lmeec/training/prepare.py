"""Before a training on takes: find what can be trained on, and decode all of its frames once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.training.clips.tracks import TrainingTake, training_take
from lmeec.training.output.progress import Note, Preparing, TrainingReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from lmeec.data.take import Take
    from lmeec.data.takes import TakeSet
    from lmeec.training.clips.cache import FrameCache
    from lmeec.training.clips.config import ClipConfig
    from lmeec.training.config import TrainConfig
    from lmeec.training.group import Group


def prepare_takes(
    takes: TakeSet,
    config: TrainConfig,
    cache: FrameCache,
    group: Group,
    reporter: TrainingReporter,
    stopping: Callable[[], bool],
) -> list[TrainingTake] | None:
    """Find the takes to train on, with their frames in the cache; the processes divide the takes.

    Args:
        takes: of a data set.
        config: settings of the training.
        cache: is filled.
        group: this process.
        reporter: is told how far it is, and of what is left out: takes that cannot be read, tracks without a clip.
        stopping: whether to give up; what is decoded stays.

    Returns:
        The takes with a track to train on, the same in every process; None if given up.
    """
    mine = range(group.rank, len(takes), group.workers)
    found: dict[int, TrainingTake] = {}
    problems: list[str] = []
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), "decoding") as threads:
        for done, number in enumerate(mine, 1):
            if stopping():
                break
            take = takes[number]
            try:
                found[number] = _prepared(take, config, cache, threads)
                for notice in found[number].notices:
                    reporter.event(Note(f"take {show(take.name)}: {notice}"))
            except DataError as error:
                problems.append(f"take {show(take.name)} is left out: {error}")
                reporter.event(Note(problems[-1]))
            reporter.event(Preparing(done, len(mine)))
    if group.any(stopping()):
        return None
    whole = {number: take for part in group.gather(found) for number, take in part.items()}
    left_out = sum(len(part) for part in group.gather(problems))
    if group.leads:
        if left_out:
            reporter.event(Note(f"{left_out} of {len(takes)} takes cannot be read and are left out"))
        _tell_of_short_tracks(whole.values(), config.clips, reporter)
    return [whole[number] for number in sorted(whole) if whole[number].tracks]


def _tell_of_short_tracks(takes: Collection[TrainingTake], config: ClipConfig, reporter: TrainingReporter) -> None:
    short = sum(take.too_short for take in takes)
    if short:
        reporter.event(
            Note(
                f"{short} of {short + sum(len(take.tracks) for take in takes)} tracks (object, query camera, target "
                f"camera) have no {config.frames} successive frames with an annotation and are left out; "
                "clips of fewer frames need fewer"
            )
        )


def _prepared(take: Take, config: TrainConfig, cache: FrameCache, threads: ThreadPoolExecutor) -> TrainingTake:
    found = training_take(take, config.clips, config.rules.tracks)

    def fill(camera: str) -> None:
        cache.fill(take, take.cameras[camera], found.frames[camera])

    for _ in threads.map(fill, found.frames):
        pass
    return found
