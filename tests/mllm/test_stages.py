"""Stages train exactly the parts that the paper lists, and what no stage needs is not there."""

from dataclasses import replace

import pytest
import torch

from lmeec.errors import ConfigError, DataError
from lmeec.mllm.model import ALL_PARTS, parts_of_inference
from lmeec.mllm.objective import Objective
from lmeec.mllm.settings import LossConfig, MllmTrainConfig, StageConfig
from lmeec.mllm.stages import prepare_stage, trained_parts
from tests.support.mllm import TINY, batch, tiny

PAPER = MllmTrainConfig()
NANO = MllmTrainConfig.nano()


def stepped(stage, training=PAPER, **changes):
    """Parts whose parameters a step changed, with those that changed without being listed as trained."""
    model = tiny(seed=3, **changes)
    prepare_stage(model, stage, training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    clips, objective = batch(2), Objective(stage, training.losses)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.1)
    found = objective(model, clips)
    objective.total(found, answers=clips.answer_tokens * objective.texts(clips), share=1.0).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    optimiser.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    return {name.split(".")[0] for name in changed}, changed, model


@pytest.mark.parametrize(
    ("stage", "parts"),
    [
        (0, {"connector"}),
        (1, {"exo_encoder"}),
        (2, {"ego_encoder", "map_f", "map_g"}),
        (3, {"ego_encoder", "map_f", "llm"}),
    ],
)
def test_a_step_changes_the_listed_parts_alone_bit_for_bit(stage, parts):
    changed_parts, changed, model = stepped(stage)
    assert changed_parts == parts
    assert set(trained_parts(stage, model.config, PAPER)) == parts
    assert not any("post_layernorm" in name for name in changed)


def test_stage_0_from_nothing_trains_one_encoder_for_both_views_and_the_language_model():
    changed_parts, _, model = stepped(0, NANO)
    assert changed_parts == {"ego_encoder", "exo_encoder", "connector", "llm"}
    assert model.ego_encoder is model.exo_encoder


def test_stage_3_trains_the_adapters_of_the_language_model_alone():
    _, changed, model = stepped(3)
    of_language = {name for name in changed if name.startswith("llm.")}
    # At first A has no gradient, as B is zero, but AdamW's decay moves it.
    assert of_language
    assert all(".lora_" in name for name in of_language)
    assert model.exo_encoder is None
    assert model.map_g is None
    assert model.parts == parts_of_inference(TINY)


def test_stage_3_without_adapters_leaves_the_language_model_alone():
    changed_parts, _, _ = stepped(3, lora=None)
    assert changed_parts == {"ego_encoder", "map_f"}


def test_without_cycles_g_is_not_trained_and_with_forward_ones_it_is():
    def losses(**changes):
        return replace(PAPER, losses=LossConfig(**changes))

    assert stepped(2, losses(cycle="none"))[0] == {"ego_encoder", "map_f"}
    assert stepped(2, losses(ccl=0.0))[0] == {"ego_encoder", "map_f"}
    assert stepped(2, losses(cycle="forward"))[0] == {"ego_encoder", "map_f", "map_g"}
    assert stepped(2, losses(kl=0.0))[0] == {"ego_encoder", "map_f", "map_g"}


@pytest.mark.parametrize("join", ["alone", "twice", "real"])
def test_f_is_trained_only_where_something_looks_at_it(join):
    bare = replace(PAPER, losses=LossConfig(kl=0.0, cycle="none"))
    assert stepped(2, bare, join=join)[0] == {"ego_encoder"}
    assert stepped(2, PAPER, join=join)[0] == {"ego_encoder", "map_f", "map_g"}
    changed, _, model = stepped(3, join=join)
    assert changed == {"ego_encoder", "llm"}
    assert (model.exo_encoder is not None) == (join == "real")


def test_the_connector_and_the_ego_encoder_can_be_chosen():
    chosen = replace(PAPER, stage2=StageConfig(2, 1e-4, train_connector=True, train_ego=False))
    assert stepped(2, chosen)[0] == {"connector", "map_f", "map_g"}
    nothing = replace(PAPER, stage3=StageConfig(2, 1e-4, train_ego=False))
    with pytest.raises(ConfigError, match="nothing to train"):
        prepare_stage(tiny(join="alone", lora=None), 3, nothing)


def test_the_ego_encoder_can_begin_as_the_exo_encoder_ends():
    model = tiny()
    prepare_stage(model, 2, replace(PAPER, ego_from_exo=True))
    ego, exo = model.ego_encoder.state_dict(), model.exo_encoder.state_dict()
    assert all(torch.equal(ego[name], exo[name]) for name in exo)


def test_a_stage_needs_its_parts():
    with pytest.raises(ConfigError, match="stage 2 needs exo_encoder,"):
        prepare_stage(tiny(parts=parts_of_inference(TINY)), 2, PAPER)


def test_f_and_g_begin_with_stage_2_and_the_seed():
    def begun(seed, parts=("ego_encoder", "exo_encoder", "connector", "llm")):
        model = tiny(parts=parts)
        prepare_stage(model, 2, replace(PAPER, seed=seed))
        return model.map_f.state_dict(), model.map_g.state_dict()

    for one, same, other in zip(begun(1), begun(1), begun(2), strict=True):
        assert all(torch.equal(value, same[name]) for name, value in one.items())
        assert not torch.equal(one["layers.0.weight"], other["layers.0.weight"])
    there, before = begun(1, ALL_PARTS)[0], tiny().map_f.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in there.items())
    model = tiny()
    prepare_stage(model, 1, PAPER)
    assert model.map_f is None


def test_clips_of_stage_2_need_both_views():
    model = tiny()
    prepare_stage(model, 2, PAPER)
    with pytest.raises(DataError, match="no exo frames"):
        Objective(2, PAPER.losses)(model, batch(exo=False))


def test_the_losses_of_stage_2_reach_what_they_should():
    """KL moves F and the ego encoder, never the demonstrator; the cycle of y moves both mappings."""
    model = tiny()
    prepare_stage(model, 2, PAPER)
    found = Objective(2, PAPER.losses)(model, batch())
    found["kl"].backward(retain_graph=True)
    assert reached(model) == {"ego_encoder", "map_f"}
    model.zero_grad()
    found["ccl"].backward(retain_graph=True)
    assert reached(model) == {"ego_encoder", "map_f", "map_g"}
    model.zero_grad()
    found["vtg"].backward()
    assert reached(model) == {"ego_encoder", "map_f"}


def reached(model):
    return {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


def test_losses_are_those_of_the_features():
    model, clips = tiny(), batch()
    prepare_stage(model, 2, PAPER)
    with torch.no_grad():
        found = Objective(2, PAPER.losses)(model, clips)
        x, y = model.ego_features(clips), model.exo_features(clips)
        fx = model.map_f(x)
        cycles = (model.map_g(fx) - x).abs().mean() + (model.map_f(model.map_g(y)) - y).abs().mean()
        p, q = y.softmax(-1), fx.softmax(-1)
        kl = (p * (p / q).log()).sum(-1).mean()
        assert float(found["ccl"]) == pytest.approx(float(cycles), rel=1e-5)
        assert float(found["kl"]) == pytest.approx(float(kl), rel=1e-4)
        total = Objective(2, LossConfig(kl=2.0, ccl=3.0)).total(found, answers=10, share=0.5)
        expected = float(found["vtg"]) / 10 + 0.5 * (2 * float(kl) + 3 * float(cycles))
        assert float(total) == pytest.approx(expected, rel=1e-4)


def test_gradients_do_not_depend_on_how_a_batch_is_divided():
    def gradients(sizes):
        model = tiny()
        prepare_stage(model, 2, PAPER)
        objective, whole, first = Objective(2, PAPER.losses), batch(4), 0
        for size in sizes:
            part = slice(first, first + size)
            some = replace(whole, ego=whole.ego[part], exo=whole.exo[part], texts=whole.texts[part])
            found = objective(model, some)
            objective.total(found, answers=whole.answer_tokens, share=size / 4).backward()
            first += size
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    whole, divided = gradients([4]), gradients([1, 3])
    assert all(torch.allclose(whole[name], divided[name], atol=1e-6) for name in whole)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_each_loss_falls_on_a_fixed_batch(stage):
    training = replace(NANO, losses=PAPER.losses)
    model, clips = tiny(parts=ALL_PARTS), batch(2)
    prepare_stage(model, stage, training)
    objective = Objective(stage, training.losses)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    history = []
    for _ in range(12):
        found = objective(model, clips)
        optimiser.zero_grad()
        objective.total(found, answers=clips.answer_tokens, share=1.0).backward()
        optimiser.step()
        history.append({name: float(value.detach()) for name, value in found.items()})
    assert history[0].keys() == {"vtg", "kl", "ccl"} if stage == 2 else {"vtg"}
    assert all(history[-1][name] < history[0][name] for name in history[0])
