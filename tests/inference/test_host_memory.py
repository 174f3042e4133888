"""What a process that predicts asks of oneDNN and of the allocator; in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

KERNELS = """
import os
from lmeec.inference.host_memory import bound_kernels
bound_kernels()
print(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"], os.environ["LRU_CACHE_CAPACITY"])
"""
HOLES = """
import ctypes
from pathlib import Path
from lmeec.inference.host_memory import give_back_free_memory
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
blocks = [libc.malloc(100_000) for _ in range(1000)]
for block in blocks:
    ctypes.memset(block, 1, 100_000)
for block in blocks[:-1]:  # the last one keeps the heap from shrinking
    libc.free(block)
before = resident()
give_back_free_memory()
print(before - resident())
"""


def said(code: str, **settings: str) -> str:
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "ONEDNN_", "LRU_"))}
    done = subprocess.run([sys.executable, "-c", code], env=mine | settings, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("settings", "expected"), [({}, "512 512"), ({"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "9"}, "9 512")]
)
def test_caches_of_kernels_are_bounded_unless_the_user_has_set_them(settings, expected):
    assert said(KERNELS, **settings) == expected


@pytest.mark.skipif(not hasattr(os, "confstr") or "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"), reason="glibc only")
def test_holes_in_the_heap_go_back_to_the_system():
    assert int(said(HOLES)) > 90e6
