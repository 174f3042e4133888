"""What Prometheus may know of a run while it goes: Ray's agent on this machine serves it beside Ray's own metrics.

Everything is counted in the driver, of what it is told anyway, so that workers have nothing to do for it. Ray puts
`ray_` before the names.
"""

from __future__ import annotations

import importlib
import os
import socket
import time
from typing import TYPE_CHECKING

import ray
from ray.util.metrics import Counter, Gauge, Histogram

from lmeec.errors import ClusterError
from lmeec.extras import how_to_install
from lmeec.runs.events import AttemptEnded, JobFailed, JobRetried
from lmeec.tables.trace import MADE_PARTS
from lmeec.training.output.progress import StepDone

if TYPE_CHECKING:
    from lmeec.runs.events import Event, Reporter
    from lmeec.runs.progress import Progress
    from lmeec.training.output.progress import TrainingEvent, TrainingReporter

_NEEDED = (
    "aiohttp",
    "aiohttp_cors",
    "colorful",
    "opencensus",
    "opentelemetry.exporter.prometheus",
    "prometheus_client",
)
"""What Ray's exporter imports; where one of these is lacking Ray serves nothing, and does not say so."""

_UPDATE_EVERY_S = 1.0

TAKE_SECONDS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
STEP_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Upper bounds of histograms."""


def check_metrics(port: int | None) -> None:
    """See, before Ray is started, that it can serve metrics.

    Args:
        port: of the loopback, where they are wanted; None where Ray chooses.

    Raises:
        ClusterError: a package that Ray needs for it is not installed, or the port is taken.
    """
    lacking = [name for name in _NEEDED if not _is_there(name)]
    if lacking:
        raise ClusterError(
            f"`metrics` need packages that are not installed ({', '.join(lacking)}): {how_to_install('metrics')}",
            settings=["metrics"],
        )
    if port is not None:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            raise ClusterError(
                f"`metrics_port` {port} cannot be listened at: {os.strerror(error.errno or 0)}; name another",
                settings=["metrics_port"],
            ) from error


def _is_there(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def where_metrics_are() -> str:
    """The URL at which this machine's agent serves them, of the cluster that this process has joined."""
    mine = ray.get_runtime_context().get_node_id()
    (node,) = (node for node in ray.nodes() if node["NodeID"] == mine)
    return f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"


class RunMetrics:
    """Counts what a run over takes does, and passes on what it is told.

    Args:
        reporter: shows how the run goes.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._predictions = Counter("lmeec_predictions_total", "Predictions made.")
        self._done = Counter("lmeec_jobs_done_total", "Takes, in a direction, whose part is written.", ("direction",))
        self._failed = Counter("lmeec_jobs_failed_total", "Takes, in a direction, that were set aside.")
        self._retries = Counter("lmeec_retries_total", "Takes, in a direction, that failed and wait again.")
        self._queue = Gauge("lmeec_queue_jobs", "Takes, in a direction, that wait for a worker.")
        self._at_work = Gauge("lmeec_workers_busy", "Workers that are at work on a take.")
        self._take = Histogram(
            "lmeec_take_seconds", "Seconds a take, in a direction.", list(TAKE_SECONDS), ("direction",)
        )
        self._step = Histogram(
            "lmeec_step_seconds", "Seconds a prediction, of a take's mean.", list(STEP_SECONDS), ("direction",)
        )
        self._counted = 0
        self._updated = time.monotonic()

    def event(self, event: Event) -> None:
        """See `Reporter`."""
        match event:
            case AttemptEnded(attempt=attempt) if attempt.outcome in MADE_PARTS:
                tags: dict[str, str] = {"direction": attempt.direction}
                self._done.inc(1, tags)
                if attempt.seconds is not None:
                    self._take.observe(attempt.seconds, tags)
                    if attempt.predictions:
                        self._step.observe(attempt.seconds / attempt.predictions, tags)
            case JobFailed():
                self._failed.inc()
            case JobRetried():
                self._retries.inc()
        self._reporter.event(event)

    def update(self, progress: Progress) -> None:
        """See `Reporter`."""
        if time.monotonic() - self._updated > _UPDATE_EVERY_S:
            self._updated = time.monotonic()
            if (new := progress.frames_made - self._counted) > 0:
                self._predictions.inc(new)
                self._counted = progress.frames_made
            self._queue.set(progress.waiting)
            self._at_work.set(sum(worker.state == "working" for worker in progress.workers.values()))
        self._reporter.update(progress)


class TrainingMetrics:
    """Counts the steps of a training, and passes on what it is told.

    Args:
        reporter: shows how the training goes.
    """

    def __init__(self, reporter: TrainingReporter) -> None:
        self._reporter = reporter
        self._steps = Counter("lmeec_training_steps_total", "Steps of a training.")
        self._seconds = Histogram("lmeec_training_step_seconds", "Seconds a step of a training.", list(STEP_SECONDS))

    def event(self, event: TrainingEvent) -> None:
        """See `TrainingReporter`."""
        if isinstance(event, StepDone):
            self._steps.inc()
            self._seconds.observe(event.seconds)
        self._reporter.event(event)
