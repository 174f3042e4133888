"""Writes synthetic takes to disk in the release layout: takes.json, annotations, and the videos of every camera.

The writer owns its output directory: `synthetic.json` marks it and records its settings, videos are written next, and
takes.json and the annotations come last, so a directory with these is whole.
"""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from lzstring import LZString
from numpy.typing import NDArray

from lmeec.errors import ConfigError, OutputError
from lmeec.files.whole import naming_the_file, written_whole
from lmeec.masks import RunLengthMask
from lmeec.synthetic.descriptions import MIN_VISIBLE_PIXELS, describe
from lmeec.synthetic.marker import MARKER
from lmeec.synthetic.render import Renderer
from lmeec.synthetic.scene import Camera, Scene, SceneConfig
from lmeec.synthetic.scene_builder import make_scene
from lmeec.synthetic.video import data_set_video

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOWNSCALED_SIDE = 448
_MIN_SIZE, _MAX_SIZE = 64, 2160
_NAMESPACE = uuid.UUID("5d1f7d0e-52c7-4f39-9d4a-0c6b58b0a6f2")


@dataclass(frozen=True)
class DatasetConfig:
    """What to write. `size` is the height of all videos in pixels: ego frames are square, exo frames 16:9.

    Raises:
        ConfigError: if a value is outside of what it may be.
    """

    takes: int = 4
    seed: int = 0
    scene: SceneConfig = field(default_factory=SceneConfig)
    size: int = DOWNSCALED_SIDE
    split: str = "val"
    downscaled: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.takes <= 100_000:
            raise ConfigError(f"takes must be from 1 to 100000, not {self.takes}")
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, not {self.seed}")
        if not _MIN_SIZE <= self.size <= _MAX_SIZE or self.size % 2:
            raise ConfigError(f"size must be an even number from {_MIN_SIZE} to {_MAX_SIZE}, not {self.size}")
        if self.split not in ("train", "val"):
            raise ConfigError(f"split must be train or val, not {self.split!r}")
        if self.workers < 1:
            raise ConfigError(f"workers must be at least 1, not {self.workers}")


@dataclass(frozen=True)
class Progress:
    """What has been rendered: frames of all cameras so far and in all, and the video that has just been finished."""

    frames: int
    total_frames: int
    finished: str | None = None


def frame_size(camera: Camera, height: int) -> tuple[int, int]:
    """(height, width) of a camera's video, both even: ego 448x448, exo 448x796 at a height of 448."""
    return height, 2 * round(height * camera.aspect / 2)


def take_seed(seed: int, index: int) -> int:
    """The scene seed of a data set's take, so that takes of different data sets differ."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def write_dataset(
    out: Path, config: DatasetConfig, *, overwrite: bool = False, on_progress: Callable[[Progress], None] | None = None
) -> None:
    """Render takes into `out`, in the layout that the data set's downloader leaves on disk.

    Args:
        out: a directory that does not exist yet or is empty.
        config: what to render.
        overwrite: replace what an earlier run of this function left in `out`.
        on_progress: called from the thread that calls this function, after frames have been rendered.

    Raises:
        OutputError: if `out` holds something, or cannot be written to.
    """
    _check_out(out, overwrite)
    with naming_the_file(out):
        _clear(out)
    _write_json(out / MARKER, _settings(config))
    takes = [_Take(config, index) for index in range(config.takes)]
    _render_all(out, config, takes, on_progress)
    annotations = out / "annotations"
    _write_json(annotations / f"relations_{config.split}.json", _relations(takes))
    _write_json(annotations / f"atomic_descriptions_{config.split}.json", _descriptions(takes))
    _write_json(out / "takes.json", [take.entry() for take in takes])


class _Take:
    """One take while it is rendered: its scene, its names, and the annotations gathered so far."""

    def __init__(self, config: DatasetConfig, index: int) -> None:
        seed = take_seed(config.seed, index)
        self.scene: Scene = make_scene(seed, config.scene)
        self.name = f"synth_{self.scene.theme}_{config.seed}_{index:04d}"
        self.uid = str(uuid.uuid5(_NAMESPACE, f"{config.seed}/{index}"))
        self.masks: dict[str, dict[str, dict[str, Any]]] = {}
        self.visible: dict[str, NDArray[np.int64]] = {}

    def entry(self) -> dict[str, Any]:
        """This take's entry in takes.json."""
        videos: dict[str, dict[str, Any]] = {}
        for camera in self.scene.cameras:
            stream = "rgb" if camera.is_ego else "0"
            name = camera.name.split("_")[0]
            stream_id = camera.name.split("_")[-1] if camera.is_ego else "0"
            path = f"frame_aligned_videos/{camera.name}.mp4"
            videos[name] = {stream: {"cam_id": name, "stream_id": stream_id, "relative_path": path}}
        return {
            "take_uid": self.uid,
            "take_name": self.name,
            "root_dir": f"takes/{self.name}",
            "duration_sec": self.scene.config.frames / self.scene.config.fps,
            "parent_task_name": self.scene.scenario,
            "frame_rate": self.scene.config.fps,
            "frame_aligned_videos": videos,
        }

    def relation(self) -> dict[str, Any]:
        """This take's entry in the relations file."""
        names = [camera.name for camera in self.scene.cameras]
        masks = {thing: {name: cameras[name] for name in names} for thing, cameras in self.masks.items()}
        return {"scenario": self.scene.scenario, "take_name": self.name, "object_masks": masks}

    def descriptions(self) -> list[dict[str, Any]]:
        """This take's entry in the file of atomic descriptions: one annotator's pass."""
        return [
            {
                "annotation_uid": str(uuid.uuid5(_NAMESPACE, f"{self.uid}/descriptions")),
                "annotator_id": "synth",
                "rejected": False,
                "reject_reason": None,
                "descriptions": describe(self.scene, self.visible),
            }
        ]


def _descriptions(takes: list[_Take]) -> dict[str, Any]:
    return {"annotations": {take.uid: take.descriptions() for take in takes}}


def _relations(takes: list[_Take]) -> dict[str, Any]:
    return {"annotations": {take.uid: take.relation() for take in takes}}


def _settings(config: DatasetConfig) -> dict[str, Any]:
    """What the takes follow from, for the record."""
    settings = asdict(config)
    del settings["workers"]
    return {"made_by": "lmeec synth", **settings}


def _check_out(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file; name a directory for the takes")
    if not any(out.iterdir()):
        return
    if not overwrite:
        raise OutputError(
            f"{out} is not empty; choose another directory, or pass `overwrite=True` to replace takes made before",
            settings=["overwrite"],
        )
    if not (out / MARKER).is_file():
        raise OutputError(f"{out} holds other things than synthetic takes (no {MARKER}); choose another directory")


def _clear(out: Path) -> None:
    """Remove what an earlier run left, the files that make it look whole first."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "takes.json").unlink(missing_ok=True)
    for folder in (out / "annotations", out / "takes"):
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)


def _write_json(path: Path, value: object) -> None:
    with written_whole(path) as file:
        file.write(json.dumps(value).encode())


def _render_all(
    out: Path, config: DatasetConfig, takes: list[_Take], on_progress: Callable[[Progress], None] | None
) -> None:
    """Render all videos on threads: the compiled loops and the encoder run side by side."""
    total = sum(len(take.scene.cameras) for take in takes) * config.scene.frames
    counter = _Counter()
    with ThreadPoolExecutor(config.workers) as pool:
        jobs: dict[Future[_CameraTruth], tuple[_Take, Camera]] = {}
        for take in takes:
            for camera in take.scene.cameras:
                job = pool.submit(_render_camera, out / "takes" / take.name, take.scene, camera, config, counter)
                jobs[job] = (take, camera)
        try:
            waiting = set(jobs)
            while waiting:
                done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_EXCEPTION)
                for job in done:
                    take, camera = jobs[job]
                    truth = job.result()
                    take.visible[camera.name] = truth.visible
                    for thing, annotation in truth.masks.items():
                        take.masks.setdefault(thing, {})[camera.name] = annotation
                    if on_progress:
                        on_progress(Progress(counter.frames, total, f"{take.name}/{camera.name}"))
                if on_progress and not done:
                    on_progress(Progress(counter.frames, total))
        except BaseException:
            counter.stop = True
            pool.shutdown(cancel_futures=True)
            raise


@dataclass(frozen=True)
class _CameraTruth:
    """What is known of a rendered video: the annotations of every object by its name, and pixels [frames, objects]."""

    masks: dict[str, dict[str, Any]]
    visible: NDArray[np.int64]


class _Counter:
    """Frames rendered by all threads, and the word to stop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.frames = 0
        self.stop = False

    def add(self) -> None:
        with self._lock:
            self.frames += 1


def _render_camera(
    folder: Path, scene: Scene, camera: Camera, config: DatasetConfig, counter: _Counter
) -> _CameraTruth:
    """Render one video."""
    renderer = Renderer(scene, camera, frame_size(camera, config.size))
    fps = scene.config.fps
    found: dict[str, dict[str, Any]] = {
        thing.name: {"annotation": {}, "annotated_frames": [], "annotation_fps": 1} for thing in scene.objects
    }
    visible = np.zeros((scene.config.frames, len(scene.objects)), np.int64)
    with ExitStack() as stack:
        videos = [
            (stack.enter_context(data_set_video(path, shape, fps)), shape)
            for path, shape in _videos(folder / "frame_aligned_videos", camera, config)
        ]
        for number in range(scene.config.frames):
            if counter.stop:
                raise InterruptedError("rendering was stopped")
            frame = renderer.render(number)
            for add, shape in videos:
                add(_shrink(frame.rgb, shape))
            visible[number] = np.bincount(frame.objects.ravel(), minlength=len(scene.objects) + 1)[1:]
            if number % fps == 0:
                _annotate(found, scene, number, frame.objects)
            counter.add()
    return _CameraTruth(found, visible)


def _videos(folder: Path, camera: Camera, config: DatasetConfig) -> list[tuple[Path, tuple[int, int]]]:
    """Paths and (height, width) of the videos to write of a camera."""
    videos = [(folder / f"{camera.name}.mp4", frame_size(camera, config.size))]
    if config.downscaled:
        small = folder / "downscaled" / str(DOWNSCALED_SIDE) / f"{camera.name}.mp4"
        videos.append((small, frame_size(camera, min(DOWNSCALED_SIDE, config.size))))
    return videos


def _shrink(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if rgb.shape[:2] == size:
        return rgb
    return cv2.resize(rgb, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def _annotate(found: dict[str, dict[str, Any]], scene: Scene, number: int, objects: np.ndarray) -> None:
    """Add a frame's masks; an object of which next to nothing shows is annotated as looked at, without a mask."""
    for index, thing in enumerate(scene.objects):
        track = found[thing.name]
        track["annotated_frames"].append(number)
        mask = objects == index + 1
        if np.count_nonzero(mask) >= MIN_VISIBLE_PIXELS:
            track["annotation"][str(number)] = _encoded(mask)


def _encoded(mask: np.ndarray) -> dict[str, Any]:
    """A mask as the relations file holds it."""
    counts = RunLengthMask.encode(mask).counts
    encoded = LZString.compressToEncodedURIComponent(counts)
    return {"width": mask.shape[1], "height": mask.shape[0], "encodedMask": encoded}
