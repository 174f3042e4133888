"""A model of ours in a folder: what is read to answer is apart from what is needed to train on.

    config.json            sizes and choices, and which language model it belongs to
    ego_encoder/           as transformers writes it; exo_encoder/ likewise
    connector.safetensors  and map_f.safetensors, map_g.safetensors
    lora/                  adapters, as peft writes them
    tokenizer/
    llm/                   only of a language model that was trained itself; else config.json has its path and digest

To answer, the ego encoder, the connector, F, the language model and its adapters are read, and nothing else.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch
from safetensors.torch import save_file

from lmeec.errors import CheckpointError, ConfigError, OutputError
from lmeec.files.folder import folder_written_whole
from lmeec.files.reading import in_short, understanding
from lmeec.files.whole import naming_the_file
from lmeec.mllm.backbones import LORA_TARGETS, clip_config, mistral_config
from lmeec.mllm.config import MllmConfig
from lmeec.mllm.connector import make_connector
from lmeec.mllm.hugging_face import PeftModel
from lmeec.mllm.mapping import make_mapping
from lmeec.mllm.model import Exo2Ego, Part, parts_of_inference
from lmeec.mllm.pretrained import CONFIG, assemble, load_encoder, load_language_model, load_module
from lmeec.mllm.tensors import Tensors, folder_digest, read_file, read_folder, read_json
from lmeec.mllm.vocabulary import read_vocabulary
from lmeec.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor, nn

    from lmeec.mllm.hugging_face import PreTrainedTokenizerBase

FORMAT = "lmeec.exo2ego.1"
"""Changes when a folder is to be read in another way."""

_FOLDERS: tuple[Part, ...] = ("ego_encoder", "exo_encoder", "llm")
_LORA, _TOKENIZER = "lora", "tokenizer"
_WEIGHTS, _ADAPTERS = "model.safetensors", "adapter_model.safetensors"
_BASE, _PEFT = ".base_layer.", "base_model.model."


@dataclass(frozen=True)
class LanguageSource:
    """The folder of a language model that is not written again with every model.

    Attributes:
        path: of the folder.
        digest: of its weights.
    """

    path: Path
    digest: str

    @classmethod
    def of(cls, folder: Path) -> LanguageSource:
        """That of a folder of weights."""
        return cls(folder.resolve(), folder_digest(folder))


@dataclass(frozen=True)
class LoadedMllm:
    """A model with what belongs to it.

    Attributes:
        model: in evaluation mode, on its device.
        tokenizer: of its language model.
        digest: of the folder's weights.
        language: where its language model is; None if that is in the folder.
    """

    model: Exo2Ego
    tokenizer: PreTrainedTokenizerBase
    digest: str
    language: LanguageSource | None = None


def save_mllm(
    folder: Path,
    model: Exo2Ego,
    tokenizer: PreTrainedTokenizerBase,
    *,
    language: LanguageSource | None = None,
    state: Mapping[str, Tensor] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a model; the folder appears under its name only when whole, in place of one of ours.

    Args:
        folder: to be written.
        model: its parts, its configuration and, if it has any, its adapters are written.
        tokenizer: of its language model.
        language: where its language model is, if that was not trained; None writes it, too.
        state: the model's tensors, where those of the model are divided among workers.
        dtype: of the tensors on disk; None keeps the model's.

    Raises:
        OutputError: the folder holds other things, or cannot be written.
    """
    tensors = _by_part(model, model.state_dict() if state is None else state, dtype)
    if (folder / CONFIG).exists() and not _is_ours(folder):
        raise OutputError(f"{folder} holds other things than a model of ours: name another folder")
    with folder_written_whole(folder, made_by=CONFIG, overwrite=True) as aside, naming_the_file(folder):
        for part in model.parts:
            if part == "llm" and language is not None:
                continue
            _write_part(aside, part, model, tensors[part])
        if isinstance(model.llm, PeftModel):
            model.llm.peft_config["default"].save_pretrained(str(aside / _LORA))
            save_file(tensors[_LORA], aside / _LORA / _ADAPTERS, {"format": "pt"})
        tokenizer.save_pretrained(aside / _TOKENIZER)
        said = {
            "format": FORMAT,
            "lmeec": __version__,
            "config": model.config.to_dict(),
            "parts": list(model.parts),
            "adapters": isinstance(model.llm, PeftModel),
            "language": None if language is None else {"path": str(language.path), "digest": language.digest},
        }
        (aside / CONFIG).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
        for weights in aside.rglob("*.safetensors"):
            # safetensors lets nobody but the owner read them.
            shutil.copymode(aside / CONFIG, weights)


def load_mllm(
    folder: Path,
    *,
    parts: Iterable[Part] | None = None,
    config: MllmConfig | None = None,
    language: Path | None = None,
    dtype: torch.dtype = torch.float32,
    merge: bool = False,
) -> LoadedMllm:
    """Read a model.

    Args:
        folder: as `save_mllm` writes it.
        parts: those to read; None takes those that answer.
        config: sizes and choices in place of the folder's own, as far as its weights allow.
        language: the language model's folder, where it is no longer at the path that the model says.
        dtype: of the weights in memory.
        merge: work adapters into the language model.

    Raises:
        CheckpointError: it is no model of ours, lacks a part, or its language model is another one.
    """
    looked = look_at(folder, parts=parts, config=config, language=language)
    config, source, tokenizer, wanted = looked.config, looked.language, looked.tokenizer, looked.parts
    weights = folder / "llm" if source is None else source.path
    made: dict[Part, nn.Module] = {}
    for part in wanted:
        if part == "llm":
            made[part] = load_language_model(config.language, _of_language(weights), dtype)
        elif part in _FOLDERS:
            made[part] = load_encoder(config.encoder, read_folder(folder / part), dtype)
        else:
            made[part] = _loaded(part, config, read_file(folder / f"{part}.safetensors"), dtype)
    model = assemble(config, made)
    if looked.adapters:
        _load_adapters(model, folder / _LORA)
        if merge:
            model.merge_adapters()
    return LoadedMllm(model.eval(), tokenizer, looked.digest, source)


@dataclass(frozen=True)
class LookedAt:
    """What is known of a model before its weights are read.

    Attributes:
        config: sizes and choices.
        parts: those that are to be read.
        tokenizer: of its language model.
        digest: of the folder's weights.
        language: where its language model is; None if that is in the folder.
        adapters: whether its language model has adapters.
    """

    config: MllmConfig
    parts: tuple[Part, ...]
    tokenizer: PreTrainedTokenizerBase
    digest: str
    language: LanguageSource | None
    adapters: bool


def look_at(
    folder: Path,
    *,
    parts: Iterable[Part] | None = None,
    config: MllmConfig | None = None,
    language: Path | None = None,
) -> LookedAt:
    """See what a model is, and that nothing of it is missing, before gigabytes are read; arguments as `load_mllm`.

    Raises:
        CheckpointError: it is no model of ours, lacks a part, or its language model is another one.
    """
    said = read_json(folder / CONFIG)
    config = config or _config(folder, said)
    wanted = parts_of_inference(config) if parts is None else tuple(parts)
    missing = [part for part in wanted if part not in _parts(folder, said)]
    if missing:
        raise CheckpointError(f"{folder}: has no {', '.join(missing)}: later stages and answering do without them")
    source = _language_source(folder, said, language)
    tokenizer = read_vocabulary(folder / _TOKENIZER, config.language)
    return LookedAt(config, wanted, tokenizer, folder_digest(folder), source, bool(said.get("adapters")))


def _by_part(model: Exo2Ego, state: Mapping[str, Tensor], dtype: torch.dtype | None) -> dict[str, dict[str, Tensor]]:
    """Tensors by what they are written to, under the names that they have there."""
    found: dict[str, dict[str, Tensor]] = {part: {} for part in (*model.parts, _LORA)}
    tied = model.config.language.tied
    for full, value in state.items():
        part, _, name = full.partition(".")
        own = value.detach().to("cpu", dtype if value.is_floating_point() else None).contiguous()
        if part != "llm":
            # Transformers leaves the prefix out in memory, and has it in files.
            name = f"vision_model.{name.removeprefix('vision_model.')}" if part in _FOLDERS else name
            found[part][name] = own
        elif ".lora_" in name:
            found[_LORA][name.replace(".default.", ".")] = own
        elif not (tied and name.endswith("lm_head.weight")):
            found[part][name.removeprefix(_PEFT).replace(_BASE, ".")] = own
    return found


def _write_part(aside: Path, part: Part, model: Exo2Ego, tensors: dict[str, Tensor]) -> None:
    if part not in _FOLDERS:
        save_file(tensors, aside / f"{part}.safetensors", {"format": "pt"})
        return
    config = mistral_config(model.config.language) if part == "llm" else clip_config(model.config.encoder)
    config.architectures = ["MistralForCausalLM" if part == "llm" else "CLIPVisionModel"]
    config.save_pretrained(aside / part)
    save_file(tensors, aside / part / _WEIGHTS, {"format": "pt"})


def _is_ours(folder: Path) -> bool:
    try:
        return read_json(folder / CONFIG).get("format") == FORMAT
    except CheckpointError:
        return False


def read_parts(folder: Path) -> tuple[Part, ...]:
    """The parts that a model of ours has; raises as `read_config`."""
    _config(folder, said := read_json(folder / CONFIG))
    return _parts(folder, said)


def _parts(folder: Path, said: Mapping[str, Any]) -> tuple[Part, ...]:
    parts = said.get("parts")
    if not isinstance(parts, list) or not set(map(str, parts)) <= set(get_args(Part)):
        raise CheckpointError(f"{folder / CONFIG}: does not say which parts the model has; copy the model again")
    return tuple(parts)


def read_config(folder: Path) -> MllmConfig:
    """The configuration of a model of ours, without its weights.

    Raises:
        CheckpointError: it is no model of ours.
    """
    return _config(folder, read_json(folder / CONFIG))


def _config(folder: Path, said: Mapping[str, Any]) -> MllmConfig:
    if said.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder / CONFIG}: is no model of Exo2Ego that this version reads ({FORMAT}), as `lmeec mllm train` "
            "leaves it in `model`; weights of others are what it begins with"
        )
    with understanding(folder / CONFIG, CheckpointError, "the description of a model", "copy the model again"):
        try:
            return MllmConfig.from_dict(said["config"])
        except ConfigError as error:
            raise CheckpointError(
                f"{folder / CONFIG}: its configuration cannot be used: {in_short(str(error))}"
            ) from error


def _language_source(folder: Path, said: Mapping[str, Any], named: Path | None) -> LanguageSource | None:
    """Where the language model is; None if in the folder itself."""
    known = said.get("language")
    if known is None:
        if named is not None:
            raise ConfigError(f"language {named}: {folder} has a language model of its own")
        return None
    if not isinstance(known, dict) or not all(isinstance(known.get(name), str) for name in ("path", "digest")):
        raise CheckpointError(f"{folder / CONFIG}: does not say what its language model is; copy the model again")
    path = Path(named or known["path"])
    if not path.is_dir():
        raise CheckpointError(f"{folder}: its language model is not at {path}; say where it is (language)")
    digest = folder_digest(path)
    if digest != known["digest"]:
        raise CheckpointError(
            f"{path}: is another language model than {folder} was trained with (digest {digest[:12]}, not "
            f"{known['digest'][:12]})"
        )
    return LanguageSource(path, digest)


def _of_language(folder: Path) -> Tensors:
    """The weights of a language model, of which VideoLLaMA2's folder has others, too."""
    found = read_folder(folder)
    kept = {name: name for name in found.shapes if not name.startswith(("model.vision_tower.", "model.mm_projector."))}
    return found.renamed(kept)


def _blank(part: Part, config: MllmConfig) -> nn.Module:
    if part == "connector":
        return make_connector(config.connector, config.encoder.width, config.language.width)
    return make_mapping(config.mapping, config.encoder.width)


def _loaded(part: Part, config: MllmConfig, tensors: Tensors, dtype: torch.dtype) -> nn.Module:
    """A part with its weights; no memory is taken for what the configuration says and the file does not hold."""
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in _blank(part, config).state_dict().items()}
    tensors.check(shapes, part)
    module = _blank(part, config)
    load_module(module, tensors, part, dtype)
    return module


def _adapter_shapes(model: Exo2Ego) -> dict[str, tuple[int, ...]]:
    """Of the adapters that the configuration gives the language model, under their names in files."""
    if model.config.lora is None:
        raise ConfigError("lora is null: this model has no adapters")
    rank = model.config.lora.rank
    shapes: dict[str, tuple[int, ...]] = {}
    for name, layer in model.llm.named_modules():
        if isinstance(layer, torch.nn.Linear) and name.endswith(LORA_TARGETS):
            shapes[f"{_PEFT}{name}.lora_A.weight"] = (rank, layer.in_features)
            shapes[f"{_PEFT}{name}.lora_B.weight"] = (layer.out_features, rank)
    return shapes


def _load_adapters(model: Exo2Ego, folder: Path) -> None:
    read = read_file(folder / _ADAPTERS)
    read.check(_adapter_shapes(model), "adapters")  # before memory is taken for the rank that is said
    model.add_adapters()
    own = {name: value for name, value in model.llm.named_parameters() if ".lora_" in name}
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(read.read(name.replace(".default.", ".")))
