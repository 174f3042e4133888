"""Texts as tokens: captions by themselves, and questions as a user's turn in the language model's template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec.errors import DataError
from lmeec.mllm.batch import TextTokens

if TYPE_CHECKING:
    from lmeec.mllm.config import MllmConfig
    from lmeec.mllm.hugging_face import PreTrainedTokenizerBase

_VIDEO = "\ue000"
"""Stands for the visual tokens while a turn is put into its template; a character that no text has."""


class Prompter:
    """Makes tokens of texts.

    Args:
        tokenizer: from `read_vocabulary` or `make_vocabulary`.
        config: its `prompt` and `text_limit` count.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: MllmConfig) -> None:
        self.tokenizer, self.config = tokenizer, config

    def caption(self, text: str | None) -> TextTokens:
        """A caption that is to be learned, or, with None, to be found.

        Raises:
            DataError: it is longer than the model's limit.
        """
        asked = self.config.prompt.caption
        if asked is not None:
            return self.question(asked, text)
        begin, end = self._special("bos"), self._special("eos")
        return self._within_limit(TextTokens((begin,), (), () if text is None else (*self._tokens(text), end)), text)

    def question(self, instruction: str, answer: str | None = None) -> TextTokens:
        """A user's turn with the model's answer, which is to be learned, or, with None, to be found.

        Args:
            instruction: all that the user says, without the video.
            answer: what the model shall say.

        Raises:
            DataError: it is longer than the model's limit, or has no words.
        """
        if not instruction.strip():
            raise DataError("a question has no words")
        system = self.config.prompt.system
        # Mistral's template knows no message of the system; Llama 2's form stands in the user's turn.
        above = f"<<SYS>>\n{system}\n<</SYS>>\n\n" if system else ""
        turn = {"role": "user", "content": f"{above}{_VIDEO}\n{instruction.replace(_VIDEO, '')}"}
        asked = self._in_template(turn)
        before, _, after = asked.partition(_VIDEO)
        said = ""
        if answer is not None:
            whole = self._in_template(turn, {"role": "assistant", "content": answer})
            said = whole.removeprefix(asked) if whole.startswith(asked) else f"{answer}{self.tokenizer.eos_token}"
        tokens = TextTokens(*(tuple(self._tokens(piece)) if piece else () for piece in (before, after, said)))
        return self._within_limit(tokens, instruction)

    def candidate(self, asked: TextTokens, answer: str) -> TextTokens:
        """A question with one of several answers, whose likelihoods are to be compared.

        Args:
            asked: from `question` or `caption`, without an answer.
            answer: the candidate; it ends with the end token, as learned ones do.
        """
        space = " " if asked.after else ""
        answered = TextTokens(asked.before, asked.after, (*self._tokens(space + answer), self._special("eos")))
        return self._within_limit(answered, answer)

    def text(self, tokens: list[int]) -> str:
        """What tokens say, without special ones."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True)).strip()

    def _in_template(self, *turns: dict[str, str]) -> str:
        return str(self.tokenizer.apply_chat_template(list(turns), tokenize=False))

    def _tokens(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def _special(self, kind: str) -> int:
        number: int = getattr(self.tokenizer, f"{kind}_token_id")
        return number

    def _within_limit(self, tokens: TextTokens, text: str | None) -> TextTokens:
        limit = self.config.text_limit
        if len(tokens) > limit:
            raise DataError(
                f"a text of {len(tokens)} tokens is over the limit of {limit} (text_limit): {(text or '')[:60]!r}..."
            )
        return tokens
