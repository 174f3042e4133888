"""Exo2Ego: two image encoders, mappings between their features, a connector and a language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lmeec.errors import ConfigError, DataError
from lmeec.mllm.backbones import make_encoder, make_language_model, patch_features, recompute_activations, with_adapters
from lmeec.mllm.connector import make_connector
from lmeec.mllm.hugging_face import CLIPVisionModel, MistralForCausalLM, PeftModel
from lmeec.mllm.mapping import make_mapping
from lmeec.mllm.splice import IGNORED, splice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lmeec.mllm.batch import Batch, TextTokens
    from lmeec.mllm.config import MllmConfig

T = TypeVar("T")

Part = Literal["ego_encoder", "exo_encoder", "connector", "map_f", "map_g", "llm"]
ALL_PARTS: tuple[Part, ...] = ("ego_encoder", "exo_encoder", "connector", "map_f", "map_g", "llm")


def parts_of_inference(config: MllmConfig) -> tuple[Part, ...]:
    """The parts that answer questions: no exo encoder and no G, but for what the joining needs."""
    needed = {"mapped": ("map_f",), "real": ("exo_encoder",)}.get(config.join, ())
    kept = ("ego_encoder", "connector", "llm", *needed)
    return tuple(part for part in ALL_PARTS if part in kept)


class Exo2Ego(nn.Module):
    """The model of arXiv 2503.09143, with those of its parts that a stage needs.

    Args:
        config: sizes and choices.
        parts: those to make; others are None.

    Attributes:
        ego_encoder: the learner, frames of the ego camera to features x.
        exo_encoder: the demonstrator, frames of an exo camera to features y.
        connector: features to visual tokens, for both and for F(x).
        map_f: F, which estimates y from x.
        map_g: G, which estimates x from y.
        llm: the language model, wrapped by peft once it has adapters.
        recompute: compute activations again for the gradients instead of keeping them.
    """

    ego_encoder: CLIPVisionModel | None
    exo_encoder: CLIPVisionModel | None
    map_f: nn.Module | None
    map_g: nn.Module | None

    def __init__(self, config: MllmConfig, parts: Iterable[Part] = ALL_PARTS) -> None:
        super().__init__()
        wanted, encoder = set(parts), config.encoder
        self.config = config
        self.recompute = False
        self.ego_encoder = make_encoder(encoder) if "ego_encoder" in wanted else None
        self.exo_encoder = make_encoder(encoder) if "exo_encoder" in wanted else None
        self.connector = make_connector(config.connector, encoder.width, config.language.width)
        self.map_f = make_mapping(config.mapping, encoder.width) if "map_f" in wanted else None
        self.map_g = make_mapping(config.mapping, encoder.width) if "map_g" in wanted else None
        self.llm: MistralForCausalLM | PeftModel = make_language_model(config.language)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that are there."""
        return tuple(part for part in ALL_PARTS if getattr(self, part) is not None)

    @property
    def language(self) -> MistralForCausalLM:
        """The language model itself, whose linear layers hold the adapters if there are any."""
        llm = self.llm
        return cast("MistralForCausalLM", llm.get_base_model()) if isinstance(llm, PeftModel) else llm

    @property
    def layers(self) -> list[nn.Module]:
        """The layers of the encoders, a shared one once, and of the language model: what is divided and gathered."""
        encoders = {id(one): one for one in (self.ego_encoder, self.exo_encoder) if one is not None}
        return [
            *(layer for encoder in encoders.values() for layer in encoder.encoder.layers),
            *self.language.model.layers,
        ]

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.connector.parameters()).device

    def add_adapters(self) -> None:
        """Give the language model the adapters of the configuration, which change nothing until they are trained."""
        if self.config.lora is None:
            raise ConfigError("lora is null: this model has no adapters")
        if not isinstance(self.llm, PeftModel):
            self.llm = with_adapters(self.llm, self.config.lora)

    def merge_adapters(self) -> None:
        """Work the adapters into the language model, which computes the same then in less time."""
        if isinstance(self.llm, PeftModel):
            self.llm = cast("MistralForCausalLM", self.llm.merge_and_unload())

    def save_memory(self) -> None:
        """Compute activations again from here on, in training."""
        self.recompute = True
        for part in (self.ego_encoder, self.exo_encoder, self.language):
            if part is not None:
                recompute_activations(part)
        self.language.config.use_cache = False

    def forward(self, computation: Callable[[Exo2Ego], T]) -> T:
        """Do what is to be computed with the parts.

        One door for all of it, as parameters that are divided among workers (FSDP2) are gathered here.
        """
        return computation(self)

    # Views

    def ego_features(self, batch: Batch) -> Tensor:
        """X [B, T, N, C] of a batch.

        Raises:
            DataError: it has no ego frames, or others than the model takes.
        """
        return self._features("ego", self.ego_encoder, batch.ego)

    def exo_features(self, batch: Batch) -> Tensor:
        """Y [B, T, N, C] of a batch; raises as `ego_features`."""
        return self._features("exo", self.exo_encoder, batch.exo)

    def _features(self, view: str, encoder: CLIPVisionModel | None, frames: Tensor | None) -> Tensor:
        if frames is None or frames.shape[1] == 0:
            raise DataError(f"the clips have no {view} frames")
        side = self.config.encoder.image_size
        if frames.shape[2:] != (3, side, side):
            raise DataError(
                f"the {view} frames are {list(frames.shape[2:])}, but this model takes [3, {side}, {side}]; make them "
                "with lmeec.mllm.pixels"
            )
        return patch_features(_there(encoder, f"{view}_encoder"), frames)

    def to_exo(self, x: Tensor) -> Tensor:
        """F: estimate exo features from ego features."""
        return self._through(_there(self.map_f, "map_f"), x)

    def to_ego(self, y: Tensor) -> Tensor:
        """G: estimate ego features from exo features."""
        return self._through(_there(self.map_g, "map_g"), y)

    def tokens(self, *features: Tensor) -> Tensor:
        """Visual tokens [B, V, D] of features [B, T, N, C], one after the other."""
        return torch.cat([self._through(self.connector, one) for one in features], 1)

    def joined(self, x: Tensor, other: Callable[[], Tensor]) -> Tensor:
        """The visual tokens of x, with those that the configuration joins to them.

        Args:
            x: ego features.
            other: gives F(x), or y where the real one is joined; not asked where neither is.
        """
        if self.config.join == "alone":
            return self.tokens(x)
        if self.config.join == "twice":
            once = self.tokens(x)
            return torch.cat([once, once], 1)
        return self.tokens(x, other())

    def see(self, batch: Batch) -> Tensor:
        """The visual tokens by which questions are answered; raises as `ego_features`."""
        x = self.ego_features(batch)
        return self.joined(x, lambda: self.exo_features(batch) if self.config.join == "real" else self.to_exo(x))

    def _through(self, module: nn.Module, features: Tensor) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            return cast("Tensor", checkpoint(module, features, use_reentrant=False))
        return cast("Tensor", module(features))

    # Texts

    def answer_log_probabilities(self, visual: Tensor, texts: Sequence[TextTokens]) -> Tensor:
        """Log-probability of every token of the answers, given the clip and all tokens before it.

        Args:
            visual: tokens [B, V, D].
            texts: B texts.

        Returns:
            float32 [sum of the answers' tokens], text by text.
        """
        sequences = splice(self.language.get_input_embeddings(), visual, texts)
        hidden: Tensor = self.language.model(
            inputs_embeds=sequences.embeddings, attention_mask=sequences.mask, use_cache=False
        ).last_hidden_state
        rows, places = (sequences.labels != IGNORED).nonzero(as_tuple=True)
        # Of all places, only those before an answer's token are taken to the vocabulary.
        logits: Tensor = self.language.lm_head(hidden[rows, places - 1])
        return logits.float().log_softmax(-1).gather(1, sequences.labels[rows, places, None]).squeeze(1)

    @torch.inference_mode()
    def likelihoods(self, visual: Tensor, texts: Sequence[TextTokens]) -> list[float]:
        """Mean log-probability of a token of each text's answer, by which candidates are ranked."""
        found = self.answer_log_probabilities(visual, texts)
        return [float(own.mean()) for own in found.split([len(text.answer) for text in texts])]

    @torch.inference_mode()
    def generate(self, visual: Tensor, texts: Sequence[TextTokens], *, tokens: int, end: int) -> list[list[int]]:
        """The likeliest next tokens after each text, one by one.

        Args:
            visual: tokens [B, V, D].
            texts: B texts without answers.
            tokens: at most so many are generated.
            end: the token that ends an answer; it is not returned.
        """
        language = self.language
        sequences = splice(language.get_input_embeddings(), visual, texts, "left")
        made: Tensor = language.generate(
            inputs_embeds=sequences.embeddings,
            attention_mask=sequences.mask,
            max_new_tokens=tokens,
            do_sample=False,
            pad_token_id=end,
            eos_token_id=end,
        )
        return [row[: row.index(end)] if end in row else row for row in made.tolist()]


def _there(part: T | None, name: str) -> T:
    if part is None:
        raise ConfigError(f"this model was made without its {name}")
    return part
