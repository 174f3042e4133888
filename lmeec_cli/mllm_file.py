"""Settings of Exo2Ego in YAML: model, training and data over a preset's; mistakes are named with key and line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator, with_config

from lmeec.errors import ConfigError
from lmeec.files.yaml import read_yaml, refusal
from lmeec.mllm.config import (
    PRESETS,
    ConnectorConfig,
    EncoderConfig,
    LanguageConfig,
    LoraSettings,
    MappingConfig,
    MllmConfig,
    Preset,
    PromptConfig,
)
from lmeec.mllm.settings import TRAINING, LossConfig, MllmTrainConfig, StageConfig
from lmeec.mllm.synthetic.world import World
from lmeec.mllm.training_data import QuestionSet, TrainingData
from lmeec.training.settings import over

for _part in (
    MllmConfig,
    EncoderConfig,
    LanguageConfig,
    ConnectorConfig,
    MappingConfig,
    LoraSettings,
    PromptConfig,
    MllmTrainConfig,
    StageConfig,
    LossConfig,
    TrainingData,
    QuestionSet,
    World,
):
    # Without this, pydantic passes over keys that a dataclass does not know.
    with_config(ConfigDict(extra="forbid"))(_part)


class Exo2EgoSettings(BaseModel):
    """What is trained, how, and on what; `model` and `training` say what differs from the preset."""

    model_config = ConfigDict(extra="forbid")

    preset: Preset = "paper"
    model: MllmConfig = MllmConfig()
    training: MllmTrainConfig = MllmTrainConfig()
    data: TrainingData = TrainingData()

    @model_validator(mode="before")
    @classmethod
    def _over_preset(cls, document: Any) -> Any:
        """Put what a document says over its preset; what it says wrongly is told by what reads it."""
        if not isinstance(document, Mapping):
            return document
        name = document.get("preset", "paper")
        if not isinstance(name, str) or name not in PRESETS:
            return document
        presets = {"model": PRESETS[name]().to_dict(), "training": TRAINING[name]().to_dict()}
        return {**document, **{key: _over_part(preset, document.get(key)) for key, preset in presets.items()}}


def _over_part(preset: Mapping[str, Any], given: Any) -> Any:
    """Plain settings over those of a preset; what is no mapping stays, to be told."""
    if given is None:
        return dict(preset)
    return over(preset, given) if isinstance(given, Mapping) else given


def read_mllm_settings(path: Path) -> Exo2EgoSettings:
    """Read settings of Exo2Ego.

    Raises:
        ConfigError: the file cannot be read or says something that it may not; names the key and the line.
    """
    document = read_yaml(path)
    if document is None:
        return Exo2EgoSettings()
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: holds no settings, which are `key: value` each")
    try:
        return TypeAdapter(Exo2EgoSettings).validate_python(document)
    except ValidationError as error:
        raise refusal(path, document, error) from error


def read_preset_or_file(path: Path | None, preset: Preset | None) -> Exo2EgoSettings:
    """Settings of a file, or those of a preset; the paper's with neither.

    Raises:
        ConfigError: as `read_mllm_settings`, or both are given.
    """
    if path is None:
        return Exo2EgoSettings.model_validate({"preset": preset or "paper"})
    if preset is not None:
        raise ConfigError(f"{path} names its preset itself: leave out `preset`", settings=["preset"])
    return read_mllm_settings(path)
