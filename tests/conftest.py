import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from reference import REFERENCE, small_model


@pytest.fixture(scope="session", autouse=True)
def _two_threads():
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def reference():
    with np.load(REFERENCE) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="session")
def model():
    return small_model()
