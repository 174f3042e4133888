"""What is asked of a clip in instruction data, in ten ways a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Task = Literal["describe", "manipulated", "next"]

QUESTIONS: Mapping[Task, tuple[str, ...]] = {
    "describe": (
        "What is happening in this video?",
        "Describe the action in one sentence.",
        "What does the person do here?",
        "Give a short description of this clip.",
        "Write a caption for this moment.",
        "Which action does this clip show?",
        "Tell me what goes on in the video.",
        "How would you narrate this clip?",
        "Look at the clip and sum up the action.",
        "In a few words: what is being done?",
    ),
    "manipulated": (
        "Which objects are being handled?",
        "What is the person working with?",
        "Name the objects that this action is about.",
        "What is manipulated in this clip?",
        "Which things does the action involve?",
        "List the objects that matter in this moment.",
        "What do the hands deal with here?",
        "Which object or objects are in use?",
        "What is being moved, held or worked on?",
        "Tell me which things the person interacts with.",
    ),
    "next": (
        "What happens next?",
        "What will the person do after this?",
        "Predict the next action.",
        "How does it go on?",
        "Which action follows?",
        "What comes right after this clip?",
        "Given what you see, what is the next step?",
        "Describe the action that comes after this one.",
        "What do you expect to be done next?",
        "Continue the story: what is done next?",
    ),
}
TASKS: tuple[Task, ...] = tuple(QUESTIONS)


def enumeration(names: list[str]) -> str:
    """Join names as a sentence has them.

    Example:
        >>> enumeration(["the pan"]), enumeration(["the pan", "the lid", "the spoon"])
        ('the pan', 'the pan, the lid and the spoon')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
