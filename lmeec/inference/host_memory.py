"""Keep the memory of a process that predicts from growing with the length of takes.

Nothing of lmeec's grows with it (but what `kmeans` stores), yet oneDNN keeps a compiled kernel for each shape of its
inputs, up to 1,024, and torch as many more: banks that fill, pointers and last batches have many shapes.

The heap is left to glibc. An arena for all threads and mappings for single tensors, tried in its place, took 1.3 times
the processor time, and the holes grew with a take's length (`benchmarks/NOTES.md`).
"""

from __future__ import annotations

import ctypes
import os
import sys

_KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "512", "LRU_CACHE_CAPACITY": "512"}
"""Compiled kernels that oneDNN, and torch's own cache in front of it, keep; a take of nano needs 300 in all."""


def bound_kernels() -> None:
    """Bound the caches of compiled kernels, where the user has not; to be called before this process computes."""
    for name, value in _KERNELS.items():
        os.environ.setdefault(name, value)


def give_back_free_memory() -> None:
    """Give pages of the heap that hold nothing back to the system, those in the middle of it as well.

    What is taken next would be on top of them. It takes milliseconds, and the pages cost time when they come back, so
    this is for the end of a take, and for now and then within it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
