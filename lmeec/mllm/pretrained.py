"""Exo2Ego with the weights of others to begin with, from folders on disk and from nowhere else.

- VideoLLaMA2-7B or -7B-16F: one folder with everything; its image encoder becomes both of ours.
- VideoLLaMA2-7B-Base: a folder with a connector alone (`mm_projector.bin`), beside folders of CLIP and Mistral.
- CLIP and Mistral: a folder each, and a connector with random weights.

F and G begin with random weights in any case.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from lmeec.errors import CheckpointError, ConfigError
from lmeec.files.reading import understanding
from lmeec.mllm.backbones import (
    clip_config,
    encoder_config,
    language_config,
    make_encoder,
    make_language_model,
    mistral_config,
)
from lmeec.mllm.connector import make_connector
from lmeec.mllm.hugging_face import CLIPVisionConfig, CLIPVisionModel, MistralConfig, MistralForCausalLM
from lmeec.mllm.mapping import make_mapping
from lmeec.mllm.model import Exo2Ego, Part
from lmeec.mllm.tensors import Tensors, read_file, read_folder, read_json
from lmeec.mllm.vocabulary import read_vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from lmeec.mllm.config import EncoderConfig, LanguageConfig, MllmConfig
    from lmeec.mllm.hugging_face import PreTrainedTokenizerBase

CONFIG = "config.json"
_PROJECTOR = "mm_projector.bin"
_MEND = "download it again"
_VISION = "vision_model."
_TOWER = "model.vision_tower.vision_tower."
_CONNECTOR = "model.mm_projector."
_OF_TEXT = ("text_model.", "text_projection.", "visual_projection.", "logit_scale")
"""What a whole CLIP has besides its image encoder."""


@dataclass(frozen=True)
class Pretrained:
    """Folders of weights.

    Attributes:
        videollama: of VideoLLaMA2, with everything or with a connector alone.
        clip: of CLIP, or of its image encoder alone.
        language: of Mistral, with its tokenizer.
    """

    videollama: Path | None = None
    clip: Path | None = None
    language: Path | None = None

    def absolute(self) -> Pretrained:
        """The same, as workers in other folders find them."""
        return Pretrained(*(path and path.absolute() for path in (self.videollama, self.clip, self.language)))

    @property
    def language_folder(self) -> Path:
        """The folder that the language model and its tokenizer are in."""
        found = self.language or self.videollama
        if found is None:
            raise ConfigError("weights: name a folder of VideoLLaMA2, or folders of CLIP and Mistral")
        return found


def load_pretrained(
    config: MllmConfig,
    sources: Pretrained,
    *,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> tuple[Exo2Ego, PreTrainedTokenizerBase]:
    """A model to train, with its tokenizer.

    Args:
        config: must have the sizes of the weights (see `with_sizes_of`).
        sources: where they are.
        dtype: that weights are brought to while they are read; what is made anew is float32.
        seed: makes F, G and a new connector repeatable, without touching the global random state.

    Raises:
        CheckpointError: weights or a tokenizer are missing, left over, of other sizes, or cannot be read.
        ConfigError: the folders are not enough.
    """
    of_clip, of_connector, of_language = _found(sources, config)
    tokenizer = read_vocabulary(sources.language_folder, config.language)
    encoder, language = config.encoder, config.language
    made: dict[Part, nn.Module] = {
        "ego_encoder": load_encoder(encoder, of_clip, dtype),
        "exo_encoder": load_encoder(encoder, of_clip, dtype),
        "llm": load_language_model(language, of_language, dtype),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made["connector"] = make_connector(config.connector, encoder.width, language.width)
        made["map_f"] = make_mapping(config.mapping, encoder.width)
        made["map_g"] = make_mapping(config.mapping, encoder.width)
    if of_connector is not None:
        load_module(made["connector"], of_connector, "connector", dtype)
    return assemble(config, made), tokenizer


def assemble(config: MllmConfig, made: Mapping[Part, nn.Module]) -> Exo2Ego:
    """A model of parts that are made already."""
    with torch.device("meta"):
        model = Exo2Ego(config, made)
    for part, module in made.items():
        setattr(model, part, module)
    return model


def with_sizes_of(sources: Pretrained, config: MllmConfig) -> MllmConfig:
    """A configuration with the encoder's and the language model's sizes as the folders' config.json says them.

    VideoLLaMA2 does not say its encoder's, so that `config` is trusted for that where there is no folder of CLIP.
    """
    language = _language_sizes(sources.language_folder, config.language)
    encoder = config.encoder
    if sources.clip is not None:
        encoder = _encoder_sizes(sources.clip)
    return replace(config, language=language, encoder=encoder)


def load_encoder(config: EncoderConfig, tensors: Tensors, dtype: torch.dtype) -> CLIPVisionModel:
    """A CLIP image encoder out of weights, under names with or without `vision_model.`; raises as `load_pretrained`."""
    last = f"encoder.layers.{config.layers}."
    # The layer above the one that is read is what a whole CLIP has more; one further up would be another model.
    names = {
        short: name
        for name in tensors.shapes
        if not name.startswith(_OF_TEXT)
        and not (short := name.removeprefix(_VISION)).startswith(last)
        and not short.endswith(".position_ids")
    }
    with torch.device("meta"):
        expected = {name.removeprefix(_VISION): tuple(x.shape) for name, x in make_encoder(config).state_dict().items()}
    ours = tensors.renamed(names)
    ours.check(expected, "image encoder")
    state = {f"{_VISION}{name}": value for name, value in ours.all().items()}
    loaded: Any = CLIPVisionModel.from_pretrained(
        None, config=clip_config(config), state_dict=state, dtype=dtype, output_loading_info=True
    )
    encoder: CLIPVisionModel = loaded[0]
    _all_taken(loaded[1], tensors)
    encoder.post_layernorm.requires_grad_(False)
    return encoder


def load_language_model(config: LanguageConfig, tensors: Tensors, dtype: torch.dtype) -> MistralForCausalLM:
    """A Mistral out of weights; raises as `load_pretrained`."""
    names = {name: name for name in tensors.shapes if not name.endswith(".rotary_emb.inv_freq")}
    with torch.device("meta"):
        expected = {name: tuple(x.shape) for name, x in make_language_model(config).state_dict().items()}
    if config.tied:
        expected.pop("lm_head.weight", None)
        names.pop("lm_head.weight", None)
    ours = tensors.renamed(names)
    ours.check(expected, "language model")
    loaded: Any = MistralForCausalLM.from_pretrained(
        None, config=mistral_config(config), state_dict=ours.all(), dtype=dtype, output_loading_info=True
    )
    model: MistralForCausalLM = loaded[0]
    _all_taken(loaded[1], tensors)
    return model


def load_module(module: nn.Module, tensors: Tensors, what: str, dtype: torch.dtype) -> None:
    """Put weights into a part of our own, strictly; raises as `load_pretrained`."""
    tensors.check({name: tuple(value.shape) for name, value in module.state_dict().items()}, what)
    module.load_state_dict(tensors.all())
    module.to(dtype)


def _all_taken(info: Mapping[str, Any], tensors: Tensors) -> None:
    """Transformers names parameters in its own way; that it found all of them is asked, not assumed."""
    left = {kind: sorted(names) for kind, names in info.items() if names}
    if left:
        raise CheckpointError(f"{tensors.where}: this transformers does not take these weights: {left}")


def _found(sources: Pretrained, config: MllmConfig) -> tuple[Tensors, Tensors | None, Tensors]:
    """The weights of encoder, connector and language model; None for a connector that begins with random ones."""
    whole, connector = None, None
    if sources.videollama is not None:
        _check_videollama(sources.videollama, config)
        if (sources.videollama / _PROJECTOR).is_file():
            connector = read_file(sources.videollama / _PROJECTOR).below(_CONNECTOR)
        else:
            whole = read_folder(sources.videollama)
            connector = whole.below(_CONNECTOR)
            _nothing_else(whole)
        if not connector.shapes:
            raise CheckpointError(f"{connector.where}: has no connector, whose names begin with {_CONNECTOR}")
    if sources.clip is not None:
        _same_sizes(sources.clip, _encoder_sizes(sources.clip), config.encoder)
        of_clip = read_folder(sources.clip)
    elif whole is not None:
        of_clip = whole.below(_TOWER)
    else:
        raise ConfigError("weights: name a folder of CLIP for the image encoders")
    if sources.language is None and whole is None:
        raise ConfigError("weights: name a folder of Mistral for the language model")
    found = _language_sizes(sources.language_folder, config.language)
    _same_sizes(sources.language_folder, found, config.language)
    if sources.language is not None:
        return of_clip, connector, read_folder(sources.language)
    assert whole is not None
    rest = {name: name for name in whole.shapes if not name.startswith((_TOWER, _CONNECTOR))}
    return of_clip, connector, whole.renamed(rest)


def _nothing_else(whole: Tensors) -> None:
    """Refuse a second model that hides in the folder; the rest is checked with the language model's names."""
    odd = [name for name in whole.shapes if name.startswith("model.vision_tower.") and not name.startswith(_TOWER)]
    if odd:
        raise CheckpointError(f"{whole.where}: left over: {', '.join(odd[:8])}")


def _check_videollama(folder: Path, config: MllmConfig) -> None:
    """Refuse a VideoLLaMA2 whose connector or features are others than ours."""
    said = read_json(folder / CONFIG)
    kinds = {"stc": "stc_connector", "mlp": "mlp2x_gelu"}
    expected = {
        "mm_projector_type": kinds.get(config.connector.kind, config.connector.kind),
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch",
        "mm_hidden_size": config.encoder.width,
        "hidden_size": config.language.width,
    }
    wrong = [
        f"{name} is {said[name]!r}, but the configuration needs {value!r}"
        for name, value in expected.items()
        if name in said and said[name] != value
    ]
    if wrong:
        raise CheckpointError(f"{folder / CONFIG}: {'; '.join(wrong)}")


def _same_sizes(folder: Path, found: EncoderConfig | LanguageConfig, wanted: EncoderConfig | LanguageConfig) -> None:
    other = asdict(wanted)
    wrong = [
        f"{name} is {value!r}, but {other[name]!r} is set"
        for name, value in asdict(found).items()
        if value != other[name]
    ]
    if wrong:
        raise CheckpointError(f"{folder / CONFIG}: these weights are of another size: {'; '.join(wrong)}")


def _encoder_sizes(folder: Path) -> EncoderConfig:
    found = _clip(folder)
    with understanding(folder / CONFIG, CheckpointError, "a configuration of CLIP", _MEND):
        return encoder_config(found, below_last=True)


def _language_sizes(folder: Path, above: LanguageConfig) -> LanguageConfig:
    found = _mistral(folder)
    with understanding(folder / CONFIG, CheckpointError, "a configuration of Mistral", _MEND):
        return language_config(found, above)


def _clip(folder: Path) -> CLIPVisionConfig:
    """The sizes of the image encoder, out of a whole CLIP's configuration or its own."""
    said = read_json(folder / CONFIG)
    with understanding(folder / CONFIG, CheckpointError, "a configuration of CLIP", _MEND):
        return CLIPVisionConfig.from_dict(said.get("vision_config", said))


def _mistral(folder: Path) -> MistralConfig:
    """The sizes of the language model; VideoLLaMA2's configuration is Mistral's, with more in it."""
    said = {**read_json(folder / CONFIG), "model_type": "mistral"}
    with understanding(folder / CONFIG, CheckpointError, "a configuration of Mistral", _MEND):
        return MistralConfig.from_dict(said)
