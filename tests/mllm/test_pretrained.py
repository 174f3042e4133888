"""Weights come from folders on disk, in the layouts in which they are published, and strictly."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmeec.errors import CheckpointError, ConfigError
from lmeec.mllm.config import MappingConfig
from lmeec.mllm.hugging_face import CLIPVisionModel, MistralForCausalLM
from lmeec.mllm.model import ALL_PARTS
from lmeec.mllm.pretrained import Pretrained, load_pretrained, with_sizes_of
from tests.support.mllm import TINY, batch
from tests.support.mllm_folders import (
    connector,
    mistral,
    videollama,
    videollama_base,
    vision_only_clip,
    whole_clip,
)


def answers(model):
    clips = batch()
    with torch.no_grad():
        return model.eval().answer_log_probabilities(model.see(clips), clips.texts)


def same(module, state):
    own = {name.removeprefix("vision_model."): value for name, value in module.state_dict().items()}
    return all(torch.equal(value, state[name].to(value.dtype)) for name, value in own.items())


def test_videollama2_gives_both_encoders_connector_and_language_model(tmp_path):
    model, tokenizer = load_pretrained(TINY, Pretrained(videollama(tmp_path / "v")))
    clip = load_file(tmp_path / "v-parts" / "clip" / "model.safetensors")
    clip = {name.removeprefix("vision_model."): x.bfloat16() for name, x in clip.items()}
    assert same(model.ego_encoder, clip)
    assert same(model.exo_encoder, clip)
    assert model.ego_encoder is not model.exo_encoder
    assert same(model.connector, {name: value.bfloat16() for name, value in connector().items()})
    language = load_file(tmp_path / "v-parts" / "mistral" / "model.safetensors")
    assert same(model.llm, {name: value.bfloat16() for name, value in language.items()})
    assert tokenizer.pad_token == "<pad>"
    assert model.parts == ALL_PARTS
    assert not any(value.is_meta for value in (*model.parameters(), *model.buffers()))
    assert answers(model).isfinite().all()


def test_all_ways_give_the_same_model(tmp_path):
    whole = load_pretrained(TINY, Pretrained(videollama(tmp_path / "v")), seed=5)[0]
    base = Pretrained(videollama_base(tmp_path / "base"), whole_clip(tmp_path / "c"), mistral(tmp_path / "m"))
    apart = load_pretrained(TINY, base, seed=5)[0]
    # Not the same bits, as those of the whole folder are bfloat16.
    for name, value in whole.state_dict().items():
        assert torch.allclose(value, apart.state_dict()[name], rtol=1e-2), name


@pytest.mark.parametrize("clip", [whole_clip, vision_only_clip, lambda folder: whole_clip(folder, "bin")])
def test_clip_and_mistral_alone_leave_the_connector_to_be_learned(tmp_path, clip):
    sources = Pretrained(clip=clip(tmp_path / "c"), language=mistral(tmp_path / "m", shards=True))
    model, _ = load_pretrained(TINY, sources)
    read = CLIPVisionModel.from_pretrained(tmp_path / "c") if clip is not None else None
    frames = batch().ego
    from lmeec.mllm.backbones import DEVIATION, MEAN

    pixels = frames.flatten(0, 1).float() / 255
    pixels = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)
    with torch.no_grad():
        hidden = read(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
        assert torch.allclose(model.ego_features(batch()).flatten(0, 1), hidden[:, 1:], atol=1e-5)
    language = MistralForCausalLM.from_pretrained(tmp_path / "m")
    numbers = torch.arange(9)[None]
    with torch.no_grad():
        assert torch.allclose(model.language(numbers).logits, language(numbers).logits, atol=1e-5)


def test_sizes_are_taken_from_the_folders(tmp_path):
    sources = Pretrained(clip=whole_clip(tmp_path / "c"), language=mistral(tmp_path / "m"))
    other = replace(TINY, encoder=replace(TINY.encoder, width=8, hidden=8), language=replace(TINY.language, layers=7))
    assert with_sizes_of(sources, other) == TINY


def test_the_same_seed_gives_the_same_new_parts(tmp_path):
    sources = Pretrained(clip=whole_clip(tmp_path / "c"), language=mistral(tmp_path / "m"))
    one, other, third = (load_pretrained(TINY, sources, seed=seed)[0] for seed in (1, 1, 2))
    for part in ("connector", "map_f", "map_g"):
        states = [getattr(model, part).state_dict() for model in (one, other, third)]
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert not torch.equal(one.map_f.layers[0].weight, third.map_f.layers[0].weight)


def test_what_is_missing_is_listed(tmp_path):
    names = ("model.mm_projector.s1.b2.conv1.conv.weight", "model.layers.1.mlp.up_proj.weight")
    with pytest.raises(CheckpointError, match=r"v: .*connector.*1 missing: s1\.b2\.conv1\.conv\.weight"):
        load_pretrained(TINY, Pretrained(videollama(tmp_path / "v", drop=names[:1])))
    with pytest.raises(CheckpointError, match=r"language model.*1 missing: model\.layers\.1\.mlp\.up_proj\.weight"):
        load_pretrained(TINY, Pretrained(videollama(tmp_path / "w", drop=names[1:])))
    lost = "model.vision_tower.vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias"
    with pytest.raises(CheckpointError, match=r"image encoder.*1 missing: encoder\.layers\.0\.mlp\.fc1\.bias"):
        load_pretrained(TINY, Pretrained(videollama(tmp_path / "x", drop=(lost,))))


@pytest.mark.parametrize(
    "name",
    [
        "model.mm_projector.s3.weight",
        "model.layers.9.mlp.up_proj.weight",
        "model.vision_tower.vision_tower.vision_model.encoder.layers.2.mlp.fc1.bias",
        "model.vision_tower.other.weight",
        "model.audio_tower.weight",
    ],
)
def test_what_is_left_over_is_listed(tmp_path, name):
    folder = videollama(tmp_path / "v", add={name: torch.zeros(2)})
    with pytest.raises(
        CheckpointError, match="left over: .*" + name.rpartition("vision_model.")[2].split("projector.")[-1]
    ):
        load_pretrained(TINY, Pretrained(folder))


def test_weights_of_another_width_are_refused_with_both_sizes(tmp_path):
    sources = Pretrained(clip=whole_clip(tmp_path / "c"), language=mistral(tmp_path / "m"))
    wide = replace(TINY, encoder=replace(TINY.encoder, width=32))
    with pytest.raises(CheckpointError, match=r"config\.json: .*another size: width is 16, but 32 is set"):
        load_pretrained(wide, sources)
    deep = replace(TINY, language=replace(TINY.language, layers=3))
    with pytest.raises(CheckpointError, match="layers is 2, but 3 is set"):
        load_pretrained(deep, sources)
    # The encoder's sizes are not in VideoLLaMA2's configuration, but in its tensors.
    tall = replace(TINY, encoder=replace(TINY.encoder, hidden=48))
    with pytest.raises(CheckpointError, match=r"of another shape: .*fc1.*is \[32, 16\], not \[48, 16\]"):
        load_pretrained(tall, Pretrained(videollama(tmp_path / "v")))


def test_another_connector_is_refused(tmp_path):
    folder = videollama(tmp_path / "v", mm_projector_type="stc_connector_v35")
    with pytest.raises(CheckpointError, match="mm_projector_type is 'stc_connector_v35'"):
        load_pretrained(TINY, Pretrained(folder))


def test_too_few_folders_are_told(tmp_path):
    with pytest.raises(ConfigError, match="name a folder of CLIP"):
        load_pretrained(TINY, Pretrained(videollama_base(tmp_path / "b"), language=mistral(tmp_path / "m")))
    with pytest.raises(ConfigError, match="name a folder of Mistral"):
        load_pretrained(TINY, Pretrained(clip=whole_clip(tmp_path / "c"), videollama=tmp_path / "b"))
    with pytest.raises(CheckpointError, match=r"none/config\.json: there is no such file"):
        load_pretrained(TINY, Pretrained(clip=tmp_path / "c", language=tmp_path / "none"))


def test_pickles_that_would_run_code_are_refused(tmp_path):
    folder = videollama_base(tmp_path / "b")
    torch.save({"model.mm_projector.readout.0.weight": print}, folder / "mm_projector.bin")
    sources = Pretrained(folder, whole_clip(tmp_path / "c"), mistral(tmp_path / "m"))
    with pytest.raises(CheckpointError, match="could run code"):
        load_pretrained(TINY, sources)


def test_damaged_files_and_indices_that_lead_elsewhere_are_refused(tmp_path):
    folder = mistral(tmp_path / "m", shards=True)
    sources = Pretrained(clip=whole_clip(tmp_path / "c"), language=folder)
    index = folder / "model.safetensors.index.json"
    said = json.loads(index.read_text())
    index.write_text(json.dumps({"weight_map": dict.fromkeys(said["weight_map"], "../c/model.safetensors")}))
    with pytest.raises(CheckpointError, match="no file beside it"):
        load_pretrained(TINY, sources)
    index.unlink()
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(CheckpointError, match="is not a safetensors file that can be read"):
        load_pretrained(TINY, sources)


def test_a_grid_of_another_mapping_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(ConfigError, match=r"mapping\.downs"):
        replace(TINY, mapping=MappingConfig(downs=3))


def test_tied_weights_are_read_with_and_without_the_output_layer(tmp_path):
    language = replace(TINY.language, tied=True)
    sources = Pretrained(clip=whole_clip(tmp_path / "c"), language=mistral(tmp_path / "m", language))
    model, _ = load_pretrained(replace(TINY, language=language), sources)
    assert model.language.lm_head.weight is model.language.get_input_embeddings().weight
    state = load_file(tmp_path / "m" / "model.safetensors")
    state["lm_head.weight"] = state["model.embed_tokens.weight"].clone()
    save_file(state, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    load_pretrained(replace(TINY, language=language), sources)
