"""Changes of tar files of clips."""

from __future__ import annotations

import io
import tarfile
from functools import lru_cache
from typing import TYPE_CHECKING

from tests.fuzz.mutation import octets
from tests.fuzz.mutation.documents import mutate_json

if TYPE_CHECKING:
    from random import Random


def mutate(data: bytes, random: Random) -> bytes:
    """Change a tar file: a member's JSON, the members, their bytes."""
    if random.random() < 0.3:
        return octets.mutate(data, random)
    members = list(_members(data))
    at = random.randrange(len(members))
    name, content = members[at]
    how = random.random()
    if how < 0.6 and name.endswith(".json"):
        members[at] = name, mutate_json(content, random)
    elif how < 0.7:
        del members[at]
    elif how < 0.85:
        members[at] = random.choice(("", ".", "/a", "../a.json", "a.json", name + "x", "é" * 60)), content
    else:
        members[at] = name, octets.mutate(content, random, 2)
    return packed(members)


@lru_cache(16)
def _members(data: bytes) -> tuple[tuple[str, bytes], ...]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = ((member.name, tar.extractfile(member)) for member in tar)
        return tuple((name, file.read()) for name, file in files if file is not None)


def packed(members: list[tuple[str, bytes]]) -> bytes:
    """A tar file of these."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()
