"""Texts become tokens in three pieces, in the language model's template."""

from dataclasses import replace

import pytest

from lmeec.errors import CheckpointError, DataError
from lmeec.mllm.config import MllmConfig
from lmeec.mllm.prompt import Prompter
from lmeec.mllm.vocabulary import make_vocabulary, read_vocabulary

SENTENCES = ["The camera wearer picks up a red cup.", "What am I doing? I cut the bread."]
NANO = MllmConfig.nano()


@pytest.fixture(scope="module")
def tokenizer():
    return make_vocabulary(SENTENCES, 300)


def said(prompter, tokens):
    return prompter.tokenizer.decode(list(tokens))


def test_any_text_comes_back_from_its_tokens(tokenizer):
    prompter = Prompter(tokenizer, NANO)
    assert prompter.text(list(prompter.caption("Grüße, 世界 \U0001f600!").answer)) == "Grüße, 世界 \U0001f600!"


def test_a_caption_is_begin_then_clip_then_caption_and_end(tokenizer):
    prompter = Prompter(tokenizer, NANO)
    text = prompter.caption("a red cup")
    assert [said(prompter, piece) for piece in (text.before, text.after, text.answer)] == ["<s>", "", "a red cup</s>"]
    assert prompter.caption(None).answer == ()


def test_a_question_stands_in_the_template_with_the_clip_first(tokenizer):
    prompter = Prompter(tokenizer, NANO)
    text = prompter.question("What am I doing?", "cutting")
    pieces = [said(prompter, piece) for piece in (text.before, text.after, text.answer)]
    assert pieces == ["<s>[INST] ", "\nWhat am I doing? [/INST]", " cutting</s>"]
    asked = prompter.question("What am I doing?")
    assert (asked.before, asked.after, asked.answer) == (text.before, text.after, ())
    assert prompter.candidate(asked, "cutting") == text


def test_a_message_of_the_system_stands_before_the_clip(tokenizer):
    config = replace(NANO, prompt=replace(NANO.prompt, system="Be brief."))
    prompter = Prompter(tokenizer, config)
    assert said(prompter, prompter.question("What?").before) == "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n"


def test_captions_can_be_asked_for(tokenizer):
    prompter = Prompter(tokenizer, replace(NANO, prompt=replace(NANO.prompt, caption="Describe it.")))
    assert said(prompter, prompter.caption("a cup").after) == "\nDescribe it. [/INST]"


def test_text_over_the_limit_is_refused_by_name(tokenizer):
    prompter = Prompter(tokenizer, replace(NANO, text_limit=8))
    with pytest.raises(DataError, match=r"over the limit of 8 \(text_limit\): 'The camera"):
        prompter.caption("The camera wearer bakes a long long cake")
    with pytest.raises(DataError, match="no words"):
        prompter.question("  ")


def test_a_saved_tokenizer_is_read_from_its_folder(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    read = read_vocabulary(tmp_path, NANO.language)
    assert Prompter(read, NANO).question("Why?", "so") == Prompter(tokenizer, NANO).question("Why?", "so")


def test_a_tokenizer_without_pad_token_is_refused_unless_one_is_named(tokenizer, tmp_path):
    bare = make_vocabulary(SENTENCES, 300)
    bare.pad_token = None
    bare.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"has no pad token.*pad_token.*language\.pad_token"):
        read_vocabulary(tmp_path, NANO.language)
    assert read_vocabulary(tmp_path, replace(NANO.language, pad_token="<unk>")).pad_token == "<unk>"


def test_a_tokenizer_of_more_tokens_than_the_model_and_none_at_all_are_refused(tokenizer, tmp_path):
    with pytest.raises(CheckpointError, match="no tokenizer"):
        read_vocabulary(tmp_path, NANO.language)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"tokens, but the language model 200"):
        read_vocabulary(tmp_path, replace(NANO.language, vocabulary=200))
