"""Metrics of a run, as Prometheus scrapes them from Ray's own endpoint."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lmeec.cluster import metrics
from lmeec.cluster.metrics import RunMetrics, check_metrics
from lmeec.cluster.resources import Wanted
from lmeec.errors import ClusterError, ConfigError
from lmeec.runs.progress import Progress
from tests.support.command import lmeec
from tests.support.traces import listeners
from tests.support.watching import Watcher

_DRIVER = """
import sys
from lmeec.cluster.executor import RayExecutor
from lmeec.cluster.executors import counted
from lmeec.cluster.resources import Sizes, Wanted
from lmeec.cluster.session import ray_session
from lmeec.config import PredictConfig
from lmeec.data.takes import find_takes
from lmeec.runs.predict import run_predictions
from tests.support.stub_workers import StubWorker
from tests.support.watching import Watcher

takes, out, port = sys.argv[1:]
wanted = Wanted(workers=2, device="cpu", metrics=True, metrics_port=int(port))
config = PredictConfig(directions=("ego2exo",))
with ray_session(wanted), RayExecutor(lambda: StubWorker(config), config, Sizes(2, 0, 1), 600.0) as executor:
    run_predictions(executor, find_takes(takes), out, counted(Watcher(), wanted), retries=1)
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def scraped(port):
    """Values of lmeec's metrics by name, added up over their labels; none where nobody answers yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("ray_lmeec_") and sample.labels.get("le", "+Inf") == "+Inf":
                values[sample.name] = values.get(sample.name, 0) + sample.value
    return values


def test_a_run_is_scraped_from_the_endpoint_of_ray(takes, tmp_path, traces, monkeypatch):
    """Of five takes three are done, one fails at both attempts, and one keeps a worker of two for ever.

    Stubs write no rows, so that no step is timed.
    """
    monkeypatch.delenv("RAY_enable_metrics_collection")
    monkeypatch.setenv("RAY_metrics_report_interval_ms", "1000")  # of ten seconds
    takes.add_copies(3)
    with takes.annotations() as annotated:
        annotated["x-broken"] = annotated.pop("copy-000")
        annotated["x-endless"] = annotated.pop("copy-001")
    (takes.root / "takes.json").unlink()
    port = free_port()
    call = [sys.executable, "-c", _DRIVER, takes.root, tmp_path / "results.parquet", port]
    driver = subprocess.Popen([str(word) for word in call], stderr=subprocess.PIPE, text=True)
    expected = {
        "ray_lmeec_predictions_total": 3,
        "ray_lmeec_jobs_done_total": 3,
        "ray_lmeec_jobs_failed_total": 2,  # as the second attempt is one for each camera
        "ray_lmeec_retries_total": 1,
        "ray_lmeec_queue_jobs": 0,
        "ray_lmeec_workers_busy": 1,
        "ray_lmeec_take_seconds_count": 3,
    }
    try:
        deadline = time.monotonic() + 200
        while not expected.items() <= scraped(port).items():
            assert driver.poll() is None
            assert time.monotonic() < deadline, scraped(port)
            time.sleep(0.5)
        assert scraped(port)["ray_lmeec_take_seconds_sum"] > 0
        traces.look()
        assert listeners(traces.processes) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    finally:
        driver.send_signal(signal.SIGINT)  # an end at which Ray's agents do not try for a minute to tell of it
        driver.communicate()
    traces.wait_until_nothing_is_left(within=90)


def test_what_is_lacking_is_told_with_the_extra_before_ray_is_started(rendered_takes, tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "_NEEDED", ("aiohttp", "no_such_package"))
    done = lmeec("predict", rendered_takes.root, "--out", tmp_path / "results.parquet", "--metrics")
    assert done.status == 1
    assert "--metrics need packages that are not installed (no_such_package)" in done.err
    assert "'.[metrics]'" in done.err


def test_a_port_that_is_taken_is_told():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(
            ClusterError, match=r"`metrics_port` \d+ cannot be listened at: Address already in use; name another"
        ),
    ):
        check_metrics(server.getsockname()[1])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metrics": True, "workers": 0}, "served by Ray"),
        ({"metrics_port": 9090}, "is for `metrics=True`"),
        ({"metrics": True, "metrics_port": 9090, "address": "head:6379"}, "a cluster that is started here"),
        ({"metrics": True, "metrics_port": 0}, "a port from 1 to 65535"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        Wanted(**given)


def test_counting_costs_little():
    """A run of one prediction a second that is told of ten times a second spends under 1% on it."""
    counted, progress = RunMetrics(Watcher()), Progress()
    start = time.process_time()
    for number in range(10_000):
        progress.frames_made = number
        counted.update(progress)
    assert (time.process_time() - start) / 10_000 < 0.001
