"""The data sets whose files of questions are read; apart from the readers, as commands name them before they read."""

from typing import Literal

Set = Literal[
    "questions",
    "conversations",
    "something-something-v2",
    "egotimeqa",
    "egoschema",
    "egotaskqa-direct",
    "egotaskqa-indirect",
    "qaego4d-open",
    "qaego4d-closed",
    "egomcq",
]
"""What a file of questions may be; `questions` is the project's own, for every other data set."""
