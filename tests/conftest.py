import os
import shutil
from pathlib import Path

import numpy as np
import pytest

# Of torch, here and in the commands that tests start: several tests run at once.
os.environ["OMP_NUM_THREADS"] = "1"

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
