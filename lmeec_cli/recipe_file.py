"""Recipe files: what they may say, and messages that name the key and the line of a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lmeec.config import DEFAULT_POLICY, ClipRule, Device, Duplicates, Pixels, Policy, Precision, Refine, Targets, Video
from lmeec.errors import ConfigError
from lmeec.files.yaml import read_yaml, refusal
from lmeec.mllm.settings import STAGES, Stage
from lmeec.mllm.synthetic.questions import NanoTask
from lmeec.mllm.training_data import QuestionSet
from lmeec.mllm.variants import VariantName
from lmeec.training.config import TrainConfig
from lmeec_cli.mllm_file import Exo2EgoSettings
from lmeec_cli.options import CACHE_SIZE, LogFormat, WhichDirections, WhichFormats
from lmeec_cli.train_file import Settings


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _named(given: Any) -> Any:
    if given is None:
        raise ValueError(
            "name the weights, there is no default: [weights/] for the released pair, or [nano] for synthetic takes"
        )
    return given


class Predict(_Strict):
    """Options of `lmeec predict`, by the names that they have there."""

    takes: str
    out: str
    checkpoint: Annotated[list[str], BeforeValidator(_named)] = Field(default=None, validate_default=True)
    annotations: str | None = None
    direction: WhichDirections = "both"
    take: list[str] = []
    objects: list[str] = []
    targets: Targets = "all"
    every: Annotated[int, Field(ge=1)] = 1
    memory_policy: Policy = DEFAULT_POLICY
    memory_size: Annotated[int, Field(ge=1)] | None = None
    device: Device = "auto"
    dtype: Precision = "auto"
    cache: Path | None = None
    cache_size: str = CACHE_SIZE
    video: Video = "auto"
    pixels: Pixels = "fast"
    refine: Refine = "none"
    calibration: Path | None = None
    batch_tracks: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    gpus_per_worker: Annotated[float, Field(ge=0)] | None = None
    cpus_per_worker: Annotated[int, Field(ge=1)] | None = None
    ray_address: str | None = None
    retries: Annotated[int, Field(ge=0)] = 2
    take_timeout: Annotated[float, Field(ge=0.1)] | None = None
    overwrite: bool = False
    log_format: LogFormat = "auto"


class Overnight(_Strict):
    """Predict, then score."""

    kind: Literal["overnight"]
    predict: Predict
    scores: Path | None = None


class Ablation(_Strict):
    """Predict with several memory policies, then compare their scores."""

    kind: Literal["ablation"]
    predict: Predict
    policies: Annotated[list[Policy], Field(min_length=1)] = ["drop", "merge", "fifo", "kmeans", "iou"]
    scores: Path | None = None


class Clips(_Strict):
    """Options of `lmeec clips`, by the names that they have there."""

    takes: str
    out: Path
    annotations: str | None = None
    video: Video = "auto"
    results: Path | None = None
    rule: ClipRule = "context"
    seconds: float | None = None
    min_length: float = 0.0
    max_length: float | None = None
    ego_visible_only: bool = False
    best_exo_only: bool = False
    include_unsure: bool = False
    include_rejected: bool = False
    merge_duplicates: Duplicates = "none"
    extract: Path | None = None
    format: WhichFormats = "mp4"
    short_side: int = 256
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    ray_address: str | None = None
    overwrite: bool = False


class Instruct(_Strict):
    """Options of `lmeec clips instruct`, by the names that they have there; files that are there are replaced."""

    out: Path
    val_share: float = 0.1
    seed: int = 0
    videos: Path | None = None
    in_words: bool = False


class EgoExoClip(_Strict):
    """Make clips with sentences, then conversations about them."""

    kind: Literal["ego-exoclip"]
    clips: Clips
    instruct: Instruct | None = None


class Train(_Strict):
    """What `lmeec train` is told besides its settings, by the names of its options."""

    takes: str
    out: Path
    checkpoint: str | None = None
    annotations: str | None = None
    validate_on: Annotated[str | None, Field(alias="validate")] = None
    validate_annotations: str | None = None
    cache: Path | None = None
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    ray_address: str | None = None
    log_format: LogFormat = "auto"


class Training(_Strict):
    """Train a model."""

    kind: Literal["train"]
    train: Train
    settings: Settings = TrainConfig()


class Weights(_Strict):
    """Folders of others' weights that Exo2Ego begins with."""

    videollama: Path | None = None
    clip: Path | None = None
    language: Path | None = None


class Exo2Ego(Exo2EgoSettings):
    """Train stages of Exo2Ego, ask about what was held out, judge, and compare variants."""

    kind: Literal["exo2ego"]
    out: Path
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)] = STAGES
    weights: Weights | None = None
    judged: tuple[QuestionSet, ...] = ()
    variants: Annotated[tuple[VariantName, ...], Field(min_length=1)] = ("full",)
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)
    variant_tasks: tuple[NanoTask, ...] = ()
    held_out: Annotated[int, Field(ge=1)] | None = None
    answer_tokens: Annotated[int, Field(ge=1)] = 128
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    ray_address: str | None = None
    log_format: LogFormat = "auto"


Recipe = Annotated[Overnight | Ablation | EgoExoClip | Training | Exo2Ego, Field(discriminator="kind")]


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Overnight | Ablation | EgoExoClip | Training | Exo2Ego:
    """Read a recipe.

    Args:
        path: the file.
        overrides: `key=value` each, with dots between nested keys and a value in YAML.

    Raises:
        ConfigError: the file cannot be read or says something that it may not; names the key and the line.
    """
    document = read_yaml(path)
    if not isinstance(document, dict) or "kind" not in document:
        raise ConfigError(
            f"{path}: this is no recipe that lmeec runs: it has no key `kind` (overnight, ablation, ego-exoclip, "
            "train or exo2ego)"
        )
    changed = dict(_override(document, text) for text in overrides)
    try:
        return TypeAdapter(Recipe).validate_python(document)
    except ValidationError as error:
        raise refusal(path, document, error, changed) from error


def _override(document: Any, text: str) -> tuple[tuple[str, ...], str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text}: give a key and a value, as --set predict.takes=/data")
    names = tuple(key.split("."))
    place = document
    for name in names[:-1]:
        place = place.get(name) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise ConfigError(f"--set {text}: there is no {'.'.join(names[:-1])} to set {names[-1]} in")
    try:
        place[names[-1]] = YAML(typ="safe").load(value)
    except YAMLError as error:
        raise ConfigError(f"--set {text}: the value is not YAML: put it in quotes") from error
    return names, f"--set {text}"
