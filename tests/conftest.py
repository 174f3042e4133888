import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from reference import REFERENCE, small_model
from rendered import TakesOnDisk, render
from tiny import write_tiny


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


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
    return TakesOnDisk(render(tmp_path_factory.mktemp("rendered") / "takes"))


@pytest.fixture
def takes(rendered_takes, tmp_path):
    """Synthetic takes for one test to damage."""
    return TakesOnDisk(Path(shutil.copytree(rendered_takes.root, tmp_path / "takes")))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Checkpoint of a tiny model."""
    return write_tiny(tmp_path_factory.mktemp("weights") / "tiny.safetensors")
