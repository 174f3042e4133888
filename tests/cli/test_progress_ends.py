"""How the live view of a run ends, and what scripts are spared."""

from __future__ import annotations

import io

from rich.live import Live

from lmeec.runs.events import Joining
from lmeec.runs.progress import Progress, WorkerState
from lmeec_cli.console import Console
from lmeec_cli.progress import LiveReporter
from tests.support.command import lmeec


def shown(width, act):
    """What is left on a terminal of a live view, and all that was on it."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, color_system=None)
    with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        act(LiveReporter(live))
        last = live.get_renderable()
    with console.capture() as captured:
        console.print(last)
    return captured.get()


def test_the_last_line_counts_all_and_names_no_idle_worker():
    progress = Progress(jobs=6, jobs_done=5, frames=600, frames_made=500)
    progress.workers = {"0": WorkerState("0"), "1": WorkerState("1", "starting")}

    def act(reporter):
        reporter.update(progress)
        progress.jobs_done, progress.frames_made, progress.frames_settled = 6, 600, 600
        reporter.update(progress)  # too soon after the first to be shown while the run goes
        reporter.event(Joining(6))
        reporter.end()

    last = shown(80, act)
    assert last.startswith("6 of 6 done")
    assert "worker" not in last
    assert "left" not in last


def test_joining_is_said():
    last = shown(80, lambda reporter: reporter.event(Joining(6)))
    assert "joining 6 parts to one table" in last


def test_scripts_hear_results_and_failures_alone(rendered_takes, tiny, tmp_path):
    call = ("predict", rendered_takes.root, "--checkpoint", tiny, "--workers", "0")
    told = lmeec(*call, "--out", tmp_path / "told.parquet")
    quiet = lmeec(*call, "--out", tmp_path / "quiet.parquet", "--quiet")
    assert told.status == quiet.status == 0
    assert quiet.err == ""
    assert "predictions from" in quiet.out
    assert f"next: lmeec score {tmp_path / 'told.parquet'}" in told.err
