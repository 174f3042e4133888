"""Settings as plain values: to store them, to write them out, and to tell how two trainings differ."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lmeec.training.config import DEFAULTS, presence

if TYPE_CHECKING:
    from lmeec.training.config import TrainConfig

FREE = ("checkpoint", "device", "micro_batch", "model", "recompute", "save_every", "validation")
"""Settings that may change when a training goes on: they say how it is computed and judged, not what it is.

Where its weights are is one of them; what they are is compared instead (see `lmeec.training.run`).
"""


def plain(config: TrainConfig) -> dict[str, Any]:
    """All settings as JSON values."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return values


def over_preset(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as plain values, with those of their preset, and of what alone is trained, where they are silent.

    Example:
        >>> over_preset({"preset": "released", "clips": {"objects": 3}})["clips"]["frames"]
        8
    """
    named = settings.get("preset")
    # One that there is not is told by what reads the settings.
    below = plain(DEFAULTS[named]()) if isinstance(named, str) and named in DEFAULTS else {}
    if settings.get("only") == "presence":
        below = over(below, plain(presence())) if below else plain(presence())
    return over(below, settings)


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Plain settings over others, which hold where they are silent; nested ones are joined in the same way.

    Example:
        >>> over({"seed": 0, "clips": {"frames": 8, "objects": 1}}, {"clips": {"objects": 3}})
        {'seed': 0, 'clips': {'frames': 8, 'objects': 3}}
    """
    both = {
        name: over(below[name], value)
        for name, value in above.items()
        if isinstance(value, Mapping) and isinstance(below.get(name), Mapping)
    }
    return {**below, **above, **both}


def binding(config: TrainConfig) -> dict[str, Any]:
    """The settings that a training keeps to its end."""
    unused = () if config.only else ("only", "presence")  # so that states from before these were there go on
    return {name: value for name, value in plain(config).items() if name not in (*FREE, *unused)}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say which settings differ, by their dotted names.

    Example:
        >>> differences({"seed": 1, "optimiser": {"lr": 0.1}}, {"seed": 1, "optimiser": {"lr": 0.2}})
        ['optimiser.lr was 0.1 and is now 0.2']
    """
    old, new = dict(_flat(before, "")), dict(_flat(now, ""))
    return [
        f"{name} was {old.get(name)!r} and is now {new.get(name)!r}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def _flat(values: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
