"""What a process that predicts does to the allocator; in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CALL = """
import ctypes, os
from lmeec.inference.host_memory import bound_host_memory, give_back_free_memory
names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in names]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
bound_host_memory()
# Once such a block was freed, glibc alone takes the next of its size from the heap.
libc.free(libc.malloc(16 << 20))
before = libc.mallinfo2().hblkhd
block = libc.malloc(3 << 20)
print(libc.mallinfo2().hblkhd - before >= 3 << 20, os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"])
give_back_free_memory()
"""


@pytest.mark.skipif(not hasattr(os, "confstr") or "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"), reason="glibc only")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "True 256"),
        ({"MALLOC_ARENA_MAX": "4", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "9"}, "False 9"),
    ],
)
def test_large_blocks_go_back_to_the_system_unless_the_user_has_set_up_the_allocator(settings, said):
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "ONEDNN_"))}
    done = subprocess.run([sys.executable, "-c", CALL], env=mine | settings, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == said
