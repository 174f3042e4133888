"""Configuration of the model, its memory and a prediction run, as frozen dataclasses with named presets.

`ModelConfig` describes the network and travels with a checkpoint; `MemoryConfig` and `PredictConfig` are choices of a
run that its results depend on, `ExecutionConfig` those that only cost time. Constructors check their values and name
the one that is wrong.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args

import msgspec

from lmeec.errors import ConfigError, require

if TYPE_CHECKING:
    import pyarrow as pa

    Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)

Policy = Literal["drop", "merge", "fifo", "kmeans", "iou"]
DEFAULT_POLICY: Policy = "drop"
"""Of prediction, and of what judges a training: what the released checkpoints are used with."""

Direction = Literal["ego2exo", "exo2ego"]
View = Literal["ego", "exo"]
"""Whose eyes a camera has: those of the person that acts, or a bystander's."""
VIEWS: dict[Direction, tuple[View, View]] = {"ego2exo": ("ego", "exo"), "exo2ego": ("exo", "ego")}
"""The view of the query and that of the target in each direction."""
GtState = Literal["visible", "absent", "unannotated"]
"""What annotations say of a frame; `lmeec.data.truth` defines it."""
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16"]
Pixels = Literal["fast", "released"]
MaskSize = Literal["evaluation", "square", "source"]
Refine = Literal["none", "colours"]
Targets = Literal["all", "annotated"]
Video = Literal["auto", "full", "448"]
"""Which files of a camera's video to read: `auto` prefers those of downscaled/448 where they are."""
Decoder = Literal["cpu", "gpu"]
CycleWay = Literal["frame", "tracked"]
"""How predictions are taken back to the query view: each `frame` by itself, or `tracked` with banks of their own."""

ScoreProtocol = Literal["benchmark", "paper"]
Average = Literal["frame", "take"]
CvatShapes = Literal["mask", "polygon"]
FuseBy = Literal["cycle_iou", "predicted_iou", "confidence", "rule"]
"""What decides which of several runs a frame's mask is taken from, the higher the better."""

ClipRule = Literal["context", "fixed"]
ClipFormat = Literal["mp4", "webdataset"]
Duplicates = Literal["none", "overlapping", "take"]

STRIDE = 16
"""Pixels of the network's input per cell of the feature grid that memories live on."""


@dataclass(frozen=True)
class TrunkConfig:
    """Hiera image trunk (SAM 2, section 4): four stages that each halve the grid and double the channels.

    Attributes:
        embed_dim: channels of the first stage.
        num_heads: attention heads of the first stage; doubled at every stage.
        stages: blocks in each stage.
        global_att_blocks: indices of blocks that attend over the whole grid instead of windows.
        window_spec: window side, in cells, of each stage.
        window_pos_embed_bkg_spatial_size: grid of the learned position embedding.
    """

    embed_dim: int = 112
    num_heads: int = 2
    stages: tuple[int, int, int, int] = (2, 3, 16, 3)
    global_att_blocks: tuple[int, ...] = (12, 16, 20)
    window_spec: tuple[int, int, int, int] = (8, 4, 14, 7)
    window_pos_embed_bkg_spatial_size: tuple[int, int] = (14, 14)

    def __post_init__(self) -> None:
        _require_size(self.embed_dim, "trunk.embed_dim", 1024)
        require(len(self.stages) == 4, "trunk.stages", self.stages, "four numbers of blocks")
        require(all(0 < n <= 128 for n in self.stages), "trunk.stages", self.stages, "four positive numbers up to 128")
        require(all(0 <= n <= 256 for n in self.window_spec), "trunk.window_spec", self.window_spec, "from 0 to 256")
        for side in self.window_pos_embed_bkg_spatial_size:
            _require_size(side, "trunk.window_pos_embed_bkg_spatial_size", 256)
        require(
            self.num_heads > 0 and self.embed_dim % self.num_heads == 0,
            "trunk.num_heads",
            self.num_heads,
            f"a divisor of embed_dim ({self.embed_dim})",
        )

        firsts = {sum(self.stages[:i]) for i in range(1, 4)}
        require(
            not firsts & set(self.global_att_blocks),
            "trunk.global_att_blocks",
            self.global_att_blocks,
            f"other blocks than {sorted(firsts)}, which pool into the next stage and need windows for it",
        )

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels after each stage, coarsest first."""
        d = self.embed_dim
        return (8 * d, 4 * d, 2 * d, d)


@dataclass(frozen=True)
class MemoryAttentionConfig:
    """Transformer that conditions the target's features on memories (SAM 2's memory attention)."""

    num_layers: int = 4
    dim_feedforward: int = 2048
    dropout: float = 0.1
    rope_theta: float = 10000.0

    def __post_init__(self) -> None:
        _require_size(self.num_layers, "memory_attention.num_layers", 64)
        _require_size(self.dim_feedforward, "memory_attention.dim_feedforward", 65_536)
        require(self.rope_theta > 0, "memory_attention.rope_theta", self.rope_theta, "positive")
        require(0 <= self.dropout < 1, "memory_attention.dropout", self.dropout, "in [0, 1)")


@dataclass(frozen=True)
class MemoryEncoderConfig:
    """Encoder that fuses a frame's features with a mask into one memory of `out_dim` channels a cell."""

    out_dim: int = 64
    fuser_layers: int = 2
    sigmoid_scale: float = 20.0
    sigmoid_bias: float = -10.0

    def __post_init__(self) -> None:
        _require_size(self.out_dim, "memory_encoder.out_dim", 4096)
        _require_size(self.fuser_layers, "memory_encoder.fuser_layers", 64)


@dataclass(frozen=True)
class MaskDecoderConfig:
    """SAM's two-way transformer and its heads.

    Attributes:
        pixel_channels: channels of the embeddings of single pixels that masks are refined by, at half the image size
            (`lmeec.model.pixels`); 0 leaves the decoder as it is in SAM 2, with masks at a quarter.
    """

    depth: int = 2
    num_heads: int = 8
    mlp_dim: int = 2048
    iou_head_hidden_dim: int = 256
    pixel_channels: int = 0

    def __post_init__(self) -> None:
        _require_size(self.depth, "mask_decoder.depth", 64)
        _require_size(self.num_heads, "mask_decoder.num_heads", 256)
        _require_size(self.mlp_dim, "mask_decoder.mlp_dim", 65_536)
        _require_size(self.iou_head_hidden_dim, "mask_decoder.iou_head_hidden_dim", 65_536)
        _require_size(self.pixel_channels, "mask_decoder.pixel_channels", 4096, least=0)


@dataclass(frozen=True)
class ModelConfig:
    """The whole network. The defaults are the released model; `dataclasses.replace` makes variants.

    Attributes:
        image_size: side, in pixels, of the square that frames are resized to.
        hidden_dim: channels C of the features.
        num_maskmem: N; each memory bank holds N - 1 entries, and there are N temporal position codes.
        max_object_pointers: at most this many minus one object pointers are attended to.
    """

    image_size: int = 480
    hidden_dim: int = 256
    num_maskmem: int = 7
    max_object_pointers: int = 16
    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    memory_attention: MemoryAttentionConfig = field(default_factory=MemoryAttentionConfig)
    memory_encoder: MemoryEncoderConfig = field(default_factory=MemoryEncoderConfig)
    mask_decoder: MaskDecoderConfig = field(default_factory=MaskDecoderConfig)

    def __post_init__(self) -> None:
        require(
            0 < self.image_size <= 4096 and self.image_size % 32 == 0,
            "image_size",
            self.image_size,
            "a multiple of 32, up to 4,096",
        )
        require(2 <= self.num_maskmem <= 1024, "num_maskmem", self.num_maskmem, "at least 2, and at most 1,024")
        _require_size(self.hidden_dim, "hidden_dim", 4096)
        _require_size(self.max_object_pointers, "max_object_pointers", 4096)
        require(
            self.hidden_dim % self.memory_dim == 0,
            "memory_encoder.out_dim",
            self.memory_dim,
            f"a divisor of hidden_dim ({self.hidden_dim})",
        )
        require(
            self.hidden_dim % (2 * self.mask_decoder.num_heads) == 0,
            "hidden_dim",
            self.hidden_dim,
            f"a multiple of twice mask_decoder.num_heads ({self.mask_decoder.num_heads})",
        )

    @property
    def memory_dim(self) -> int:
        """Channels D of a memory."""
        return self.memory_encoder.out_dim

    @property
    def grid(self) -> int:
        """Side h = w of the feature grid."""
        return self.image_size // STRIDE

    @property
    def logits_size(self) -> int:
        """Side of the mask logits: a quarter of the image size, or half of it with embeddings of pixels."""
        return self.image_size // (2 if self.mask_decoder.pixel_channels else 4)

    @classmethod
    def base_plus(cls) -> ModelConfig:
        """The released LM-EEC: SAM 2.1 base-plus at 480 pixels."""
        return cls()

    @classmethod
    def nano(cls) -> ModelConfig:
        """A small model for a CPU, laptops and tests (under 3 M parameters)."""
        return cls(
            image_size=384,
            hidden_dim=128,
            trunk=TrunkConfig(
                embed_dim=24,
                num_heads=1,
                stages=(1, 1, 3, 1),
                # Windows all along, so that what is learned from crops holds for whole pictures.
                global_att_blocks=(),
                window_spec=(8, 4, 8, 8),
                window_pos_embed_bkg_spatial_size=(7, 7),
            ),
            # An object is elsewhere in the other view: a large base turns all but a few channels hardly at all.
            memory_attention=MemoryAttentionConfig(num_layers=2, dim_feedforward=256, dropout=0.0, rope_theta=1e10),
            memory_encoder=MemoryEncoderConfig(out_dim=64, fuser_layers=1),
            mask_decoder=MaskDecoderConfig(depth=2, num_heads=8, mlp_dim=256, iou_head_hidden_dim=64),
        )

    @classmethod
    def nano_fine(cls) -> ModelConfig:
        """Nano with embeddings of pixels, for edges and small objects (see `lmeec.model.pixels`)."""
        nano = cls.nano()
        return replace(nano, mask_decoder=replace(nano.mask_decoder, pixel_channels=16))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and lists, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """The inverse of `to_dict`.

        Raises:
            ConfigError: an unknown setting, or a value out of range.
        """
        try:
            config = msgspec.convert(values, cls)
        except (msgspec.ValidationError, ArithmeticError, RecursionError) as error:
            raise ConfigError(f"this is not a model configuration of lmeec: {error}") from error
        for part, given in ((config, values), *((getattr(config, name), values.get(name, {})) for name in _PARTS)):
            unknown = [name for name in given if name not in {one.name for one in dataclasses.fields(part)}]
            if unknown:
                raise ConfigError(f"this is not a model configuration of lmeec: {str(unknown[0])[:80]!r} is not known")
        return config


_PARTS = ("trunk", "memory_attention", "memory_encoder", "mask_decoder")


def _require_size(value: int, setting: str, most: int, least: int = 1) -> None:
    """Bound a size, as configurations come with weights that anybody may have made."""
    require(least <= value <= most, setting, value, f"from {least} to {most:,}")


PRESETS = {"base_plus": ModelConfig.base_plus, "nano": ModelConfig.nano, "nano_fine": ModelConfig.nano_fine}
"""Named model configurations."""


@dataclass(frozen=True)
class MemoryConfig:
    """How the two long-term memory banks are kept short.

    Attributes:
        policy: what happens when a bank is full (paper, section 3.3).
        size: entries in a bank; None means the model's own num_maskmem - 1, which is also the most it has
            temporal position codes for.
        iou_threshold: the `iou` policy keeps steps whose predicted IoU is over this.
    """

    policy: Policy = DEFAULT_POLICY
    size: int | None = None
    iou_threshold: float = 0.3

    def __post_init__(self) -> None:
        require(
            self.policy in get_args(Policy),
            "memory.policy",
            self.policy,
            f"one of {', '.join(get_args(Policy))}",
        )
        require(self.size is None or self.size >= 1, "memory.size", self.size, "at least 1")
        require(0 <= self.iou_threshold <= 1, "iou_threshold", self.iou_threshold, "in [0, 1]")

    def entries(self, model: ModelConfig) -> int:
        """Entries in each bank for this model.

        Raises:
            ConfigError: the size is more than the model has temporal position codes for.
        """
        most = model.num_maskmem - 1
        if self.size is None:
            return most
        require(self.size <= most, "memory.size", self.size, f"at most {most} for this model")
        return self.size


def opposite(direction: Direction) -> Direction:
    """The direction in which queries and targets are swapped."""
    return "exo2ego" if direction == "ego2exo" else "ego2exo"


class ConfidenceRule(Protocol):
    """Decides the confidence of rows in place of the object score alone, as `lmeec.analysis.calibration` does.

    Attributes:
        digest: SHA-256 of what decides, hexadecimal.
        known_directions: those whose confidence it replaces.
        needs_takes: whether the confidence of a row depends on other rows, so that takes must be given whole.
        needs_cycle: directions whose confidence depends on the round trip.
    """

    @property
    def digest(self) -> str:
        """As above."""
        ...

    @property
    def known_directions(self) -> frozenset[str]:
        """As above."""
        ...

    @property
    def needs_takes(self) -> bool:
        """As above."""
        ...

    @property
    def needs_cycle(self) -> frozenset[str]:
        """As above."""
        ...

    def apply(self, batch: Rows) -> Rows:
        """Rows of the results table with the confidence replaced."""
        ...


@dataclass(frozen=True)
class PropagateConfig:
    """How query masks are carried to frames that have none.

    Attributes:
        checkpoint: SAM 2.1's, a path or URL.
        every: to frames whose numbers are multiples of it.
    """

    checkpoint: str
    every: int = 1

    def __post_init__(self) -> None:
        require(self.every >= 1, "every", self.every, "1 or more")


@dataclass(frozen=True)
class PredictConfig:
    """Choices of a prediction run that its results depend on; its fingerprint has all of them.

    Attributes:
        directions: which views are queries: `ego2exo` takes ego masks as query, `exo2ego` the reverse.
        memory: the memory banks.
        dtype: arithmetic; `auto` is bfloat16 on a GPU and float32 on a CPU.
        video: which videos to read: `auto` prefers downscaled/448 where it exists.
        pixels: how frames of videos become the network's input: `fast` resizes them while they are converted from YUV;
            `released` takes them through the released code's chain (`lmeec.video.pixels`), which needs videos of full
            size. Frames in JPEG files are resized as the released code does it in any case.
        mask_size: size of the masks in the results: `evaluation` is the benchmark's (`lmeec.masks.evaluation_size`);
            `square` is 480x480 whatever the frame's shape, which the paper's own protocol compares; `source` is that of
            the target's own frames, as the annotations have it, and metrics are still those at the evaluation size.
        reverse: follow tracks from a take's last frame to its first, so that memory comes from later frames.
        refine: `none` leaves masks as the network draws them; `colours` draws their edges again by the colours of the
            frame (`lmeec.inference.refine`). Memory, scores, confidence and the round trip are those of the network's
            own masks.
        objects: only these objects; empty means all.
        targets: `all` segments each object in every target camera; `annotated` only where there is ground truth of the
            object at a frame of its query masks, which is all that the benchmark scores.
        calibration: decides confidence in place of the object score alone.
        cycle: take each prediction back to the query view, by the model of the other direction, and compare what comes
            back with the query mask (columns `cycle_iou` and `cycle_score`); None does not.
        propagate: carry query masks through their view by SAM 2; None predicts at the frames that have one.
    """

    directions: tuple[Direction, ...] = ("ego2exo", "exo2ego")
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    dtype: Precision = "auto"
    video: Video = "auto"
    pixels: Pixels = "fast"
    mask_size: MaskSize = "evaluation"
    reverse: bool = False
    refine: Refine = "none"
    objects: tuple[str, ...] = ()
    targets: Targets = "all"
    calibration: ConfidenceRule | None = None
    cycle: CycleWay | None = None
    propagate: PropagateConfig | None = None

    def __post_init__(self) -> None:
        for direction in self.directions:
            require(
                direction in get_args(Direction),
                "directions",
                direction,
                f"one of {', '.join(get_args(Direction))}",
            )
        require(self.pixels in get_args(Pixels), "pixels", self.pixels, f"one of {', '.join(get_args(Pixels))}")
        require(
            self.mask_size in get_args(MaskSize), "mask_size", self.mask_size, f"one of {', '.join(get_args(MaskSize))}"
        )
        require(self.targets in get_args(Targets), "targets", self.targets, f"one of {', '.join(get_args(Targets))}")
        require(self.refine in get_args(Refine), "refine", self.refine, f"one of {', '.join(get_args(Refine))}")
        require(
            self.cycle is None or self.cycle in get_args(CycleWay),
            "cycle",
            self.cycle,
            f"one of {', '.join(get_args(CycleWay))}, or None",
        )
        if self.cycle is None and self.calibration and (asking := self.calibration.needs_cycle & {*self.directions}):
            raise ConfigError(
                f"`calibration` weighs the round trip of {' and '.join(sorted(asking))}, which this run does not make: "
                "set `cycle`, or give a calibration that was fitted on a run without it",
                settings=["calibration", "cycle"],
            )
        require(
            self.pixels == "fast" or self.video != "448",
            "video",
            self.video,
            "full or auto with pixels as released, which are made from frames of full size",
        )

    @property
    def model_directions(self) -> tuple[Direction, ...]:
        """Directions that models are needed for; the way back needs those of the other direction."""
        back = () if self.cycle is None else map(opposite, self.directions)
        return tuple(dict.fromkeys((*self.directions, *back)))

    @property
    def video_size(self) -> Video:
        """Which videos to look for; released pixels need those of full size."""
        return "full" if self.pixels == "released" else self.video


@dataclass(frozen=True)
class ExecutionConfig:
    """Choices of a prediction run that cost time; it is the same run with others (devices differ in last bits).

    Attributes:
        device: where to compute.
        batch_tracks: at most this many tracks go through the network at once.
        decoder: where to decode videos; `gpu` falls back to the CPU where no GPU can.
        compile: compile the network with torch.compile; for GPUs.
        profile: tell at the end where the time went, which is measured in any case.
    """

    device: Device = "auto"
    batch_tracks: int | Literal["auto"] = "auto"
    decoder: Decoder = "cpu"
    compile: bool = False
    profile: bool = False

    def __post_init__(self) -> None:
        require(
            self.batch_tracks == "auto" or self.batch_tracks >= 1,
            "batch_tracks",
            self.batch_tracks,
            "auto or at least 1",
        )
