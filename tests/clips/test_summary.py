"""The summary on the screen."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lmeec.clips.summary import Tally
from lmeec_cli.clips_summary import show_summary


def test_names_of_scenarios_are_shown_as_they_are(capsys):
    counted = Tally().summary(None, grounded=False)
    shown = dataclasses.replace(counted, pairs=3, lengths={"1 to 2": 3}, scenarios={"[/b] cooking": 2, "[red]tea": 1})
    show_summary(shown, Path("clips.parquet"))
    out = capsys.readouterr().out
    assert "[/b] cooking" in out
    assert "[red]tea" in out
