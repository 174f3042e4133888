"""Vocabularies: reading a language model's own, and making a small one for models that start from nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec.errors import CheckpointError
from lmeec.files.reading import in_short
from lmeec.mllm.hugging_face import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lmeec.mllm.config import LanguageConfig

SPECIAL = ("<unk>", "<s>", "</s>", "<pad>")

MISTRAL_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
"""Turns as Mistral's instruction models have them."""


def make_vocabulary(sentences: Iterable[str], size: int) -> PreTrainedTokenizerBase:
    """A byte-level BPE tokenizer, which can spell any text, and knows pieces that are frequent in these sentences.

    Args:
        sentences: what its pieces are learned from; the same ones in the same order give the same tokenizer.
        size: tokens at most, the 4 special ones and the 256 bytes among them.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE(unk_token=SPECIAL[0]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(sentences, trainer)
    unknown, begin, end, pad = SPECIAL
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token=unknown, bos_token=begin, eos_token=end, pad_token=pad
    )
    tokenizer.chat_template = MISTRAL_TEMPLATE
    return tokenizer


def read_vocabulary(folder: Path, language: LanguageConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, with a template of turns and a pad token.

    Args:
        folder: holds what `save_pretrained` wrote; nothing is fetched from elsewhere.
        language: the model that it is for; its `pad_token` is taken where the tokenizer has none.

    Raises:
        CheckpointError: there is none, it has more tokens than the model, or no begin, end or pad token.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # tokenizers raises that itself, of JSON that is not its own
        said = in_short(_first_line(error))
        raise CheckpointError(f"{folder}: holds no tokenizer that can be read ({said})") from error
    if tokenizer.pad_token is None and language.pad_token in tokenizer.get_vocab():
        tokenizer.pad_token = language.pad_token
    for kind in ("bos", "eos", "pad"):
        if getattr(tokenizer, f"{kind}_token") is None:
            raise CheckpointError(
                f"{folder}: its tokenizer has no {kind} token; name one of its tokens as {kind}_token in "
                "tokenizer_config.json" + (", or as language.pad_token in the settings" if kind == "pad" else "")
            )
    if len(tokenizer) > language.vocabulary:
        raise CheckpointError(
            f"{folder}: its tokenizer has {len(tokenizer)} tokens, but the language model {language.vocabulary}"
        )
    if tokenizer.chat_template is None:
        tokenizer.chat_template = MISTRAL_TEMPLATE
    return tokenizer


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
