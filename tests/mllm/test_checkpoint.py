"""Our own folders: what is written is what is read, and answering reads no more than it needs."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from lmeec.errors import CheckpointError, ConfigError, OutputError
from lmeec.mllm.checkpoint import LanguageSource, load_mllm, save_mllm
from lmeec.mllm.hugging_face import MistralForCausalLM, PeftModel
from lmeec.mllm.model import ALL_PARTS, parts_of_inference
from lmeec.mllm.pretrained import Pretrained, load_pretrained
from lmeec.mllm.settings import MllmTrainConfig
from lmeec.mllm.stages import prepare_stage
from tests.support.mllm import TINY, batch, prompter, tiny
from tests.support.mllm_folders import mistral, whole_clip


def answers(model):
    clips = batch()
    with torch.no_grad():
        return model.eval().answer_log_probabilities(model.see(clips), clips.texts)


def adapted(seed=0, **changes):
    model = tiny(seed, **changes)
    prepare_stage(model, 3, MllmTrainConfig())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1)
    return model


@pytest.mark.parametrize("join", ["mapped", "alone", "real"])
def test_a_model_answers_the_same_from_its_folder(tmp_path, join):
    model = tiny(join=join)
    save_mllm(tmp_path / "m", model, prompter().tokenizer)
    loaded = load_mllm(tmp_path / "m")
    assert torch.allclose(answers(loaded.model), answers(model), atol=1e-6)
    assert loaded.model.parts == parts_of_inference(model.config)
    assert loaded.model.config == model.config
    assert loaded.tokenizer.get_vocab() == prompter().tokenizer.get_vocab()
    every = load_mllm(tmp_path / "m", parts=ALL_PARTS).model.state_dict()
    assert all(torch.equal(value, every[name]) for name, value in model.state_dict().items())


def test_adapters_are_read_back_and_merged(tmp_path):
    model = adapted()
    save_mllm(tmp_path / "m", model, prompter().tokenizer)
    expected = answers(model)
    unmerged, merged = (load_mllm(tmp_path / "m", merge=merge).model for merge in (False, True))
    assert torch.allclose(answers(unmerged), expected, atol=1e-6)
    assert torch.allclose(answers(merged), expected, atol=1e-5)
    assert isinstance(unmerged.llm, PeftModel)
    assert isinstance(merged.llm, MistralForCausalLM)


def test_parts_are_as_transformers_and_peft_write_them(tmp_path):
    model = adapted()
    save_mllm(tmp_path / "m", model, prompter().tokenizer)
    base = MistralForCausalLM.from_pretrained(tmp_path / "m" / "llm")
    theirs = PeftModel.from_pretrained(base, tmp_path / "m" / "lora").eval()
    numbers = torch.arange(8)[None]
    with torch.no_grad():
        assert torch.allclose(theirs(numbers).logits, model.eval().llm(numbers).logits, atol=1e-6)


def test_answering_needs_neither_the_exo_encoder_nor_g(tmp_path):
    model = tiny()
    save_mllm(tmp_path / "m", model, prompter().tokenizer)
    shutil.rmtree(tmp_path / "m" / "exo_encoder")
    (tmp_path / "m" / "map_g.safetensors").unlink()
    assert torch.allclose(answers(load_mllm(tmp_path / "m").model), answers(model), atol=1e-6)
    with pytest.raises(CheckpointError, match="exo_encoder"):
        load_mllm(tmp_path / "m", parts=ALL_PARTS)
    save_mllm(tmp_path / "last", adapted(), prompter().tokenizer)
    with pytest.raises(CheckpointError, match="has no exo_encoder, map_g"):
        load_mllm(tmp_path / "last", parts=ALL_PARTS)


def test_a_language_model_that_was_not_trained_stays_where_it_is(tmp_path):
    sources = Pretrained(clip=whole_clip(tmp_path / "c"), language=mistral(tmp_path / "base"))
    model, tokenizer = load_pretrained(TINY, sources)
    save_mllm(tmp_path / "m", model, tokenizer, language=LanguageSource.of(tmp_path / "base"))
    assert not (tmp_path / "m" / "llm").exists()
    assert torch.allclose(answers(load_mllm(tmp_path / "m").model), answers(model), atol=1e-6)
    (tmp_path / "base").rename(tmp_path / "moved")
    with pytest.raises(CheckpointError, match=r"is not at .*base; say where it is"):
        load_mllm(tmp_path / "m")
    assert torch.allclose(
        answers(load_mllm(tmp_path / "m", language=tmp_path / "moved").model), answers(model), atol=1e-6
    )
    shutil.rmtree(tmp_path / "moved")
    torch.manual_seed(9)
    other = mistral(tmp_path / "moved", replace(TINY.language, layers=1))
    with pytest.raises(CheckpointError, match="another language model than"):
        load_mllm(tmp_path / "m", language=other)


def test_half_precision_halves_the_folder(tmp_path):
    model = tiny()
    for name, dtype in (("full", None), ("half", torch.float16)):
        save_mllm(tmp_path / name, model, prompter().tokenizer, dtype=dtype)
    full, half = ((tmp_path / name / "map_f.safetensors").stat().st_size for name in ("full", "half"))
    assert half < 0.6 * full
    assert torch.allclose(answers(load_mllm(tmp_path / "half").model), answers(model), atol=1e-2)


def test_only_folders_of_ours_are_replaced(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text('{"mine": 1}')
    with pytest.raises(OutputError, match="other things"):
        save_mllm(tmp_path / "m", tiny(), prompter().tokenizer)
    (tmp_path / "m" / "config.json").unlink()
    save_mllm(tmp_path / "m", tiny(0), prompter().tokenizer)
    save_mllm(tmp_path / "m", tiny(1), prompter().tokenizer)
    assert torch.allclose(answers(load_mllm(tmp_path / "m").model), answers(tiny(1)), atol=1e-6)


def test_folders_that_are_no_models_of_ours_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json: there is no such file"):
        load_mllm(tmp_path)
    with pytest.raises(CheckpointError, match="no model of Exo2Ego"):
        load_mllm(mistral(tmp_path / "base"))
    save_mllm(tmp_path / "m", tiny(), prompter().tokenizer)
    said = json.loads((tmp_path / "m" / "config.json").read_text())
    said["config"]["frames"] = 0
    (tmp_path / "m" / "config.json").write_text(json.dumps(said))
    with pytest.raises(CheckpointError, match="configuration cannot be used"):
        load_mllm(tmp_path / "m")
    save_mllm(tmp_path / "m", tiny(), prompter().tokenizer)
    with pytest.raises(ConfigError, match="of its own"):
        load_mllm(tmp_path / "m", language=tmp_path / "base")
