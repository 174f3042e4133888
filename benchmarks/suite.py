"""The benchmarks that `python -m benchmarks` runs: their settings, small and full, and the figures that count.

Each has a command line of its own and prints JSON. Those that make something (`exo2ego_weights`, `nano_weights`,
`exo2ego_card`) or judge a checkpoint that is given (`nano_compare`) are none of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """A number of a benchmark.

    Attributes:
        what: what it says, with its unit.
        path: where it is in what the benchmark prints: keys and places in lists, from outside in.
        target: what it is to be; None where it is only stated.
        at_any_size: whether small settings are judged by the target too.
    """

    what: str
    path: tuple[str | int, ...]
    target: tuple[Literal["<=", ">=", "=="], float] | None = None
    at_any_size: bool = False

    def of(self, report: object) -> object:
        """The number; None where the benchmark does not give it.

        Example:
            >>> Figure("ratio", ("ratio", "median")).of({"ratio": {"median": 5.6}})
            5.6
        """
        for key in self.path:
            try:
                report = report[key]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                return None
        return report

    def verdict(self, value: object, *, small: bool) -> str:
        """`pass` or `miss`; empty where nothing is judged.

        Example:
            >>> Figure("ratio", ("ratio",), (">=", 5)).verdict(4.9, small=False)
            'miss'
        """
        if self.target is None or (small and not self.at_any_size):
            return ""
        if not isinstance(value, int | float):
            return "miss"
        sign, number = self.target
        good = {"<=": value <= number, ">=": value >= number, "==": value == number}[sign]
        return "pass" if good else "miss"


@dataclass(frozen=True)
class Benchmark:
    """A benchmark with its settings.

    Attributes:
        name: how it is called; its module comes first.
        full: words of its command line.
        small: the same for a look whether it works, in a minute or less on an idle machine.
        figures: what counts of what it prints.
    """

    name: str
    full: str
    small: str
    figures: tuple[Figure, ...]

    def words(self, *, small: bool) -> list[str]:
        """What `python` is given."""
        settings = self.small if small else self.full
        return ["-m", f"benchmarks.{self.name.split()[0]}", *settings.split()]


SUITE = (
    Benchmark(
        "network",
        "--objects 5 --exo 4 --frames 2",
        "--preset nano --objects 2 --exo 2 --frames 1",
        (
            Figure("times the released way, float32", ("ratio", "median"), (">=", 5)),
            Figure("masks that agree, mean IoU", ("agreement", "mean_iou"), (">=", 0.999), at_any_size=True),
        ),
    ),
    Benchmark(
        "network bfloat16",
        "--objects 5 --exo 4 --frames 2 --dtype bfloat16",
        "--preset nano --objects 2 --exo 2 --frames 1 --dtype bfloat16",
        (
            Figure("times the released way in float32", ("ratio", "median"), (">=", 13)),
            Figure("masks that agree, mean IoU", ("agreement", "mean_iou"), (">=", 0.99)),
        ),
    ),
    Benchmark(
        "timings",
        "",
        "--models nano --objects 2 --targets 2 --repeats 1",
        (
            Figure("base_plus: an encoding, s", ("base_plus", "encoding_s")),
            Figure("nano: steps a second", ("nano", "steps_per_second")),
        ),
    ),
    Benchmark(
        "cycle",
        "--frames 4",
        "--preset nano --objects 2 --exo 2 --frames 1",
        (
            Figure("a step a frame: more time", ("more_than_without", "frame", "processor", "median"), ("<=", 0.3)),
            Figure("with memory: more time", ("more_than_without", "tracked", "processor", "median"), ("<=", 0.75)),
        ),
    ),
    Benchmark(
        "whole_command",
        "",
        "--preset nano --objects 1 --exo 1 --seconds 2 --size 270",
        (Figure("share of time outside the network", ("share_outside_network",), ("<=", 0.05)),),
    ),
    Benchmark(
        "decoding",
        "",
        "--seconds 2 --repeats 1",
        (
            Figure("4K: times decoding everything", ("results", 0, "times_faster", "decode everything"), (">=", 2)),
            Figure("4K: times OpenCV", ("results", 0, "times_faster", "OpenCV seeking"), (">=", 2)),
        ),
    ),
    Benchmark(
        "object_store",
        "",
        "--seconds 2",
        (Figure("share of a video that is fetched", ("results", "S3, by ranges", "read", "share_of_file")),),
    ),
    Benchmark(
        "memory",
        "--models nano --direction ego2exo",
        "--models nano --direction ego2exo --seconds 4 --times 1 3 --repeats 1",
        (Figure("growth at 30 times the length, %", ("peaks", "nano", -1, "growth_percent"), ("<=", 2)),),
    ),
    Benchmark(
        "train_step",
        "",
        "--model nano --frames 2",
        (Figure("peak of a step, GiB", ("peak_gib",), ("<=", 4)),),
    ),
    Benchmark(
        "nano_training",
        "",
        "--steps 1",
        (Figure("the recipe: times pairs apart", ("ways", "recipe", "times")),),
    ),
    Benchmark(
        "mllm",
        "",
        "--steps 1 --clips 8 --takes 8",
        (Figure("drawing, CPU s a clip", ("drawing", "cpu_seconds_a_clip")),),
    ),
    Benchmark(
        "frame_metrics",
        "",
        "100",
        (Figure("ms a frame", ("milliseconds_a_frame",)),),
    ),
    Benchmark(
        "import_predictions",
        "",
        "100",
        (Figure("seconds, one process", ("seconds_by_processes", "1")),),
    ),
    Benchmark(
        "million_rows",
        "--rows 1000000",
        "--rows 10000 --commands score report",
        (
            Figure("score: MiB", ("score", "largest_memory_MiB"), ("<=", 1000), at_any_size=True),
            Figure("report: MiB", ("report", "largest_memory_MiB"), ("<=", 1000), at_any_size=True),
        ),
    ),
    Benchmark(
        "million_rows partitioned",
        "--rows 10000000 --partitioned --commands score",
        "--rows 20000 --partitioned --commands score",
        (
            Figure("score: MiB", ("score", "largest_memory_MiB"), ("<=", 1000), at_any_size=True),
            Figure("score: CPU s", ("score", "cpu_seconds")),
        ),
    ),
    Benchmark(
        "manifest",
        "",
        "--takes 200",
        (Figure("all jobs known, CPU s", ("parquet", "planned_cpu_s")),),
    ),
    Benchmark(
        "clips",
        "--commands clips",
        "--descriptions 20000 --commands clips",
        (Figure("MiB", ("clips", "largest_memory_MiB"), ("<=", 1000), at_any_size=True),),
    ),
    Benchmark(
        "annotations",
        "",
        "--takes 13 --bytes 10000000",
        (
            Figure("memory of its own, MiB", ("first", "most_own_MiB"), ("<=", 500), at_any_size=True),
            Figure("takes found, CPU s", ("first", "look", "cpu_seconds")),
        ),
    ),
    Benchmark(
        "many_parts",
        "",
        "--parts 40",
        (
            Figure("status, CPU s", ("status", "cpu_seconds"), ("<=", 30), at_any_size=True),
            Figure("going on, CPU s", ("go on by index", "cpu_seconds"), ("<=", 30), at_any_size=True),
            Figure("join, s", ("join", "seconds"), ("<=", 180)),
        ),
    ),
    Benchmark(
        "scheduling",
        "--in-process --ray-ms 3.2 --mean-seconds 5",
        "--in-process --ray-ms 3.2 --mean-seconds 5 --takes 2000",
        (
            Figure("over the bound, %", ("over_lower_bound_percent",), ("<=", 5)),
            Figure("overhead a take, ms", ("overhead_ms_a_take",), ("<=", 10), at_any_size=True),
            Figure("driver, MiB", ("driver_largest_memory_MiB",), ("<=", 2000), at_any_size=True),
        ),
    ),
    Benchmark(
        "scheduling on Ray",
        "--takes 2000 --workers 8 --mean-seconds 0.2",
        "--takes 40 --workers 2 --mean-seconds 0.05",
        (Figure("overhead a take, ms", ("overhead_ms_a_take",), ("<=", 10)),),
    ),
    Benchmark(
        "workers",
        "",
        "--takes 2 --seconds 2",
        (Figure("two workers against one, times", ("speedup",), (">=", 1.6)),),
    ),
    Benchmark(
        "chaos",
        "",
        "--takes 2 --seconds 2 --kills 1",
        (Figure("the table is that of a calm run", ("same_table",), ("==", 1), at_any_size=True),),
    ),
    Benchmark(
        "peak_of_shapes",
        "",
        "",
        (Figure("20x5, bfloat16, scores written, MiB", ("batch 64",)),),
    ),
    Benchmark(
        "nano",
        "",
        "--takes 1 --variants drop",
        (
            Figure("IoU, ego2exo", ("variants", "drop", "directions", "ego2exo", "iou")),
            Figure("IoU, exo2ego", ("variants", "drop", "directions", "exo2ego", "iou")),
        ),
    ),
    Benchmark(
        "trust",
        "",
        "--ways frame",
        (),
    ),
)
