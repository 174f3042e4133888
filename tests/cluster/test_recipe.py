"""What the KubeRay job starts, with its arguments, on a cluster as it describes one and with takes in a bucket."""

from __future__ import annotations

import json
import shlex
import uuid
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster
from ruamel.yaml import YAML

from lmeec.files.locations import location
from lmeec.tables import read_results
from tests.support.command import lmeec, start_lmeec
from tests.support.ray_workers import NODE
from tests.support.stores import upload
from tests.support.tables import assert_same

RECIPE = Path(__file__).parents[2] / "recipes" / "kuberay-job.yaml"


@pytest.fixture
def bucket(s3, rendered_takes, tiny):
    """A bucket with what the recipe expects in it."""
    url = f"{s3}/{uuid.uuid4().hex}"
    upload(rendered_takes.root, f"{url}/egoexo4d")
    for name in ("EgoExo_checkpoint", "ExoEgo_checkpoint"):
        upload(tiny, f"{url}/weights/{name}.safetensors")
    return url


def test_the_kuberay_job_predicts_takes_of_a_bucket(bucket, rendered_takes, tiny, tmp_path, monkeypatch):
    spec = YAML(typ="safe").load(RECIPE)["spec"]
    head = int(spec["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"])
    made = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": head})
    try:
        made.add_node(num_cpus=1, object_store_memory=NODE["object_store_memory"])
        monkeypatch.setenv("RAY_ADDRESS", made.address)  # as Ray sets it for its jobs
        entrypoint = spec["entrypoint"].replace("s3://bucket", bucket).replace(" /cache ", f" {tmp_path}/cache ")
        command, *arguments = shlex.split(entrypoint)
        assert command == "lmeec"
        job = start_lmeec(*arguments)
        out, err = job.communicate(timeout=200)
    finally:
        made.shutdown()
    assert job.returncode == 0, err
    events = [json.loads(line)["event"] for line in err.splitlines() if line.startswith("{")]
    assert events.count("job_finished") == 4
    assert f"{bucket}/night/results.parquet" in out
    table = tmp_path / "results.parquet"
    table.write_bytes(location(f"{bucket}/night/results.parquet").read_bytes())
    undisturbed = tmp_path / "undisturbed.parquet"
    given = ("--checkpoint", tiny, "--workers", 0)
    assert lmeec("predict", rendered_takes.root, "--out", undisturbed, *given).status == 0
    assert_same(read_results(table), read_results(undisturbed))
    assert list((tmp_path / "cache").rglob("*.mp4"))
