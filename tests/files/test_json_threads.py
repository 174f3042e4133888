"""Threads that meet a type at the same time."""

from __future__ import annotations

import subprocess
import sys

from tests.support.places import ROOT

AT_ONCE = """
import sys, threading, types
from lmeec.files.json import decoder_of

DEFINITIONS = '''
from __future__ import annotations
from collections.abc import Mapping
import msgspec
class Source(msgspec.Struct, frozen=True):
    kind: str
class Entry(msgspec.Struct, frozen=True):
    uid: str
    sources: Mapping[str, Source | None]
'''
sys.setswitchinterval(1e-6)
for number in range(100):
    module = types.ModuleType(f"made_{number}")
    sys.modules[module.__name__] = module
    exec(DEFINITIONS, module.__dict__)
    together = threading.Barrier(12)
    def decode():
        together.wait()
        decoder_of(list[module.Entry]).decode(b'[{"uid": "a", "sources": {"b": {"kind": "c"}, "d": null}}]')
    threads = [threading.Thread(target=decode) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_threads_may_meet_a_type_at_once():
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
