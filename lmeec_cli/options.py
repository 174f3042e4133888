"""Options that several commands have, and values that they take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from lmeec.config import ClipFormat, CycleWay, Decoder, Device, Direction, Pixels, Policy, Precision, Video
from lmeec_cli.settings import Sets

if TYPE_CHECKING:
    from lmeec.files.remote.cache import FileCache

LogFormat = Literal["auto", "text", "json"]
WhichDirections: TypeAlias = Literal[Direction, "both"]
WhichFormats: TypeAlias = Literal[ClipFormat, "both"]

CLUSTER = "Workers and faults"
"""Heading of options in a command's help."""

_DEVICE = "auto takes a GPU where there is one."
_DIRECTION = "ego2exo takes ego masks as query, exo2ego exo masks."
_DTYPE = "auto is bfloat16 on a GPU, float32 on a CPU."
_DTYPE_PREDICT = "With a large model, bfloat16 is faster too on CPUs with AMX or AVX512-BF16."

# Types of commands' parameters; one that ends in IfGiven leaves what a file of settings says.

_TAKES = (
    "Folder of a data set, in the release or the processed layout, or a manifest of your own recordings, whose name "
    "ends in .yaml or .parquet: a path, or a URL such as s3://bucket/egoexo4d."
)
TakesFolder = Annotated[str, typer.Argument(metavar="TAKES", help=_TAKES, show_default=False)]
TakesIfGiven = Annotated[str | None, typer.Argument(metavar="TAKES", help=_TAKES, show_default=False)]
Results = Annotated[
    str,
    typer.Argument(help="Parquet file or folder that `lmeec predict` wrote: a path or a URL.", show_default=False),
]
RelationsFile = Annotated[
    str | None, typer.Option(help="Relations file, a path or URL.", show_default="all in TAKES/annotations")
]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        help="Folder of this machine that keeps whole files of URLs, for all processes and runs. Without it the parts "
        "of videos are read that are needed.",
        show_default="none",
    ),
]
CacheSize = Annotated[
    str, typer.Option("--cache-size", help="What the files of --cache may take; the least recently used go first.")
]
CACHE_SIZE = "50GB"
Takes = Annotated[
    list[str] | None, typer.Option("--take", help="Name or uid of a take; repeat for more.", show_default="all")
]
Objects = Annotated[
    list[str] | None, typer.Option("--object", help="Name of an object; repeat for more.", show_default="all")
]
EveryFrame = Annotated[
    int,
    typer.Option(
        metavar="N", help="Of masks that are dense, only those at frames that are multiples of it.", show_default="all"
    ),
]
Videos = Annotated[Video, typer.Option(help="Videos to read; auto prefers downscaled/448 where it is.")]
Directions = Annotated[WhichDirections, typer.Option(help=_DIRECTION), Sets("directions")]
DirectionsIfGiven = Annotated[
    WhichDirections | None, typer.Option(help=_DIRECTION, show_default="both"), Sets("clips.directions")
]
ComputeOn = Annotated[Device, typer.Option(help=_DEVICE)]
ComputeOnIfGiven = Annotated[Device | None, typer.Option(help=_DEVICE, show_default="auto")]
Arithmetic = Annotated[Precision, typer.Option(help=f"{_DTYPE} {_DTYPE_PREDICT}")]
ArithmeticIfGiven = Annotated[Precision | None, typer.Option(help=_DTYPE, show_default="auto")]
CalibrationFile = Annotated[
    Path | None,
    typer.Option(
        help="File of `lmeec calibrate`: decides what counts as visible, in place of confidence > 0.5.",
        show_default=False,
    ),
]
RoundTripMemory = Annotated[
    bool,
    typer.Option(
        "--cycle-memory",
        help="Round trips with memory banks of their own, at about thrice the cost; without, each frame by itself.",
    ),
]
FitOn = Annotated[
    list[str] | None,
    typer.Option(
        "--fit",
        metavar="TABLE",
        help="Results with ground truth to fit a rule on, which tells the IoU to expect from all signs of a mask.",
        show_default=False,
    ),
]
RuleFile = Annotated[
    Path | None,
    typer.Option("--rule", help="File with a rule: written with --fit, else read.", show_default=False),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same output.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


# Options of runs over many takes.

ResultsOut = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        help="Parquet file to write, or a folder for one file a take and direction if the name ends in a slash; "
        "a path or a URL such as s3://bucket/results.parquet.",
        show_default=False,
    ),
]
Checkpoints = Annotated[
    list[str] | None,
    typer.Option(
        help="Built-in model, checkpoint file, folder with the released pair (EgoExo_checkpoint.pt and "
        "ExoEgo_checkpoint.pt), or DIRECTION=FILE, once for each direction. Files and folders may be URLs.",
        show_default="nano",
    ),
]
MemoryPolicy = Annotated[
    Policy,
    typer.Option(help="What a full memory bank keeps: drop is what the released weights were used with."),
]
MemorySize = Annotated[
    int | None, typer.Option(help="Entries in each memory bank.", show_default="the model's, 6 as released")
]
PixelChain = Annotated[
    Pixels,
    typer.Option(
        help="How frames of videos are resized: quickly, or through JPEG as the released code does it (nothing is "
        "written), which takes videos of full size."
    ),
]
DecodeOn = Annotated[
    Decoder,
    typer.Option(help="Where to decode videos; gpu is an NVIDIA GPU's decoder, or the CPU where there is none."),
]
BatchTracks = Annotated[
    str,
    typer.Option(
        metavar="auto|N",
        help="Tracks that go through the network at once, fewer when memory runs out; results do not depend on it.",
    ),
]
OverwriteRun = Annotated[
    bool, typer.Option("--overwrite", help="Replace an existing output and discard an unfinished run's parts.")
]
Workers = Annotated[
    str,
    typer.Option(
        metavar="auto|N",
        help="Processes that predict, on Ray; auto is one a GPU, or one for two CPUs without any. 0, and auto "
        "where one would do, stay in this process and need no Ray.",
        rich_help_panel=CLUSTER,
    ),
]
GpusPerWorker = Annotated[
    float | None,
    typer.Option(help="May be a fraction.", show_default="1 where there are GPUs", rich_help_panel=CLUSTER),
]
CpusPerWorker = Annotated[
    int | None,
    typer.Option(help="And threads.", show_default="a fair share", rich_help_panel=CLUSTER),
]
Retries = Annotated[
    int, typer.Option(min=0, help="How often a take that failed is tried again.", rich_help_panel=CLUSTER)
]
TakeTimeout = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        help="Seconds that a take may go without a new prediction, as when a read stalls, before its worker is "
        "replaced and the take tried again. Needs workers.",
        show_default="1800",
        rich_help_panel=CLUSTER,
    ),
]


def file_cache(folder: Path | None, size: str) -> FileCache | None:
    """What --cache and --cache-size ask for.

    Raises:
        ConfigError: the size is none.
    """
    from lmeec.files.remote.cache import FileCache, size_in_bytes

    in_bytes = size_in_bytes(size)
    return None if folder is None else FileCache(folder.absolute(), in_bytes)


def auto_or_number(given: str, option: str) -> int | Literal["auto"]:
    """Read the value of an option that is `auto` or a number.

    Raises:
        typer.BadParameter: it is neither.
    """
    if given == "auto":
        return "auto"
    try:
        return int(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is neither auto nor a number", param_hint=option) from None


def directions_of(given: WhichDirections) -> tuple[Direction, ...]:
    """The directions that an option names."""
    return ("ego2exo", "exo2ego") if given == "both" else (given,)


def way_back(memory: bool) -> CycleWay:
    """How predictions are taken back."""
    return "tracked" if memory else "frame"


def log_format_option(panel: str | None = None) -> Any:
    """The option `--log-format`, under a heading of the command's help."""
    return typer.Option(help="auto is a live view on a terminal and lines of text elsewhere.", rich_help_panel=panel)


def metrics_option(panel: str | None = None) -> Any:
    """The option `--metrics`, under a heading of the command's help."""
    return typer.Option(
        "--metrics",
        help="Have Ray serve metrics for Prometheus, on the loopback unless a cluster is joined. Uses workers, be it "
        "one, and needs the extra metrics.",
        rich_help_panel=panel,
    )


def metrics_port_option(panel: str | None = None) -> Any:
    """The option `--metrics-port`, under a heading of the command's help."""
    return typer.Option(
        help="Where --metrics are, of a cluster that is started here.", show_default="any", rich_help_panel=panel
    )


def ray_address_option(panel: str | None = None, *, more: str = "") -> Any:
    """The option `--ray-address`, under a heading of the command's help and with what it means there besides."""
    return typer.Option(
        envvar="RAY_ADDRESS",
        help=f"Ray cluster to join: HOST:PORT, or auto on one of its machines.{more}",
        show_default="start one here",
        rich_help_panel=panel,
    )
