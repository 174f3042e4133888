"""Weights in a folder, as transformers writes them: one file or several, safetensors or plain torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import safe_open

from lmeec.errors import CheckpointError
from lmeec.files.names import path_component_problem
from lmeec.files.reading import check_regular, in_short, reading
from lmeec.model.torch_file import read_torch_file

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

_WHOLE = ("model.safetensors", "pytorch_model.bin")
_INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_MEND = "download it again"
_LISTED = 8
"""At most so many names of each kind are listed in an error."""
_LARGEST_JSON = 2**26
"""Bytes; an index of a hundred thousand tensors has a tenth."""

_SAMPLED = 1 << 20
"""Bytes of the beginning and the end of a file that tell it from another of its size."""


@dataclass(frozen=True)
class Tensors:
    """Tensors that are read when they are asked for.

    Attributes:
        where: the file or folder, for messages.
        shapes: of every tensor, by name.
        read: gives one by its name.
    """

    where: Path
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Tensor] = field(repr=False)

    def below(self, prefix: str) -> Tensors:
        """Those whose names begin with `prefix`, without it."""
        names = {name.removeprefix(prefix): name for name in self.shapes if name.startswith(prefix)}
        return self.renamed(names)

    def renamed(self, names: Mapping[str, str]) -> Tensors:
        """Some of them under new names.

        Args:
            names: new name to old name.
        """
        shapes = {new: self.shapes[old] for new, old in names.items()}
        return Tensors(self.where, shapes, lambda name: self.read(names[name]))

    def check(self, expected: Mapping[str, tuple[int, ...]], what: str) -> None:
        """Refuse tensors that are not exactly those that are expected.

        Raises:
            CheckpointError: lists what is missing, left over, or of another shape.
        """
        found = self.shapes
        problems = {
            "missing": [name for name in expected if name not in found],
            "left over": [name for name in found if name not in expected],
            "of another shape": [
                f"{name} is {list(found[name])}, not {list(shape)}"
                for name, shape in expected.items()
                if name in found and found[name] != shape
            ],
        }
        said = [f"{len(names)} {kind}: {_listed(names)}" for kind, names in problems.items() if names]
        if said:
            raise CheckpointError(f"{self.where}: these are no weights of the {what} as configured: {'; '.join(said)}")

    def all(self) -> dict[str, Tensor]:
        """All of them, in memory."""
        return {name: self.read(name) for name in self.shapes}


def read_folder(folder: Path) -> Tensors:
    """The weights of a folder.

    Raises:
        CheckpointError: there are none, or a file is damaged or would have to run code to be read.
    """
    for name in _WHOLE:
        if (folder / name).is_file():
            return _joined(folder, [folder / name])
    for name in _INDICES:
        if (folder / name).is_file():
            return _joined(folder, _shards(folder / name))
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: there is no such folder of weights")
    raise CheckpointError(f"{folder}: holds no weights: none of {', '.join((*_WHOLE, *_INDICES))}")


def read_file(path: Path) -> Tensors:
    """The weights of a file; raises as `read_folder`."""
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such file of weights")
    return _safetensors(path) if path.suffix == ".safetensors" else _torch(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object beside weights.

    Raises:
        CheckpointError: it is not there, or none.
    """
    with reading(path, CheckpointError, "a JSON file", _MEND, most=_LARGEST_JSON):
        found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: holds a {type(found).__name__}, where an object was expected")
    return found


def folder_digest(folder: Path) -> str:
    """Tells a folder's weights from others: SHA-256 over its files' sizes, beginnings and ends."""
    digest = hashlib.sha256()
    for path in sorted([*folder.rglob("*.safetensors"), *folder.rglob("*.bin")]):
        size = check_regular(path, CheckpointError)
        digest.update(f"{path.relative_to(folder).as_posix()}:{size}".encode())
        with reading(path, CheckpointError, "a file of weights", _MEND), path.open("rb") as file:
            digest.update(file.read(_SAMPLED))
            file.seek(max(0, size - _SAMPLED))
            digest.update(file.read(_SAMPLED))
    return digest.hexdigest()


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def _shards(index: Path) -> list[Path]:
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise CheckpointError(f"{index}: has no weight_map, which says what file each tensor is in")
    files = list(dict.fromkeys(str(name) for name in named.values()))
    for name in files:
        # An index could name any file of the machine.
        if path_component_problem(name) is not None:
            raise CheckpointError(f"{index}: names {in_short(repr(name))}, which is no file beside it")
    return [index.with_name(name) for name in files]


def _joined(folder: Path, files: Iterable[Path]) -> Tensors:
    parts = [read_file(path) for path in files]
    owner = {name: part for part in parts for name in part.shapes}
    shapes = {name: part.shapes[name] for name, part in owner.items()}
    return Tensors(folder, shapes, lambda name: owner[name].read(name))


def _safetensors(path: Path) -> Tensors:
    with reading(path, CheckpointError, "a safetensors file", _MEND), safe_open(path, framework="pt") as file:
        # Looked up without a tensor in memory.
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping

    def read(name: str) -> Tensor:
        with reading(path, CheckpointError, "a safetensors file", _MEND), safe_open(path, framework="pt") as file:
            return cast("Tensor", file.get_tensor(name))

    return Tensors(path, shapes, read)


def _torch(path: Path) -> Tensors:
    state = read_torch_file(path, CheckpointError, "a torch file", _MEND)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: holds no state dict")
    return Tensors(path, {name: tuple(value.shape) for name, value in state.items()}, state.__getitem__)
