"""Clips a second of nano's training and answering, and what of it is no network: `python -m benchmarks.mllm`, JSON out.

Each stage does a few steps on drawn clips, one part after the other; a training reads the next batch meanwhile. A table
of questions on H.264 files of 256 pixels is answered in this process, as `lmeec mllm answer` does. Shares are of time,
in which others on the machine count too; `cpu_seconds` are this process's own, of all its threads.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import torch

from lmeec.mllm.built_in import model_folder
from lmeec.mllm.config import MllmConfig
from lmeec.mllm.data import examples
from lmeec.mllm.data.examples import Examples
from lmeec.mllm.data.reading import VideoClips
from lmeec.mllm.data.words import reply_of, words_of
from lmeec.mllm.evaluation import answering, asking
from lmeec.mllm.model import Exo2Ego
from lmeec.mllm.prompt import Prompter
from lmeec.mllm.settings import STAGES, MllmTrainConfig
from lmeec.mllm.stages import LAST_STAGE, parts_of_stage, prepare_stage
from lmeec.mllm.synthetic.drawing import draw_take
from lmeec.mllm.synthetic.facts import plan_takes
from lmeec.mllm.synthetic.store import DrawnClips, drawn_clips
from lmeec.mllm.synthetic.world import SEEDS, World
from lmeec.mllm.task import StageTask, cast_for
from lmeec.mllm.vocabulary import make_vocabulary
from lmeec.model.build import resolve_dtype
from lmeec.runs.stop import Stop
from lmeec.runs.tasks import TasksInProcess
from lmeec.training.group import Group
from lmeec.training.task import Pass
from lmeec.video.encoding import video_writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lmeec.mllm.data.sample import Clip, Sample
    from lmeec.mllm.data.source import AskedClips
    from lmeec.mllm.settings import Stage

_SIDE, _HELD = 256, 8
"""Of the pictures in files, and frames that each of a clip's looks is shown for."""


class Clock:
    """Time by what it was spent on; what is timed within something else is not counted there again."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Time what is in the block."""
        start = time.perf_counter()
        self._inner.append(0.0)
        yield
        took = time.perf_counter() - start
        self.spent[name] += took - self._inner.pop()
        self._inner[-1] += took

    def wrap(self, owner: Any, method: str, name: str) -> None:
        """Time a method, or a function of a module, from here on."""
        original = getattr(owner, method)

        def timed(*given: Any, **settings: Any) -> Any:
            with self.on(name):
                return original(*given, **settings)

        setattr(owner, method, timed)

    def report(self, clips: int, cpu_seconds: float) -> dict[str, object]:
        """What came out for so many clips."""
        total = sum(self.spent.values())
        return {
            "clips_per_second": round(clips / total, 2),
            "cpu_seconds_a_clip": round(cpu_seconds / clips, 4),
            "outside_the_network": round(1 - self.spent["network"] / total, 3),
            "shares": {name: round(spent / total, 3) for name, spent in self.spent.items()},
        }


def main() -> None:
    """Print what was measured."""
    # So that what it is spent on can be told; the main thread waits meanwhile.
    examples._THREADS = 1
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3, help="of each stage, after one that is not counted")
    parser.add_argument("--clips", type=int, default=64, help="that are answered")
    parser.add_argument("--takes", type=int, default=40, help="that are drawn")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--model", default="nano", help="that answers")
    parser.add_argument("--drawn", type=Path, help="keep drawn clips here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        drawn = drawn_clips(arguments.drawn or folder, World(), "train", arguments.takes)
        report = {
            "torch": torch.__version__,
            "threads": arguments.threads,
            "load_average": round(os.getloadavg()[0], 2),
            "dtype": arguments.dtype,
            "drawing": drawing(),
            "training": training(drawn, arguments.steps, resolve_dtype(arguments.dtype, torch.device("cpu"))),
            "answering": answered(drawn, folder, arguments),
        }
    print(json.dumps(report, indent=1))


def drawing(takes: int = 2) -> dict[str, float]:
    """Pictures of both views on one thread."""
    start, cpu, clips = time.perf_counter(), time.process_time(), 0
    for plan in plan_takes(World(), SEEDS["val"], takes):
        clips += len(draw_take(World(), *plan))
    return {
        "clips_per_second": round(clips / (time.perf_counter() - start), 2),
        "cpu_seconds_a_clip": round((time.process_time() - cpu) / clips, 4),
    }


def training(drawn: DrawnClips, steps: int, dtype: torch.dtype) -> dict[str, object]:
    """All stages, from random weights."""
    config = MllmConfig.nano()
    captions, questions = drawn.captions(), drawn.questions()
    sentences = [reply_of(one) or "" for one in captions.samples]
    sentences += [text for one in questions.samples for text in (reply_of(one) or "", words_of(one))]
    prompter = Prompter(make_vocabulary(sentences, config.language.vocabulary), config)
    return {
        f"stage {stage}": train(stage, questions if stage == LAST_STAGE else captions, prompter, steps, dtype)
        for stage in STAGES
    }


def train(stage: Stage, clips: AskedClips, prompter: Prompter, steps: int, dtype: torch.dtype) -> dict[str, object]:
    """A few steps of a stage."""
    settings, config = MllmTrainConfig.nano(), prompter.config
    model = Exo2Ego(config, parts_of_stage(stage, config))
    prepare_stage(model, stage, settings)
    cast_for(model, dtype)
    lower = dtype if dtype != torch.float32 else None
    task = StageTask(model, prompter.tokenizer, stage, settings, autocast=lower)
    batch, form = settings.stage(stage).batch, "question" if stage == LAST_STAGE else "caption"
    clock, cpu = Clock(), 0.0
    words = Prompter(prompter.tokenizer, config)
    for method in ("caption", "question"):
        clock.wrap(words, method, "prompts")
    timed = Timed(clips, clock, "reading")
    with Examples(timed, words, config, form=form, batch=batch, seed=0, group=Group()) as source:
        for step in range(steps + 1):
            if step == 1:
                clock.spent.clear()
                cpu = time.process_time()
            with clock.on("batches"):
                items = source.batch(step)
            with clock.on("network"):
                task.gradients(items, Pass(step, Group(), lambda: False))
            with clock.on("optimiser"):
                task.join_gradients(Group(), settings.clip_norm)
                task.optimiser.step()
                task.optimiser.zero_grad(set_to_none=True)
    return clock.report(steps * batch, time.process_time() - cpu)


@dataclass(frozen=True)
class Timed:
    """Clips whose reading is timed."""

    clips: AskedClips
    clock: Clock
    name: str

    @property
    def samples(self) -> Sequence[Sample]:
        """See `ClipSource`."""
        return self.clips.samples

    def __len__(self) -> int:
        return len(self.clips)

    def part(self, first: int, past: int) -> Timed:
        """See `AskedClips`."""
        return replace(self, clips=self.clips.part(first, past))

    def read(self, place: int) -> Clip:
        """See `ClipSource`."""
        with self.clock.on(self.name):
            return self.clips.read(place)


def answered(drawn: DrawnClips, folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """A table of questions on videos."""
    clips = on_files(drawn, folder / "videos", arguments.clips)
    who = answering.Answering(
        model_folder(arguments.model), config=asking.AskConfig(open_tokens=24), dtype=arguments.dtype
    )
    who.ask(clips.part(0, 2))
    clock = Clock()
    asker = answering._asker(who)
    for method in ("see", "generate", "likelihoods"):
        clock.wrap(asker._model, method, "network")
    for method in ("caption", "question", "candidate", "text"):
        clock.wrap(asker._prompter, method, "prompts")
    clock.wrap(asking, "squares", "squares")
    cpu = time.process_time()
    with clock.on("table and batches"):
        answering.answer_table(
            who, Timed(clips, clock, "decoding"), folder / "answers.parquet", TasksInProcess(), stop=Stop()
        )
    return clock.report(len(clips), time.process_time() - cpu)


def on_files(drawn: DrawnClips, folder: Path, count: int) -> VideoClips:
    """Questions on drawn clips, which are written as videos."""
    folder.mkdir()
    questions, samples = drawn.questions(), []
    for place in range(min(count, len(questions))):
        clip, name = questions.read(place), f"{place}.mp4"
        with video_writer(folder / name, (_SIDE, _SIDE), Fraction(30)) as add:
            for picture in clip.ego:
                for _ in range(_HELD):
                    add(cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC))
        samples.append(replace(clip.sample, video=name, frames=None))
    return VideoClips(samples, folder, drawn.pictures.shape[2])


if __name__ == "__main__":
    main()
