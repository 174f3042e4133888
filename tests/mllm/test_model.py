"""The model: shapes, sequences, padding, adapters."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lmeec.errors import ConfigError, DataError
from lmeec.mllm.backbones import clip_config, patch_features
from lmeec.mllm.batch import Batch, TextTokens
from lmeec.mllm.config import ConnectorConfig, MappingConfig, MllmConfig
from lmeec.mllm.connector import make_connector
from lmeec.mllm.hugging_face import CLIPVisionModel
from lmeec.mllm.mapping import make_mapping
from lmeec.mllm.model import Exo2Ego, parts_of_inference
from lmeec.mllm.splice import IGNORED, splice
from tests.support.mllm import TINY, batch, prompter, tiny

# Connector


def test_the_connector_of_the_paper_has_the_names_and_sizes_of_its_checkpoint():
    with torch.device("meta"):
        connector = make_connector(ConnectorConfig(), 1024, 4096)
    shapes = {name: tuple(value.shape) for name, value in connector.state_dict().items()}
    assert shapes["s1.b1.conv1.conv.weight"] == (4096, 1024, 1, 1)
    assert shapes["s1.b1.conv2.conv.weight"] == (4096, 1, 3, 3)  # depth-wise
    assert shapes["s1.b1.conv3.bn.bias"] == (4096,)
    assert shapes["s1.b1.se.fc1.weight"] == (256, 4096, 1, 1)  # a quarter of the block's input
    assert shapes["s1.b2.se.fc1.weight"] == (1024, 4096, 1, 1)
    assert shapes["s1.b1.downsample.conv.weight"] == (4096, 1024, 1, 1)
    assert not any(name.startswith("s2.b1.downsample") for name in shapes)
    assert shapes["sampler.0.weight"] == (4096, 4096, 2, 2, 2)
    assert {"sampler.0.bias", "readout.0.weight", "readout.2.bias", "s2.b4.conv3.conv.weight"} <= set(shapes)
    millions = {
        part: sum(p.numel() for name, p in connector.named_parameters() if name.startswith(part)) / 1e6
        for part in ("s1", "sampler", "s2", "readout")
    }
    assert {part: round(count) for part, count in millions.items()} == {
        "s1": 153,
        "sampler": 134,
        "s2": 168,
        "readout": 34,
    }


def test_the_connector_gives_so_many_tokens():
    features = torch.randn(2, 4, 64, 16)
    for kind, tokens in (("stc", 75), ("mlp", 64), ("resampler", 5)):
        config = ConnectorConfig(kind, depth=2, queries=5)
        out = make_connector(config, 16, 24)(features)
        assert out.shape == (2, tokens, 24) == (2, config.tokens(4, 8), 24)


def test_a_token_of_the_resampler_is_what_its_query_attends_to():
    connector = make_connector(ConnectorConfig("resampler", queries=3), 4, 6)
    torch.nn.init.normal_(connector.query)
    features = torch.randn(2, 5, 16, 4)
    tokens, attention = connector(features), connector.attention(features)
    for clip, query in itertools.product(range(2), range(3)):
        patches = [connector.norm(sum(features[clip, :, place]) / 5) for place in range(16)]
        scores = [math.exp(4 * float(connector.key(one) @ connector.query[query]) / 2) for one in patches]
        weights = [one / sum(scores) for one in scores]
        assert attention[clip, query].tolist() == pytest.approx(weights, rel=1e-4)
        found = sum(weight * connector.value(one) for weight, one in zip(weights, patches, strict=True))
        torch.testing.assert_close(tokens[clip, query], connector.readout(found + connector.begin[query]))


def test_tokens_are_in_order_of_time_row_and_column():
    connector = make_connector(ConnectorConfig("stc", depth=1), 4, 4).eval()
    connector.s1 = connector.s2 = torch.nn.Identity()  # which look at their neighbours and at the whole frame
    features = torch.randn(1, 4, 64, 4)
    changed = features.clone()
    changed[0, 3, 8 * 5 + 2] += 1.0
    with torch.no_grad():
        differs = (connector(features) - connector(changed)).abs().amax(-1)[0].view(3, 5, 5)
    assert differs[2].max() > 0  # frame 3 is in the last of three pairs: (-, 0), (1, 2), (3, -)
    assert differs[:2].max() == 0
    assert differs[2].argmax() == 3 * 5 + 1  # row 5 and column 2 are in the pairs 3 and 1


def test_a_block_computes_what_regnet_says():
    from lmeec.mllm.connector import RegStage

    stage = RegStage(1, 4, 8).eval()
    block, x = stage.b1, torch.randn(2, 4, 5, 5)

    def norm(values, layer):
        mean = values.mean(1, keepdim=True)
        var = values.var(1, keepdim=True, unbiased=False)
        scaled = (values - mean) / (var + 1e-5).sqrt()
        return scaled * layer.weight.view(-1, 1, 1) + layer.bias.view(-1, 1, 1)

    silu = torch.nn.functional.silu
    conv = torch.nn.functional.conv2d
    with torch.no_grad():
        y = silu(norm(conv(x, block.conv1.conv.weight), block.conv1.bn))
        y = silu(norm(conv(y, block.conv2.conv.weight, padding=1, groups=8), block.conv2.bn))
        scale = torch.sigmoid(block.se.fc2(silu(block.se.fc1(y.mean((2, 3), keepdim=True)))))
        y = norm(conv(y * scale, block.conv3.conv.weight), block.conv3.bn)
        expected = silu(y + norm(conv(x, block.downsample.conv.weight), block.downsample.bn))
        assert torch.allclose(stage(x), expected, atol=1e-6)


# Mappings


@pytest.mark.parametrize(
    "config",
    [
        MappingConfig(width=4, blocks=2, downs=1),
        MappingConfig(width=16, blocks=1, downs=3, norm="group"),
        MappingConfig(kind="mlp"),
    ],
)
def test_mappings_keep_shapes_and_frames_apart(config):
    config.check_grid(8)
    mapping, features = make_mapping(config, 6).eval(), torch.randn(2, 3, 64, 6)
    with torch.no_grad():
        out = mapping(features)
        assert out.shape == features.shape
        assert torch.allclose(mapping(features[1:, 2:]), out[1:, 2:], atol=1e-5)
        changed = features.clone()
        changed[0, 1] += 1
        assert torch.equal(mapping(changed)[0, 0], mapping(features)[0, 0])


def test_a_residual_mapping_adds_its_input():
    torch.manual_seed(0)
    plain = make_mapping(MappingConfig(width=4, blocks=1, downs=1), 6)
    added = make_mapping(MappingConfig(width=4, blocks=1, downs=1, residual=True), 6)
    added.load_state_dict(plain.state_dict())
    features = torch.randn(1, 2, 64, 6)
    assert torch.allclose(added(features), features + plain(features))


def test_the_papers_mapping_has_58_million_parameters():
    with torch.device("meta"):
        mapping = make_mapping(MappingConfig(), 1024)
    assert round(sum(p.numel() for p in mapping.parameters()) / 1e6) == 58


def test_group_norm_tells_frames_apart_that_differ_in_their_channels_means():
    features = torch.randn(1, 1, 64, 8)
    shifted = features + torch.randn(8)

    def differs(norm):
        torch.manual_seed(1)
        mapping = make_mapping(MappingConfig(width=32, blocks=1, downs=1, norm=norm), 8)
        return float((mapping(features) - mapping(shifted)).detach().abs().mean())

    assert differs("instance") < 1e-5 < differs("group")


# Encoders


def test_patch_features_are_the_hidden_state_before_clips_last_layer():
    torch.manual_seed(0)
    whole = CLIPVisionModel(clip_config(replace(TINY.encoder, layers=3))).eval()
    cut = CLIPVisionModel(clip_config(replace(TINY.encoder, layers=2))).eval()
    cut.load_state_dict({name: value for name, value in whole.state_dict().items() if ".layers.2." not in name})
    frames = torch.randint(0, 256, (2, 3, 3, 32, 32), dtype=torch.uint8)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
    with torch.no_grad():
        pixels = (frames.flatten(0, 1).float() / 255 - mean) / deviation
        hidden = whole(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
        assert torch.allclose(patch_features(cut, frames), hidden[:, 1:].unflatten(0, (2, 3)), atol=1e-6)


def test_clips_without_frames_and_of_another_size_are_named():
    model = tiny()
    with pytest.raises(DataError, match="have no exo frames"):
        model.exo_features(batch(exo=False))
    empty = Batch(torch.zeros(1, 0, 3, 32, 32, dtype=torch.uint8), None, (TextTokens((1,)),))
    with pytest.raises(DataError, match="have no ego frames"):
        model.see(empty)
    large = Batch(torch.zeros(1, 4, 3, 48, 48, dtype=torch.uint8), None, (TextTokens((1,)),))
    with pytest.raises(DataError, match=r"\[3, 48, 48\].*\[3, 32, 32\]"):
        model.see(large)


# Joining


@pytest.mark.parametrize(("join", "tokens"), [("mapped", 150), ("alone", 75), ("twice", 150), ("real", 150)])
def test_visual_tokens_of_each_way_of_joining(join, tokens):
    model, clips = tiny(join=join), batch()
    with torch.no_grad():
        seen = model.see(clips)
        x, y = model.ego_features(clips), model.exo_features(clips)
        expected = {"mapped": (x, model.to_exo(x)), "alone": (x,), "twice": (x, x), "real": (x, y)}[join]
        assert seen.shape == (2, tokens, 24)
        assert model.config.visual_tokens == tokens
        assert torch.allclose(seen, torch.cat([model.connector(part) for part in expected], 1))


def test_parts_of_inference_leave_the_exo_side_out():
    assert parts_of_inference(TINY) == ("ego_encoder", "connector", "map_f", "llm")
    assert parts_of_inference(replace(TINY, join="alone")) == ("ego_encoder", "connector", "llm")
    model = tiny(parts=parts_of_inference(TINY))
    assert model.exo_encoder is None
    assert model.map_g is None
    with pytest.raises(ConfigError, match="without its exo_encoder"):
        model.exo_features(batch())


# Sequences


def test_labels_are_the_answer_alone_and_visual_tokens_stand_between():
    visual = torch.full((2, 3, 1), 100.0)
    texts = [TextTokens((1,), (7, 8), (5, 2)), TextTokens((1, 9), (), (6,))]
    right = splice(lambda numbers: numbers[:, None].float(), visual, texts)
    none = IGNORED
    assert right.embeddings[..., 0].tolist() == [[1, 100, 100, 100, 7, 8, 5, 2], [1, 9, 100, 100, 100, 6, 0, 0]]
    assert right.labels.tolist() == [[none] * 6 + [5, 2], [none] * 5 + [6, none, none]]
    assert right.mask.tolist() == [[1] * 8, [1] * 6 + [0, 0]]
    left = splice(lambda numbers: numbers[:, None].float(), visual, texts, "left")
    assert left.embeddings[1, :, 0].tolist() == [0, 0, 1, 9, 100, 100, 100, 6]
    assert left.mask[1].tolist() == [0, 0] + [1] * 6


def test_log_probabilities_are_those_of_mistral_with_labels():
    model, clips = tiny(), batch()
    with torch.no_grad():
        seen = model.see(clips)
        own = model.answer_log_probabilities(seen, clips.texts)
        spliced = splice(model.language.get_input_embeddings(), seen, clips.texts)
        loss = model.language(inputs_embeds=spliced.embeddings, attention_mask=spliced.mask, labels=spliced.labels).loss
    assert len(own) == clips.answer_tokens
    assert float(-own.mean()) == pytest.approx(float(loss), abs=1e-5)


def test_padded_batches_equal_single_ones():
    model, clips = tiny(), batch(3)
    lengths = [len(text.answer) for text in clips.texts]
    assert len(set(lengths)) > 1
    asked = [replace(text, answer=()) for text in clips.texts]
    asked[0] = replace(asked[0], after=(9, 10, 11))  # of other lengths, too
    with torch.no_grad():
        seen = model.see(clips)
        together = model.answer_log_probabilities(seen, clips.texts).split(lengths)
        made = model.generate(seen, asked, tokens=6, end=2)
        for place in range(3):
            one = slice(place, place + 1)
            alone = model.answer_log_probabilities(seen[one], clips.texts[one])
            assert torch.allclose(together[place], alone, atol=1e-5)
            assert model.generate(seen[one], asked[one], tokens=6, end=2) == made[one]


def test_generation_takes_the_likeliest_token_and_ends_with_the_end():
    model, clips = tiny(), batch(1)
    asked = replace(clips.texts[0], answer=())
    with torch.no_grad():
        seen = model.see(clips)
        embed = model.language.get_input_embeddings()
        found: list[int] = []
        for _ in range(5):
            spliced = splice(embed, seen, [replace(asked, answer=tuple(found))])
            found.append(int(model.language(inputs_embeds=spliced.embeddings).logits[0, -1].argmax()))
    assert model.generate(seen, [asked], tokens=5, end=2) == [found]
    assert model.generate(seen, [asked], tokens=5, end=found[2]) == [found[: found.index(found[2])]]


def test_the_likelihood_of_a_candidate_is_its_mean_over_tokens():
    model, made = tiny(), prompter()
    clips = batch(1)
    asked = made.question("What?")
    candidates = [made.candidate(asked, answer) for answer in ("a red cup", "the bread with a knife")]
    with torch.no_grad():
        seen = model.see(clips)
        found = model.likelihoods(seen.expand(2, -1, -1), candidates)
        for likelihood, text in zip(found, candidates, strict=True):
            assert likelihood == pytest.approx(float(model.answer_log_probabilities(seen, [text]).mean()), abs=1e-5)


# Adapters


def test_adapters_change_nothing_at_first_and_merged_equal_unmerged():
    model, clips = tiny(), batch()
    with torch.no_grad():
        before = model.answer_log_probabilities(model.see(clips), clips.texts)
        model.add_adapters()
        assert torch.equal(model.answer_log_probabilities(model.see(clips), clips.texts), before)
        for name, parameter in model.llm.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.1)
        unmerged = model.answer_log_probabilities(model.see(clips), clips.texts)
        model.merge_adapters()
        merged = model.answer_log_probabilities(model.see(clips), clips.texts)
    assert not torch.allclose(unmerged, before, atol=1e-3)
    assert torch.allclose(merged, unmerged, atol=1e-5)
    assert not any("lora" in name for name, _ in model.named_parameters())


def test_adapters_are_on_the_language_models_linear_layers_alone():
    model = tiny()
    model.add_adapters()
    adapted = {name.split(".lora_")[0] for name, _ in model.named_parameters() if ".lora_" in name}
    assert len(adapted) == 2 * 7
    assert all(name.startswith("llm.") for name in adapted)
    assert not any("lm_head" in name for name in adapted)
    with pytest.raises(ConfigError, match="no adapters"):
        tiny(lora=None).add_adapters()


# Memory


def test_computing_activations_again_changes_no_gradient():
    def gradients(saving):
        model, clips = tiny(), batch()
        model.train()
        if saving:
            model.save_memory()
        model.answer_log_probabilities(model.see(clips), clips.texts).mean().backward()
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    plain, saved = gradients(False), gradients(True)
    assert plain.keys() == saved.keys()
    assert all(torch.allclose(plain[name], saved[name], atol=1e-7) for name in plain)


def test_computing_activations_again_keeps_fewer_of_them():
    def kept(saving):
        model, clips, sizes = tiny(), batch(), []
        model.train()
        if saving:
            model.save_memory()
        with torch.autograd.graph.saved_tensors_hooks(lambda x: (sizes.append(x.numel()), x)[1], lambda x: x):
            model.answer_log_probabilities(model.see(clips), clips.texts)
        return sum(sizes)

    assert kept(True) < kept(False) / 4


# Sizes


def test_the_papers_parts_have_the_parameters_of_the_specification():
    with torch.device("meta"):
        model = Exo2Ego(MllmConfig.paper())
        model.add_adapters()
    millions = {part: round(sum(p.numel() for p in getattr(model, part).parameters()) / 1e6, 1) for part in model.parts}
    adapters = sum(p.numel() for name, p in model.named_parameters() if ".lora_" in name) / 1e6
    assert adapters == pytest.approx(335.5, abs=0.1)
    assert millions["llm"] - adapters == pytest.approx(7241.7, abs=0.2)
    # Of 303.5 million, without the last layer.
    assert millions["ego_encoder"] == pytest.approx(303.5 - 12.6, abs=0.1)


def test_nano_is_small_enough_to_be_shipped():
    config = MllmConfig.nano()
    model = Exo2Ego(config, parts_of_inference(config))
    model.add_adapters()
    assert sum(p.numel() for p in model.parameters()) < 4.9e6
    assert np.prod([config.encoder.grid] * 2) == 64
