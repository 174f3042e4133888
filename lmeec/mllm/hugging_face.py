"""The one door to transformers and peft, which never lets them find torchvision.

transformers imports torchvision wherever it is installed, also for models that need nothing of it, and beside a torch
for the CPU that fails. Once transformers has not found it, it does without for the rest of the process.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from lmeec.errors import ConfigError
from lmeec.extras import how_to_install

if TYPE_CHECKING:
    from collections.abc import Iterator

_HIDDEN = "torchvision"


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Let imports in the block find no such package; one that is imported already stays."""
    if name in sys.modules:
        yield
        return
    modules = cast("dict[str, object]", sys.modules)
    modules[name] = None  # what Python's import system takes for "there is none"
    try:
        yield
    finally:
        del modules[name]


# Weights come from disk only.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

try:
    with _hidden(_HIDDEN):
        from peft import LoraConfig, PeftModel, get_peft_model
        from transformers import (
            AutoTokenizer,
            CLIPVisionConfig,
            CLIPVisionModel,
            MistralConfig,
            MistralForCausalLM,
            PreTrainedTokenizerBase,
            PreTrainedTokenizerFast,
        )
        from transformers.utils import logging
except ImportError as error:
    raise ConfigError(
        f"Exo2Ego needs transformers and peft, which cannot be imported ({error}): {how_to_install('mllm')}"
    ) from error

# How far reading and writing are is told by whoever asks for it.
logging.disable_progress_bar()

__all__ = [
    "AutoTokenizer",
    "CLIPVisionConfig",
    "CLIPVisionModel",
    "LoraConfig",
    "MistralConfig",
    "MistralForCausalLM",
    "PeftModel",
    "PreTrainedTokenizerBase",
    "PreTrainedTokenizerFast",
    "get_peft_model",
]
