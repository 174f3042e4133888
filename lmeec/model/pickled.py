"""What a pickle of weights calls, told from its operations, without loading it.

Torch loads a pickle of tensors without running code in it, but lets it call some thirty functions, of which a few make
much of little: a bytearray of any size, or a set of the billion elements of a tensor that repeats one number. Weights
need few of them.
"""

from __future__ import annotations

import pickletools
import re
from typing import Any

_CALLS = re.compile(
    r"torch\._utils (_rebuild_tensor|_rebuild_tensor_v2|_rebuild_tensor_v3|_rebuild_parameter"
    r"|_rebuild_parameter_with_state)"
    r"|torch\.nn\.parameter Parameter|torch device|torch\.serialization _get_layout"
    r"|torch [A-Z][A-Za-z0-9]*Storage|torch\.storage (Untyped|Typed)Storage"
    r"|torch [a-z][a-z0-9_]*"  # its types of numbers, as float32
)
_MAPPING = "collections OrderedDict"
_STORED = ("BINPUT", "LONG_BINPUT")
_TAKEN = ("BINGET", "LONG_BINGET")


def foreign_call(pickled: bytes) -> str | None:
    """Name a function that a pickle could call and weights do not need; None if there is none.

    An ordered mapping may be made, but empty only: its content is put in later, one by one.

    Raises:
        ValueError: it is no pickle.

    Example:
        >>> import pickle
        >>> foreign_call(pickle.dumps({"step": 3}, 2)), foreign_call(pickle.dumps(bytearray(2), 2))
        (None, '__builtin__ bytearray')
    """
    operations: list[tuple[str, Any]] = [(one.name, argument) for one, argument, _ in pickletools.genops(pickled)]
    mappings: set[int] = set()  # places in the memo
    for at, (name, argument) in enumerate(operations):
        if name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            return name
        if name == "GLOBAL" and argument == _MAPPING:
            stored = at + 1 < len(operations) and operations[at + 1][0] in _STORED
            if stored:
                mappings.add(operations[at + 1][1])
            if not _is_made_empty(operations, at + 1 + stored):
                return _MAPPING
        elif name == "GLOBAL" and not _CALLS.fullmatch(argument):
            return str(argument)
        elif name in _TAKEN and argument in mappings and not _is_made_empty(operations, at + 1):
            return _MAPPING
    return None


def _is_made_empty(operations: list[tuple[str, Any]], at: int) -> bool:
    return [name for name, _ in operations[at : at + 2]] == ["EMPTY_TUPLE", "REDUCE"]
