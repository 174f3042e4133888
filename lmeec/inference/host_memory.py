"""Keep the memory of a process that predicts from growing with the length of takes.

Nothing of lmeec's grows with it (but what `kmeans` stores), yet two caches beneath it do, each for good reasons:

- glibc keeps an arena a thread and, once a large block was freed, takes blocks of its size from the heap. Tensors of
  many sizes that are handed from one stage's thread to the next leave holes among small things that stay.
- oneDNN keeps a compiled kernel for each shape of its inputs, up to 1,024, and torch as many more. Banks that fill,
  pointers and last batches have many shapes.
"""

from __future__ import annotations

import ctypes
import os
import sys

_M_MMAP_THRESHOLD, _M_ARENA_MAX, _M_TRIM_THRESHOLD = -3, -8, -1
"""Of mallopt(3), from malloc.h."""

_OWN_MAPPING = 2 << 20
"""Blocks from so many bytes on are mappings of their own, which go back to the system when they are freed. Fresh pages
cost time: with 64 KiB the network of nano takes 2.3 times as long."""

_KEPT = 16 << 20
"""Free bytes at the end of the heap that are not given back."""

_KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256", "LRU_CACHE_CAPACITY": "256"}
"""Compiled kernels that oneDNN, and torch's own cache in front of it, keep; a step of base_plus needs 137."""


def bound_host_memory() -> None:
    """Set up this process; to be called before it computes, as oneDNN asks for its setting once.

    Does nothing to what the user has set by environment variables, and nothing for an allocator that is not glibc's.
    """
    for name, value in _KERNELS.items():
        os.environ.setdefault(name, value)
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_THRESHOLD, _OWN_MAPPING)
    mallopt(_M_TRIM_THRESHOLD, _KEPT)


def give_back_free_memory() -> None:
    """Give pages of the heap that hold nothing back to the system, those in the middle of it as well."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
