"""Sizes of an Exo2Ego model, and the choices that are stored with its weights.

The defaults are the paper's where it says something, and otherwise those of VideoLLaMA2 and CycleGAN, which it builds
on. Where nothing was said, a setting holds the choice.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import msgspec

from lmeec.errors import ConfigError, require

if TYPE_CHECKING:
    from collections.abc import Callable

ConnectorKind = Literal["stc", "mlp", "resampler"]
MappingKind = Literal["resnet", "mlp"]
Norm = Literal["instance", "group"]
Join = Literal["mapped", "alone", "twice", "real"]
Fit = Literal["pad", "crop"]
Preset = Literal["paper", "nano"]

T = TypeVar("T")

_MOST = {
    "image_size": 4096,
    "patch_size": 4096,
    "width": 2**16,
    "layers": 512,
    "heads": 1024,
    "kv_heads": 1024,
    "hidden": 2**18,
    "vocabulary": 2**21,
    "positions": 2**22,
}
"""Several times what the largest models have: files say sizes too, and a layer takes a while even without memory."""

_MOST_DOWNS, _MOST_FRAMES = 8, 4096


@dataclass(frozen=True)
class EncoderConfig:
    """A CLIP image encoder, without the last layer, whose output nobody reads.

    Attributes:
        image_size: side of the square pictures, in pixels.
        patch_size: side of a patch, in pixels.
        width: channels of a patch feature.
        layers: those that are run; CLIP-L has 24, and features are read before the last one (hidden state -2).
        heads: attention heads.
        hidden: channels inside an MLP.
    """

    image_size: int = 336
    patch_size: int = 14
    width: int = 1024
    layers: int = 23
    heads: int = 16
    hidden: int = 4096

    def __post_init__(self) -> None:
        for name in ("image_size", "patch_size", "width", "layers", "heads", "hidden"):
            _within(f"encoder.{name}", getattr(self, name), 1, _MOST[name])
        require(
            self.image_size % self.patch_size == 0,
            "encoder.patch_size",
            self.patch_size,
            f"a divisor of image_size ({self.image_size})",
        )
        require(self.width % self.heads == 0, "encoder.heads", self.heads, f"a divisor of width ({self.width})")

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.image_size // self.patch_size


@dataclass(frozen=True)
class LanguageConfig:
    """A Mistral language model; the defaults are Mistral-7B-Instruct-v0.2.

    Attributes:
        vocabulary: tokens.
        width: channels.
        layers: decoder layers.
        heads: attention heads.
        kv_heads: heads of keys and values.
        hidden: channels inside an MLP.
        positions: longest sequence.
        rope_theta: base of the rotary position code.
        window: tokens that one attends to; None for all before it.
        norm_eps: of the norms.
        tied: whether the output layer is the table of embeddings.
        pad_token: taken for padding where the tokenizer has none of its own, as VideoLLaMA2 does with Mistral's.
    """

    vocabulary: int = 32000
    width: int = 4096
    layers: int = 32
    heads: int = 32
    kv_heads: int = 8
    hidden: int = 14336
    positions: int = 32768
    rope_theta: float = 1e6
    window: int | None = None
    norm_eps: float = 1e-5
    tied: bool = False
    pad_token: str | None = "<unk>"

    def __post_init__(self) -> None:
        for name in ("vocabulary", "width", "layers", "heads", "kv_heads", "hidden", "positions"):
            _within(f"language.{name}", getattr(self, name), 1, _MOST[name])
        _within("language.window", self.window or 1, 1, _MOST["positions"])
        require(0 < self.rope_theta < math.inf, "language.rope_theta", self.rope_theta, "positive")
        require(0 <= self.norm_eps < 1, "language.norm_eps", self.norm_eps, "in [0, 1)")
        require(
            self.width % (2 * self.heads) == 0,
            "language.width",
            self.width,
            f"an even number of channels for each of the {self.heads} heads",
        )
        require(self.heads % self.kv_heads == 0, "language.kv_heads", self.kv_heads, f"a divisor of {self.heads} heads")


@dataclass(frozen=True)
class ConnectorConfig:
    """What turns patch features into tokens of the language model; one is shared by x, y and F(x).

    Attributes:
        kind: `stc` is VideoLLaMA2's spatial-temporal convolution, `mlp` the mean over frames and two layers on each
            patch, `resampler` that mean as a few tokens, each of which looks where its query finds something.
        depth: blocks of each of STC's two stages.
        queries: tokens of the resampler.
    """

    kind: ConnectorKind = "stc"
    depth: int = 4
    queries: int = 8

    def __post_init__(self) -> None:
        _one_of("connector.kind", self.kind, ConnectorKind)
        _within("connector.depth", self.depth, 1, _MOST["layers"])
        _within("connector.queries", self.queries, 1, _MOST["positions"])

    def tokens(self, frames: int, grid: int) -> int:
        """Visual tokens that a clip becomes.

        Example:
            >>> [ConnectorConfig(kind).tokens(16, 24) for kind in ("stc", "mlp", "resampler")]
            [1521, 576, 8]
        """
        if self.kind == "resampler":
            return self.queries
        return grid * grid if self.kind == "mlp" else (frames // 2 + 1) * (grid // 2 + 1) ** 2


@dataclass(frozen=True)
class MappingConfig:
    """F and G, which map ego to exo patch features and back, frame by frame (after CycleGAN's generator).

    Attributes:
        kind: `resnet`, or `mlp` for the ablation, which treats every patch by itself.
        width: channels of the first layer; doubled by each down-sampling.
        blocks: residual blocks.
        downs: down-samplings, each of which halves the grid.
        norm: `instance` as CycleGAN has it, with reflected edges; `group` keeps the channels' means, with edges of
            zeros, and allows smaller grids.
        residual: add the network's output to its input.
    """

    kind: MappingKind = "resnet"
    width: int = 128
    blocks: int = 9
    downs: int = 2
    norm: Norm = "instance"
    residual: bool = False

    def __post_init__(self) -> None:
        _one_of("mapping.kind", self.kind, MappingKind)
        _one_of("mapping.norm", self.norm, Norm)
        _within("mapping.width", self.width, 1, _MOST["width"])
        _within("mapping.blocks", self.blocks, 0, _MOST["layers"])
        _within("mapping.downs", self.downs, 0, _MOST_DOWNS)

    def check_grid(self, grid: int) -> None:
        """Raise a `ConfigError` if features of a grid x grid of patches cannot be mapped."""
        if self.kind == "mlp":
            return
        factor = 2**self.downs
        require(grid % factor == 0, "mapping.downs", self.downs, f"so few that 2^downs divides the grid ({grid})")
        if self.norm == "instance":
            # Reflecting an edge needs a row beyond it, and a norm over one place says nothing.
            require(
                grid // factor > 1,
                "mapping.downs",
                self.downs,
                f"so few that over one patch is left along a side of {grid}, or mapping.norm be group",
            )
            require(grid > 3, "encoder.patch_size", f"{grid} patches a side", "over 3, or mapping.norm group")


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adapters on the language model's linear layers, all but the last (arXiv 2106.09685)."""

    rank: int = 128
    alpha: int = 256
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _within("lora.rank", self.rank, 1, _MOST["width"])
        _within("lora.alpha", self.alpha, 1, _MOST["width"])
        require(0 <= self.dropout < 1, "lora.dropout", self.dropout, "in [0, 1)")


@dataclass(frozen=True)
class PromptConfig:
    """What stands around a question.

    Attributes:
        task: add a line on the task and the form of its answer.
        first_person: add a line saying that the video is the user's own view.
        system: a message before the first turn; None for none.
        caption: the instruction with which captions are learned in stages 0 to 2; None for the caption alone.
    """

    task: bool = True
    first_person: bool = True
    system: str | None = None
    caption: str | None = None


@dataclass(frozen=True)
class MllmConfig:
    """An Exo2Ego model.

    Attributes:
        frames: of a clip.
        encoder: both image encoders.
        language: the language model.
        connector: between them.
        mapping: F and G.
        lora: adapters that stage 3 trains; None trains the language model not at all there.
        join: what the language model sees: `mapped` is x and F(x), `alone` x, `twice` x and x, and `real` x and the
            real exo features y, which needs exo video at inference, too.
        fit: how frames become squares: `pad` keeps all of a frame, `crop` its middle.
        text_limit: tokens of a prompt with its answer, at most; visual tokens come on top.
        prompt: what stands around a question.
    """

    frames: int = 16
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    connector: ConnectorConfig = field(default_factory=ConnectorConfig)
    mapping: MappingConfig = field(default_factory=MappingConfig)
    lora: LoraSettings | None = field(default_factory=LoraSettings)
    join: Join = "mapped"
    fit: Fit = "pad"
    text_limit: int = 2048
    prompt: PromptConfig = field(default_factory=PromptConfig)

    def __post_init__(self) -> None:
        _within("frames", self.frames, 1, _MOST_FRAMES)
        _within("text_limit", self.text_limit, 1, _MOST["positions"])
        _one_of("join", self.join, Join)
        _one_of("fit", self.fit, Fit)
        self.mapping.check_grid(self.encoder.grid)
        longest = self.visual_tokens + self.text_limit
        require(
            longest <= self.language.positions,
            "language.positions",
            self.language.positions,
            f"at least {longest}: {self.visual_tokens} visual tokens and {self.text_limit} of text",
        )

    @property
    def visual_tokens(self) -> int:
        """Visual tokens before the text, both halves together."""
        halves = 1 if self.join == "alone" else 2
        return halves * self.connector.tokens(self.frames, self.encoder.grid)

    @classmethod
    def paper(cls) -> MllmConfig:
        """The paper's model: CLIP-L at 336 pixels, Mistral-7B-Instruct, 16 frames."""
        return cls()

    @classmethod
    def nano(cls) -> MllmConfig:
        """A model that learns all stages on two CPU cores, with a vocabulary of its own (`lmeec.mllm.vocabulary`)."""
        return cls(
            frames=4,
            encoder=EncoderConfig(image_size=128, patch_size=16, width=128, layers=4, heads=4, hidden=256),
            language=LanguageConfig(
                vocabulary=512,
                width=128,
                layers=3,
                heads=4,
                kv_heads=2,
                hidden=256,
                positions=1024,
                rope_theta=1e4,
                tied=True,
                pad_token=None,
            ),
            # A language model that begins from nothing finds what a few tokens say at once, and in 64 not at all.
            connector=ConnectorConfig("resampler", queries=8),
            # Features of a frame are told apart by their channels' means, which instance norm takes away.
            # Both encoders begin as one, so that F and G begin near what they are to be.
            mapping=MappingConfig(width=32, blocks=9, downs=1, norm="group", residual=True),
            lora=LoraSettings(rank=16, alpha=32, dropout=0.1),
            text_limit=256,
            # The question alone: a language model that begins from nothing has no use for more words.
            prompt=PromptConfig(task=False, first_person=False),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> MllmConfig:
        """The inverse of `to_dict`; what is left out has its default.

        Raises:
            ConfigError: an unknown setting, or a value that it may not have.
        """
        return settings_from_dict(cls, values)


PRESETS: dict[Preset, Callable[[], MllmConfig]] = {"paper": MllmConfig.paper, "nano": MllmConfig.nano}
"""Named model configurations."""


def settings_from_dict(kind: type[T], values: dict[str, Any]) -> T:
    """A dataclass of settings from plain values.

    Raises:
        ConfigError: an unknown setting, or a value that it may not have.
    """
    try:
        made = msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"these are no settings of Exo2Ego: {error}") from error
    unknown = _unknown(values, msgspec.to_builtins(made), "")
    if unknown:
        raise ConfigError(f"these are no settings of Exo2Ego: {', '.join(unknown)}")
    return made


def _unknown(given: dict[str, Any], known: dict[str, Any], above: str) -> list[str]:
    found = [f"{above}{name}" for name in given if name not in known]
    for name, value in given.items():
        if isinstance(value, dict) and isinstance(known.get(name), dict):
            found += _unknown(value, known[name], f"{above}{name}.")
    return found


def _within(setting: str, value: int, least: int, most: int) -> None:
    expected = f"at least {least}" if value < least else f"at most {most:,}"
    require(least <= value <= most, setting, value, expected)


def _one_of(setting: str, value: str, kind: Any) -> None:
    require(value in get_args(kind), setting, value, f"one of {', '.join(get_args(kind))}")
