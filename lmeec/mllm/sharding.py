"""A model whose parameters are divided among workers (FSDP2), and its state gathered and taken up again.

Every layer of the encoders and of the language model is a unit that is gathered when it computes; what is left over,
the connector, the mappings and the embeddings, is gathered once a pass. Frozen parameters are divided like trained
ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmeec.mllm.model import Exo2Ego


def shard_model(model: Exo2Ego, workers: int) -> None:
    """Divide a model among workers, in place; each must hold the same weights.

    Args:
        model: on its device; with adapters and `requires_grad` as they are trained.
        workers: processes of the group.
    """
    mesh = init_device_mesh(model.device.type, (workers,))
    for layer in model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def gathered(value: Tensor) -> Tensor:
    """A tensor as a whole; every process must ask for it at the same place."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def restore_parameter(parameter: nn.Parameter, value: Tensor) -> None:
    """Put a whole value into a parameter, or this process's part of it."""
    with torch.no_grad():
        parameter.copy_(_like(parameter, value))


def gathered_by_name(tensors: Mapping[str, Tensor], *, keep: bool = True) -> dict[str, Tensor]:
    """Whole tensors, on the CPU; every process must ask for them at the same place.

    Args:
        tensors: whole ones, or this process's parts.
        keep: whether this process wants them, too; else it gets none.
    """
    found = {}
    for name, value in tensors.items():
        whole = gathered(value.detach())
        if keep:
            found[name] = whole.cpu()
    return found


def optimiser_state(optimiser: torch.optim.Optimizer, *, keep: bool = True) -> dict[str, Any]:
    """An optimiser's state with whole tensors; see `gathered_by_name`."""
    state = optimiser.state_dict()
    state["state"] = {
        number: {name: value for name, value in values.items() if not isinstance(value, Tensor)}
        | gathered_by_name({name: value for name, value in values.items() if isinstance(value, Tensor)}, keep=keep)
        for number, values in state["state"].items()
    }
    return state


def restore_optimiser(optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """The inverse of `optimiser_state`."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    divided = {
        number: {
            name: _like(parameters[number], value) if isinstance(value, Tensor) and value.dim() else value
            for name, value in values.items()
        }
        for number, values in state["state"].items()
    }
    optimiser.load_state_dict({**state, "state": divided})


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    if not isinstance(parameter, DTensor):
        return value
    device = parameter.device_mesh.device_type
    return distribute_tensor(value.to(device), parameter.device_mesh, parameter.placements)
