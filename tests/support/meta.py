"""A device without arithmetic that shows every tensor left on the host and every transfer, as a GPU would feel them."""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from lmeec.model import transfer

META = torch.device("meta")


class _NoTensorsFromLists(TorchFunctionMode):
    """Refuses to make a tensor of Python's numbers on the device: a copy that waits, which dispatch does not show."""

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        if function in (torch.tensor, torch.as_tensor) and keywords.get("device") not in (None, torch.device("cpu")):
            raise AssertionError(f"{function.__name__} of Python's numbers on the device: a hidden transfer")
        return function(*arguments, **keywords)


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of the meta device together with tensors of the host, transfers among them.

    Numbers wrapped in tensors without dimensions are what kernels take as arguments, and pass. What goes through
    `lmeec.model.transfer` passes and is counted; what it brings to the host there are zeros, or what `answers` makes.

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
            places = {x.device.type for x in tensors if x.dim()}
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
