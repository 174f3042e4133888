"""What a training says of itself."""

from __future__ import annotations

import pytest

from lmeec.analysis.evaluation import DirectionScore
from lmeec.training.output.progress import Validated
from lmeec_cli.train_progress import training_reporter


@pytest.mark.parametrize(
    ("absent", "missing", "words"),
    [
        (0, 0, "balanced accuracy -"),
        (2, 0, "balanced accuracy 50.00 (of 2 absent frames)"),
        (9, 3, "ego2exo: 3 of the frames have no prediction and count as empty masks"),
    ],
)
def test_a_validation_is_shown_as_scores_are(absent, missing, words, capsys):
    scores = {"ego2exo": DirectionScore(0.25, 0.1, 0.5, 0.5, 9 + absent, 9, absent, 1, 1, missing)}
    with training_reporter("text") as reporter:
        reporter.event(Validated(step=3, scores=scores, iou=0.25, best=True))
    shown = " ".join(capsys.readouterr().err.split())
    assert "ego2exo: IoU 25.00" in shown
    assert words in shown
    assert ("no prediction" in shown) == bool(missing)
