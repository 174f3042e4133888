import os
import shutil
import uuid
from pathlib import Path

import numpy as np
import pytest

# Of torch, here and in the commands that tests start: several tests run at once.
os.environ["OMP_NUM_THREADS"] = "1"

from lmeec.files.locations import location
from tests.support.reference import REFERENCE, small_model
from tests.support.rendered import TakesOnDisk, render
from tests.support.spread import ByFile, longest_first, made_once, workers_for
from tests.support.tiny import write_tiny


def pytest_xdist_auto_num_workers(config):
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else workers_for(config.args)


def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)


def pytest_collection_modifyitems(items):
    longest_first(items)


@pytest.fixture(scope="session")
def reference():
    with np.load(REFERENCE) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="session")
def model():
    return small_model()


@pytest.fixture(scope="session")
def rendered_takes(tmp_path_factory):
    """Synthetic takes that no test changes."""
    return TakesOnDisk(made_once(tmp_path_factory, "rendered_takes", render))


@pytest.fixture
def takes(rendered_takes, tmp_path):
    """Synthetic takes for one test to damage."""
    return TakesOnDisk(Path(shutil.copytree(rendered_takes.root, tmp_path / "takes")))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Checkpoint of a tiny model."""
    return made_once(tmp_path_factory, "tiny.safetensors", write_tiny)


@pytest.fixture(scope="session")
def s3_server():
    """Address of a real S3 server; one for all, as s3fs keeps its connections."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def s3(s3_server):
    """A bucket of a real S3 server."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", s3_server)
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        location("s3://results").mkdir(exist_ok=True)
        yield "s3://results"


@pytest.fixture(params=["local", "memory", "s3"])
def store(request, tmp_path):
    """Where results may lie: a folder, or a URL."""
    if request.param == "local":
        return str(tmp_path)
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}"
    return f"{request.getfixturevalue('s3')}/{uuid.uuid4().hex}"
