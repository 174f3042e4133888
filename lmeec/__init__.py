"""Ego-exo correspondence with long-term memory: segment the same object across views of Ego-Exo4D.

The names below and the library's modules (`lmeec.masks`, `lmeec.tables`, ...) load on first use, so that importing
`lmeec` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lmeec.version import __version__

if TYPE_CHECKING:
    from lmeec.analysis.evaluation import evaluate
    from lmeec.config import ExecutionConfig, MemoryConfig, ModelConfig, PredictConfig
    from lmeec.data.takes import find_takes
    from lmeec.inference.predictor import predict_take
    from lmeec.inference.track import Track, track
    from lmeec.model.build import build_model, load_model

_HOME = {
    "ExecutionConfig": "lmeec.config",
    "MemoryConfig": "lmeec.config",
    "ModelConfig": "lmeec.config",
    "PredictConfig": "lmeec.config",
    "Track": "lmeec.inference.track",
    "build_model": "lmeec.model.build",
    "evaluate": "lmeec.analysis.evaluation",
    "find_takes": "lmeec.data.takes",
    "load_model": "lmeec.model.build",
    "predict_take": "lmeec.inference.predictor",
    "track": "lmeec.inference.track",
}

__all__ = [
    "ExecutionConfig",
    "MemoryConfig",
    "ModelConfig",
    "PredictConfig",
    "Track",
    "__version__",
    "build_model",
    "evaluate",
    "find_takes",
    "load_model",
    "predict_take",
    "track",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    module = f"{__name__}.{name}"
    try:
        if not name.startswith("_"):
            return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:  # the module is there, something that it needs is not
            raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
