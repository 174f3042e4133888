"""What `import lmeec` gives."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lmeec


def in_new_process(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_modules_load_when_they_are_named():
    script = "import lmeec; print(lmeec.masks.RunLengthMask.from_counts('04', 2, 2).area, lmeec.tables.SCHEMA.names[0])"
    assert in_new_process(script).split() == ["4", "take_uid"]


def test_importing_the_package_loads_nothing_that_is_slow():
    loaded = in_new_process("import sys, lmeec; print(*sys.modules)").split()
    assert not {"numpy", "torch", "pyarrow", "av", "lmeec.masks"} & set(loaded)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'lmeec' has no attribute 'nothing'"):
        _ = lmeec.nothing
    assert not hasattr(lmeec, "__wrapped__")


def test_a_module_that_lacks_what_it_needs_says_so():
    script = (
        "import sys, lmeec\n"
        "sys.modules['pyarrow'] = None\n"
        "try: lmeec.tables\n"
        "except ModuleNotFoundError as error: print(error.name)"
    )
    assert in_new_process(script).strip() == "pyarrow"
