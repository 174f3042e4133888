"""A device without arithmetic that shows every tensor left on the host and every transfer, as a GPU would feel them."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from lmeec.model import transfer

META = torch.device("meta")


_MAKERS = (torch.tensor, torch.as_tensor, torch.asarray)
_ITEMS = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)
_COPY = torch.ops.aten._to_copy.default


class _NoTensorsFromLists(TorchFunctionMode):
    """Refuses to bring Python's numbers to the device as a tensor: a copy that waits, which dispatch does not show."""

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        if _brings_numbers(function, arguments, keywords):
            raise AssertionError(f"{function.__name__} brings Python's numbers to the device: a hidden transfer")
        return function(*arguments, **keywords)


def _brings_numbers(function, arguments, keywords):
    if function in _MAKERS:
        return keywords.get("device") not in (None, torch.device("cpu"), "cpu")
    first = arguments[0] if arguments else None
    if not isinstance(first, torch.Tensor) or first.device != META:
        return False
    if function is torch.Tensor.new_tensor:
        return True
    if function not in _ITEMS:
        return False
    places = arguments[1] if isinstance(arguments[1], tuple) else arguments[1:2]
    return any(
        isinstance(x, (list, np.ndarray)) or (isinstance(x, torch.Tensor) and x.device != META)
        for x in (*places, *arguments[2:])
    )


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of the meta device together with tensors of the host, transfers among them.

    Numbers wrapped in tensors without dimensions are what kernels take as arguments, and pass, unless they are copied.
    What goes through `lmeec.model.transfer` passes and is counted; what it brings to the host there are zeros, or what
    `answers` makes.

    Attributes:
        brought: shapes of what came to the host, in order.
        sent: shapes of what went to the device.
    """

    def __init__(self, answers=lambda tensor: torch.zeros(tensor.shape, dtype=tensor.dtype)) -> None:
        super().__init__()
        self.brought, self.sent = [], []
        self._answers = answers
        self._passing = False

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        keywords = keywords or {}
        if not self._passing:
            tensors = [x for x in tree_flatten((arguments, keywords))[0] if isinstance(x, torch.Tensor)]
            places = {x.device.type for x in tensors if x.dim() or operation is _COPY}
            if keywords.get("device") is not None and tensors:
                places.add(torch.device(keywords["device"]).type)
            if len(places) > 1:
                raise AssertionError(f"{operation} is between {' and '.join(sorted(places))}: a hidden transfer")
        return operation(*arguments, **keywords)

    @contextmanager
    def seam(self, monkeypatch):
        """Watch, and answer in the place of a device."""

        def brought(tensor):
            assert tensor.device == META, "what is brought to the host was there"
            self.brought.append(tuple(tensor.shape))
            return self._answers(tensor)

        def sent(tensor, device):
            assert tensor.device.type == "cpu", "what is sent to the device was there"
            self.sent.append(tuple(tensor.shape))
            self._passing = True
            try:
                return tensor.to(device)
            finally:
                self._passing = False

        monkeypatch.setattr(transfer, "_brought", brought)
        monkeypatch.setattr(transfer, "_sent", sent)
        with self, _NoTensorsFromLists():
            yield self
