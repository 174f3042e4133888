"""Reading files of `torch.save`: no code in them is run, and nothing is loaded that is larger than the file."""

from __future__ import annotations

import contextlib
import pickle
import zipfile
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmeec.files.reading import check_regular, in_short, named, understanding
from lmeec.model.pickled import foreign_call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lmeec.errors import LmeecError

_LARGEST_PICKLE = 2**22  # bytes; the state of a training with a thousand tensors takes a quarter
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickle of torch's magic number
_SHARED = 4  # tensors may share what the file holds once, as tied weights do
_HEADER = 2**16  # bytes; small files hold more zip than tensors


def read_torch_file(path: Path, kind: type[LmeecError], what: str, mend: str, *, source: object = None) -> Any:
    """Load what `torch.save` wrote, onto the CPU; not what it wrote before torch 1.6, which cannot be looked through.

    Args:
        path: The file.
        kind: What is raised.
        what: What it should be, in words with an article.
        mend: What to do about a damaged one.
        source: How it is called in messages, where that is not its path.

    Raises:
        LmeecError: Of the given kind: the file is missing, damaged, would have to run code to be read, or asks for
            more memory than its size.
    """
    size = check_regular(path, kind)
    source = source or path
    name = named(source)
    with understanding(source, kind, what, mend):
        _check_archive(path, name, size, kind, mend)
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except pickle.UnpicklingError as error:
            said = in_short(next(iter(str(error).splitlines()), ""), 60)
            raise kind(
                f"{name}: not a plain torch checkpoint; it is damaged, or holds Python objects besides tensors, "
                f"which are refused because loading them could run code ({said}); {mend}"
            ) from error
        _check_held(name, content, size, kind)
    return content


def _check_archive(path: Path, name: str, size: int, kind: type[LmeecError], mend: str) -> None:
    """Refuse what is no archive, or would take more memory than its size: torch packs nothing."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            old = file.read(len(_LEGACY)) == _LEGACY
        raise kind(
            f"{name}: is of the form that torch wrote before version 1.6, whose memory is not bounded by its "
            f"size; if you trust it, write it anew: torch.save(torch.load(FILE, weights_only=True), FILE)"
            if old
            else f"{name}: not a plain torch checkpoint; it is damaged or of another kind; {mend}"
        )
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(one.file_size for one in members) > size:
            raise kind(f"{name}: unpacks to more than its {size:,} bytes, which torch never writes; do not trust it")
        for one in members:
            if not one.filename.endswith(".pkl"):
                continue
            if one.file_size > _LARGEST_PICKLE:
                raise kind(f"{name}: its list of tensors has more than {_LARGEST_PICKLE:,} bytes; do not trust it")
            foreign = foreign_call(archive.read(one))
            if foreign is not None:
                raise kind(
                    f"{name}: holds Python objects besides tensors ({in_short(foreign, 60)}), which are refused "
                    f"because loading them could run code or take all memory; {mend}"
                )


def _check_held(name: str, content: object, size: int, kind: type[LmeecError]) -> None:
    """Refuse tensors that repeat a few numbers of the file to a size that would only be taken later."""
    total = 0
    for tensor in _tensors(content):
        needed = tensor.numel() * tensor.element_size()
        total += needed
        if needed > tensor.untyped_storage().nbytes():
            raise kind(f"{name}: a tensor of {list(tensor.shape)[:8]} is larger than what the file holds of it")
    if total > _SHARED * size + _HEADER:
        raise kind(f"{name}: its tensors have {total:,} bytes, but the file only {size:,}; do not trust it")


def _tensors(content: object) -> Iterator[Tensor]:
    """Every tensor in nested mappings and sequences; what holds itself is gone through once."""
    waiting, seen = [content], set[int]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, dict | list | tuple | set | frozenset) and id(one) not in seen:
            seen.add(id(one))
            waiting.extend(one.values() if isinstance(one, dict) else one)


@contextlib.contextmanager
def without_memory() -> Iterator[None]:
    """Make modules in the block whose tensors have shapes alone."""
    with torch.device("meta"), _StepsInMemory():
        yield


class _StepsInMemory(torch.overrides.TorchFunctionMode):
    """Lets SAM 2's trunk read its drop rates from `torch.linspace` all the same, and tensors stay where they are."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs["device"] = "cpu"
        return args[0] if func is torch.Tensor.cpu else func(*args, **kwargs)
