import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lmeec.masks import RunLengthMask
from lmeec.model.query_masks import query_mask


@pytest.mark.parametrize("shape", [(2160, 3840), (1408, 1408), (448, 796), (480, 480), (97, 31)])
@pytest.mark.parametrize("kind", ["blob", "noise", "corner pixel", "full"])
def test_equals_resizing_the_whole_mask(shape, kind):
    generator = np.random.default_rng(sum(shape))
    mask = np.zeros(shape, bool)
    if kind == "blob":
        mask[shape[0] // 3 : shape[0] // 2, shape[1] // 5 : shape[1] // 2] = True
    elif kind == "noise":
        mask[shape[0] // 3 : shape[0] // 2] = generator.random((shape[0] // 2 - shape[0] // 3, shape[1])) < 0.5
    elif kind == "corner pixel":
        mask[-1, -1] = True
    else:
        mask[:] = True
    whole = F.interpolate(torch.from_numpy(mask)[None, None].float(), (480, 480), mode="bilinear", antialias=True)
    expected = whole[0, 0] >= 0.5
    assert torch.equal(query_mask(RunLengthMask.encode(mask), 480), expected)
