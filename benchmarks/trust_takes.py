"""Synthetic takes that signs of trust are judged on, fixed before anything was scored: settings and seeds.

Drawn as `lmeec synth` draws: hands put objects into a bin and take them out again, carry them behind others, and the
head that wears the camera turns away and back, so that objects leave each view and return. Frames are annotated once a
second. Their seeds are used nowhere else: `benchmarks.nano_takes` has 10260 to 20262, `lmeec synth` in the demo, the
documentation and the tests those below 10,000, and scenes of training lie from 2^40 on.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from benchmarks.nano_takes import annotated_takes
from lmeec.synthetic.scene import SceneConfig
from lmeec.synthetic.scene_builder import make_scene
from lmeec.synthetic.writer import take_seed

if TYPE_CHECKING:
    from pathlib import Path

    from lmeec.data.takes import TakeSet

SECONDS = (12, 14, 16, 18, 20)
"""Lengths of the takes, of which each split has as many of every length."""

OBJECTS, EXO_CAMERAS = 6, 2

Split = Literal["trust", "choice"]

SEEDS: dict[Split, int] = {"trust": 31260, "choice": 41260}
"""Takes of the i-th length have the seed of the split plus i. What is published is of `trust`; the weights of the head
that says whether an object is there, and settings of rules, are chosen on `choice`."""

EACH: dict[Split, int] = {"trust": 2, "choice": 1}
"""Takes of every length: ten to publish on, five to choose on."""


def trust_takes(root: Path, split: Split) -> TakeSet:
    """The takes of a split, in the processed layout with a relations file; those that are there already are kept."""
    scenes = {}
    for length, seconds in enumerate(SECONDS):
        for number in range(EACH[split]):
            settings = SceneConfig(seconds=float(seconds), objects=OBJECTS, exo_cameras=(EXO_CAMERAS, EXO_CAMERAS))
            seed = take_seed(SEEDS[split] + length, number)
            scenes[f"{split}-{seconds:02d}s-{number:03d}"] = partial(make_scene, seed, settings)
    return annotated_takes(root, scenes)
