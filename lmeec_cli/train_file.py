"""Settings of a training in YAML: what a file may say, and messages that name the key and the line of a mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError, with_config

from lmeec.errors import ConfigError
from lmeec.files.yaml import read_yaml, refusal
from lmeec.training.clips.augment import AugmentConfig
from lmeec.training.clips.config import ClipConfig
from lmeec.training.clips.synthetic import Phase, SyntheticConfig
from lmeec.training.config import OptimiserConfig, PresenceConfig, ScratchConfig, TrainConfig, ValidationConfig
from lmeec.training.losses import LossWeights
from lmeec.training.settings import over_preset

for _part in (
    TrainConfig,
    AugmentConfig,
    ClipConfig,
    LossWeights,
    OptimiserConfig,
    Phase,
    PresenceConfig,
    ScratchConfig,
    SyntheticConfig,
    ValidationConfig,
):
    # Without this, pydantic passes over keys that a dataclass does not know.
    with_config(ConfigDict(extra="forbid"))(_part)


def _over_preset(document: Any) -> Any:
    return over_preset(document) if isinstance(document, dict) else document


Settings = Annotated[TrainConfig, BeforeValidator(_over_preset)]
"""Settings of a training, as a file says them."""


def read_settings(path: Path) -> TrainConfig:
    """Read the settings of a training; those that the file leaves out are its preset's.

    Raises:
        ConfigError: the file cannot be read or says something that it may not; names the key and the line.
    """
    document = read_yaml(path)
    if document is None:
        return TrainConfig()
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: holds no settings, which are `key: value` each")
    try:
        settings: TrainConfig = TypeAdapter(Settings).validate_python(document)
    except ValidationError as error:
        raise refusal(path, document, error) from error
    return settings
