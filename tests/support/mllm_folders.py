"""Tiny folders of weights in the very layouts in which those of CLIP, Mistral and VideoLLaMA2 are published."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from lmeec.mllm.backbones import clip_config, make_language_model, mistral_config
from lmeec.mllm.config import ConnectorConfig
from lmeec.mllm.connector import make_connector
from lmeec.mllm.hugging_face import CLIPVisionModel
from lmeec.mllm.vocabulary import make_vocabulary
from tests.support.mllm import SENTENCES, TINY


def whole_clip(folder, kind="safetensors"):
    """A CLIP with its text model and all layers, of which one is above those that are read."""
    from transformers import CLIPConfig, CLIPModel

    vision = clip_config(replace(TINY.encoder, layers=TINY.encoder.layers + 1)).to_dict()
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(1)
    model = CLIPModel(CLIPConfig(vision_config=vision, text_config={**text, "vocab_size": 50000}))
    model.save_pretrained(folder)
    if kind == "bin":  # as OpenAI's own folders are
        state = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        torch.save(
            {**state, "vision_model.embeddings.position_ids": torch.arange(65)[None]}, folder / "pytorch_model.bin"
        )
    return folder


def vision_only_clip(folder):
    """The image encoder alone."""
    torch.manual_seed(1)
    CLIPVisionModel(clip_config(replace(TINY.encoder, layers=TINY.encoder.layers + 1))).save_pretrained(folder)
    return folder


def mistral(folder, language=TINY.language, *, shards=False):
    """A Mistral with its tokenizer, in one file or several."""
    torch.manual_seed(2)
    model = make_language_model(language)
    if shards:
        model.save_pretrained(folder, max_shard_size="20KB")
        assert (folder / "model.safetensors.index.json").is_file()
    else:
        model.save_pretrained(folder)
    make_vocabulary(SENTENCES, language.vocabulary).save_pretrained(folder)
    return folder


def connector(depth=TINY.connector.depth):
    """Weights of a connector."""
    torch.manual_seed(3)
    return make_connector(ConnectorConfig(depth=depth), TINY.encoder.width, TINY.language.width).state_dict()


def _videollama_config(**changes):
    known = {
        "architectures": ["Videollama2MistralForCausalLM"],
        "model_type": "videollama2_mistral",
        "mm_projector_type": "stc_connector",
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch",
        "mm_vision_tower": "openai/clip-vit-large-patch14-336",
        "mm_hidden_size": TINY.encoder.width,
        "num_frames": 16,
        "use_mm_proj": True,
    }
    return {**mistral_config(TINY.language).to_dict(), **known, **changes}


def videollama(folder, *, drop=(), add=None, **changes):
    """VideoLLaMA2-7B-16F: everything in bfloat16 shards of safetensors with an index, and a tokenizer."""
    aside = Path(f"{folder}-parts")
    clip, language = load_file(whole_clip(aside / "clip") / "model.safetensors"), mistral(aside / "mistral")
    state = {
        **{f"model.vision_tower.vision_tower.{name}": value for name, value in clip.items() if "vision_model." in name},
        **{f"model.mm_projector.{name}": value for name, value in connector().items()},
        **load_file(language / "model.safetensors"),
        **(add or {}),
    }
    state = {name: value.to(torch.bfloat16).contiguous() for name, value in state.items() if name not in drop}
    folder.mkdir()
    names = sorted(state)
    weight_map = {}
    for number in range(4):
        file = f"model-0000{number + 1}-of-00004.safetensors"
        part = {name: state[name] for name in names[number::4]}
        save_file(part, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps(_videollama_config(**changes)))
    make_vocabulary(SENTENCES, TINY.language.vocabulary).save_pretrained(folder)
    return folder


def videollama_base(folder, **changes):
    """VideoLLaMA2-7B-Base: a connector in a pickle of tensors, and a configuration."""
    folder.mkdir()
    torch.save(
        {f"model.mm_projector.{name}": value for name, value in connector().items()}, folder / "mm_projector.bin"
    )
    (folder / "config.json").write_text(json.dumps(_videollama_config(**changes)))
    return folder
