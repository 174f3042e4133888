"""Changes of weights: safetensors' header, torch's zip of a pickle, and what the pickle says."""

from __future__ import annotations

import io
import json
import pickletools
import zipfile
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tests.fuzz.mutation import octets
from tests.fuzz.mutation.documents import VALUES, change, dumped

if TYPE_CHECKING:
    from random import Random

_GLOBALS = (
    b"cos\nsystem\n", b"cbuiltins\neval\n", b"ccollections\nOrderedDict\n", b"ctorch\nFloatStorage\n",
    b"ctorch\nfloat32\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n", b"ctorch\nSize\n",
    b"ctorch\nQInt8Storage\n",
    b"ctorch._utils\n_rebuild_sparse_tensor\n", b"ctorch._utils\n_rebuild_qtensor\n", b"ctorch\ndevice\n",
    b"cnumpy\nndarray\n",
    b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n", b"c_codecs\nencode\n", b"c\n\n",
)  # fmt: skip


def mutate_safetensors(data: bytes, random: Random) -> bytes:
    """Change a safetensors file: what the header says of tensors, what it says besides, its length, its bytes."""
    drawn = random.random()
    if drawn < 0.2:
        return octets.mutate(data, random)
    length = int.from_bytes(data[:8], "little")
    header, body = _header(data), data[8 + length :]
    about = header.get("__metadata__", {})
    key = random.choice(list(about)) if about else None
    if drawn < 0.6 and key is not None and about[key][:1] == "{":
        said = dumped(change(json.loads(about[key]), random)).decode()
        changed = dumped({**header, "__metadata__": {**about, key: said}})
    else:
        changed = dumped(change(header, random))
    if random.random() < 0.1:
        changed = octets.mutate(changed, random, 1)
    if random.random() < 0.2:
        body = octets.mutate(body, random, 1)
    size = random.choice((0, 1, 2**40, 2**63, len(changed) + 1)) if random.random() < 0.05 else len(changed)
    return size.to_bytes(8, "little") + changed + body


@lru_cache(64)
def _header(data: bytes) -> Any:
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def mutate_torch(data: bytes, random: Random) -> bytes:
    """Change what `torch.save` wrote: the content, the pickle's operations, the zip, its bytes."""
    drawn = random.random()
    if drawn < 0.2:
        return octets.mutate(data, random)
    if drawn < 0.6:
        return _saved(change(_content(data), random, _values(), ("", "a", 0, -1, None, "model", "config", "x" * 300)))
    entries = dict(_entries(data))
    name = next(name for name in entries if name.endswith("data.pkl"))
    compressed = zipfile.ZIP_STORED
    if drawn < 0.85:
        entries[name] = _other_operations(entries[name], random)
    else:
        other = random.choice(list(entries))
        how = random.randrange(5)
        if how == 0:
            del entries[other]
        elif how == 1:
            entries = {
                random.choice(("", "a", "../a", "data.pkl", name)) if n == other else n: v for n, v in entries.items()
            }
        elif how == 2:
            entries[other] = octets.mutate(entries[other], random, 2)
        elif how == 3:
            entries[other] = entries[other][: random.randrange(len(entries[other]) + 1)]
        else:
            entries[other], compressed = entries[other] + bytes(1 << random.randrange(21)), zipfile.ZIP_DEFLATED
    return _zipped(entries, compressed)


@lru_cache(16)
def _content(data: bytes) -> Any:
    import torch

    return torch.load(io.BytesIO(data), weights_only=True)


@lru_cache(16)
def _entries(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(entries: dict[str, bytes], compressed: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compressed) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, compressed)
    return file.getvalue()


def _saved(content: Any) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@lru_cache(1)
def _values() -> tuple[Any, ...]:
    import torch

    one = torch.ones(1)
    return (
        *VALUES,
        one,
        torch.ones(0),
        torch.tensor(3),
        one.expand(10**11),  # four bytes that say they are 400 GB
        one.expand(3, 3),
        torch.ones(2, 2).to_sparse(),
        torch.ones(2, dtype=torch.complex64),
        torch.ones(2, dtype=torch.bfloat16),
        torch.ones(2, dtype=torch.bool),
        torch.full((2,), torch.nan),
        torch.nn.Parameter(one),
        (1, 2),
        {0: 1},
        {None: one},
        b"x",
        1j,
        {1, 2},
    )


def _other_operations(pickle: bytes, random: Random) -> bytes:
    """Change operations of a pickle."""
    operations = _operations(pickle)
    for _ in range(random.randint(1, 3)):
        start, end, kind = random.choice(operations)
        how = random.randrange(5)
        if how == 0:
            new = b""
        elif how == 1:
            new = pickle[start:end] * 2
        elif how == 2 and kind in ("BININT", "BININT1", "BININT2", "LONG1"):
            new = b"J" + random.choice((-1, 0, 1, 2**31 - 1, -(2**31), 10**6)).to_bytes(4, "little", signed=True)
        elif how == 3:
            new = (
                random.choice(_GLOBALS)
                if kind == "GLOBAL"
                else random.choice((b"N", b"}", b"]", b")", b"0", b"1", b"R", b"("))
            )
        else:
            other = random.choice(operations)
            new = pickle[other[0] : other[1]]
        pickle = pickle[:start] + new + pickle[end:]
        operations = [one for one in operations if one[1] <= start] or operations[:1]
    return pickle


@lru_cache(64)
def _operations(pickle: bytes) -> list[tuple[int, int, str]]:
    found = [(place or 0, operation.name) for operation, _, place in pickletools.genops(pickle)]
    ends = [place for place, _ in found[1:]] + [len(pickle)]
    return [(start, end, kind) for (start, kind), end in zip(found, ends, strict=True)]
