"""Memory that a step of base_plus needs on a GPU, from shapes alone: `python -m benchmarks.peak_of_shapes`, JSON lines.

No GPU takes part; what is counted, and what is not, is told in `tests.support.peak_of_shapes`. Numbers are MiB.
"""

from __future__ import annotations

import json
from itertools import product

import torch

from lmeec.config import ModelConfig
from lmeec.model.build import build_model
from tests.support.meta import META
from tests.support.peak_of_shapes import peaks_of_step

BATCHES = (1, 8, 64)

if __name__ == "__main__":
    model = build_model(ModelConfig.base_plus()).to(META)
    for (objects, cameras), dtype, fused in product(((5, 4), (20, 5)), (torch.float32, torch.bfloat16), (True, False)):
        peaks = peaks_of_step(model, objects, cameras, BATCHES, dtype=dtype, fused=fused)
        row = {"objects": objects, "cameras": cameras, "dtype": str(dtype), "fused": fused}
        row["held"] = round(peaks[64].held / 2**20)
        row |= {f"batch {batch}": round(peak.step / 2**20) for batch, peak in peaks.items()}
        print(json.dumps(row), flush=True)
