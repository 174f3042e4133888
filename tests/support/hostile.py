"""Every reader of files as a function, by the name that inputs for it begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _video(path: Path, _folder: Path) -> None:
    from lmeec.clips.videos import video_lengths
    from lmeec.video.instants import USUAL_RATE, open_video

    video_lengths({path: USUAL_RATE})
    with open_video(path, USUAL_RATE, size=(64, 64), threads=1) as video:
        for _ in video.read(range(video.num_frames)):
            pass


def _weights(path: Path, _folder: Path) -> None:
    from lmeec.model.build import read_model
    from lmeec.model.checkpoint import read_checkpoint
    from lmeec_cli.checkpoint import _facts

    _facts(read_checkpoint(path))
    read_model(path)


def _training_state(path: Path, folder: Path) -> None:
    from lmeec.training.output.folder import STATE, TrainingFolder
    from lmeec.training.run import go_on

    training = folder / "training"
    training.mkdir()
    (training / STATE).symlink_to(path)
    go_on(_Loop(), TrainingFolder(training), {"seed": 1})


class _Loop:
    def restore(self, state: object) -> None:
        pass


def _clips_table(path: Path, folder: Path) -> None:
    from lmeec.clips.instruct import InstructConfig, write_instructions

    write_instructions(path, folder / "out.jsonl", InstructConfig())


def _results_table(path: Path, _folder: Path) -> None:
    from lmeec.analysis.frames import GROUPINGS, load_frames
    from lmeec.tables import read_contents, read_coverage, read_results

    load_frames(path, GROUPINGS, numbers=True)
    read_results(path)
    read_coverage(path)
    read_contents(path)


def _part(path: Path, _folder: Path) -> None:
    from lmeec.tables import read_results
    from lmeec.tables.merge import read_part_infos

    read_part_infos([path])
    read_results(path)


def _progress(path: Path, folder: Path) -> None:
    from lmeec.runs.heartbeat import read_heartbeat

    (folder / "progress.json").symlink_to(path)
    read_heartbeat(folder)


def _calibration(path: Path, _folder: Path) -> None:
    from lmeec.analysis.calibration import read_calibration

    read_calibration(path)


def _recipe(path: Path, _folder: Path) -> None:
    from lmeec_cli.recipe_file import read_recipe

    read_recipe(path)


def _train_config(path: Path, _folder: Path) -> None:
    from lmeec_cli.train_file import read_settings

    read_settings(path)


def _descriptions(path: Path, _folder: Path) -> None:
    from lmeec.data.descriptions import DescriptionsFile

    file = DescriptionsFile(path)
    for uid in file.uids:
        file.moments(uid)
        file.read(uid)


def _truth(path: Path, _folder: Path) -> None:
    from lmeec.importing.truth import TruthFile

    file = TruthFile(path)
    for uid in file.uids:
        for track in file.take(uid).tracks.values():
            for frame in track.frames:
                track.mask(frame)


READERS: dict[str, Callable[[Path, Path], None]] = {
    "calibration": _calibration,
    "checkpoint": _weights,
    "clips-table": _clips_table,
    "descriptions": _descriptions,
    "import": _truth,
    "part": _part,
    "progress": _progress,
    "recipe": _recipe,
    "results-table": _results_table,
    "train-config": _train_config,
    "training-state": _training_state,
    "video": _video,
    "weights": _weights,
}
"""Each is given the input, and an empty folder to work in."""
