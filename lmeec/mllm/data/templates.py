"""How tasks are put to the model: ten instructions a kind of task, in words of our own.

EgoIT has ten for each of its data sets, written by a language model and not published; what its authors show asks to
watch the egocentric video, to mind hands and objects, and to answer as the one who wears the camera.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

Kind = Literal["action_recognition", "question_answering", "description"]

INSTRUCTIONS: Mapping[Kind, tuple[str, ...]] = {
    "action_recognition": (
        "This is what I see from my head. Name the action that my hands carry out.",
        "Follow my hands and the things they touch, then say in a few words what I do.",
        "You look through my eyes. Which action is it? Give its name alone.",
        "Mind how hands and objects meet in this first-person clip, and name what is done.",
        "I wear the camera. Put what I am doing into one short phrase.",
        "Find the object that I act on, and tell me the action.",
        "Look at this clip from my point of view and recognise the action.",
        "What happens between my hands and the objects? Answer with the action's name.",
        "From the egocentric video, work out which action I perform. Keep it short.",
        "Watch my hands from beginning to end; then give the one action that fits.",
    ),
    "question_answering": (
        "This video is my own view. Answer my question about it, briefly.",
        "I wore the camera. Look at my hands and the objects, then answer.",
        "Watch what I saw and give a short answer to what I ask.",
        "The clip is in first person. Mind hands and objects, and answer the question.",
        "Go by what the video shows of me and the things around me. My question:",
        "You see what I saw. Answer in a few words.",
        "Answer from the egocentric video alone, as shortly as you can.",
        "Take in the clip from my eyes; here is a question about it.",
        "Here is a moment of my day, as my head camera has it. Tell me what I want to know.",
        "Look closely at what is held and moved in my view, and reply to the question.",
    ),
    "description": (
        "Describe in one sentence what this first-person clip shows.",
        "I wear the camera: write down what is done here.",
        "Tell what happens to the objects in my view, in a sentence.",
        "Give this egocentric clip a caption.",
        "Narrate the moment, naming who acts and on what.",
        "Watch hands and objects, and say in a sentence what goes on.",
        "What would a narrator say of this clip from my head camera?",
        "Sum up the clip that I filmed in a single sentence.",
        "Look through my eyes and describe the action you see.",
        "Write one sentence on what the hands in this video do, and with which thing.",
    ),
}


SHORT_ANSWER = "Answer in a few words."
"""The task and the form of an answer where a benchmark's open questions are put, always the same."""


def draw_evenly(choices: Sequence[str], count: int, seed: int, *about: str) -> Iterator[str]:
    """Draw texts so that each comes as often as any other, up to one, in an order that follows from the seed.

    Args:
        choices: The texts.
        count: How many to draw.
        seed: The same seed gives the same draws.
        about: What the draws are for, so that draws for other things are others.

    Example:
        >>> sorted(draw_evenly(["a", "b"], 4, 0))
        ['a', 'a', 'b', 'b']
    """
    yield from (choices[place] for place in even_places(len(choices), count, seed, *about))


def even_places(choices: int, count: int, seed: int, *about: str) -> NDArray[np.int64]:
    """Draw numbers under `choices` as `draw_evenly` draws texts, int64 [count]."""
    random = np.random.default_rng([seed, *"/".join(about).encode()])
    rounds = [random.permutation(choices) for _ in range(-(-count // choices))]
    return np.concatenate([np.zeros(0, np.int64), *rounds])[:count]


def instructions(kind: Kind, count: int, seed: int, *about: str) -> Iterator[str]:
    """Draw instructions for a kind of task, evenly; see `draw_evenly`."""
    return draw_evenly(INSTRUCTIONS[kind], count, seed, kind, *about)
