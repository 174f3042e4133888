"""Every reader as a function of a file, with the seeds that inputs are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from lmeec.errors import LmeecError
from tests.fuzz import seeds
from tests.fuzz.mutation import boxes, documents, octets, shards, tables, weights, yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from random import Random

JSON, LINES = documents.mutate_json, documents.mutate_lines


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes:
        name: Its name.
        place: Where its file is in a folder.
        seeds: Makes valid files; is given a folder of its own.
        mutate: Changes one of them.
        read: Reads a file; gives what it tells of it without raising it.
        target: How many inputs of a million it gets.
        beside: Puts what belongs to the file into the folder.
        named: What messages may name in place of the file: another that is read with it, or the folder.
    """

    name: str
    place: str
    seeds: Callable[[Path], list[bytes]]
    mutate: Callable[[bytes, Random], bytes]
    read: Callable[[Path], Iterable[str] | None]
    target: int
    beside: Callable[[Path], None] = lambda folder: None
    named: tuple[str, ...] = ()


def _each(calls: Iterable[Callable[[], Any]]) -> Iterator[str]:
    """Go on where one of several fails, and say why it did."""
    for call in calls:
        try:
            call()
        except LmeecError as error:
            yield str(error)


def _relations(path: Path) -> Iterator[str]:
    from lmeec.data.relations import RelationsFile

    file = RelationsFile(path)
    yield from file.unreadable.values()
    yield from _each(partial(_tracks, partial(file.tracks, uid)) for uid in file.heads)
    for uid in file.heads:
        file.digest(uid)


def _tracks(read: Callable[[], Any]) -> None:
    for said in [said for track in read().values() for said in _masks(track)]:
        raise LmeecError(said)


def _masks(track: Any) -> Iterator[str]:
    yield from _each(partial(track.mask, frame) for frame in track.frames)


def _manifest(path: Path) -> None:
    from lmeec.data.takes import find_takes

    for take in find_takes(path):
        _ = take.problems


def _masks_of_manifest(path: Path, folder: int) -> Iterator[str]:
    from lmeec.data.takes import find_takes

    for take in find_takes(path.parents[folder] / "recordings.yaml"):
        yield from take.problems
        for track in take.tracks.values():
            yield from _masks(track)


def _manifest_of(masks: str) -> Callable[[Path], None]:
    def put(folder: Path) -> None:
        for name in ("head", "side"):
            (folder / f"{name}.mp4").touch()
        (folder / "recordings.yaml").write_text(
            "takes:\n  - name: a\n    cameras:\n"
            f"      - {{name: head, view: ego, video: head.mp4, masks: [{masks}]}}\n"
            "      - {name: side, view: exo, video: side.mp4}\n"
        )

    return put


def _recordings(folder: Path) -> None:
    for name in ("head.mp4", "side/side.mp4", "back.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "masks.json").write_bytes(seeds.coco(folder)[0])
    (folder / "masks").mkdir(exist_ok=True)
    (folder / "masks/00000.png").write_bytes(seeds.png(folder)[1])


def _takes(path: Path) -> None:
    from lmeec.data.layouts import take_records
    from lmeec.data.recordings import find_recordings

    uids = [record.take_uid for record in take_records(path).values() if (record.rate, record.folder_name)]
    find_recordings(path.parent / "takes", [*uids, "uid-0"])


def _take_folders(folder: Path) -> None:
    (folder / "takes" / "take_0" / "frame_aligned_videos").mkdir(parents=True, exist_ok=True)
    (folder / "takes" / "take_0" / "frame_aligned_videos" / "cam01.mp4").write_bytes(b"")


def _descriptions(path: Path) -> Iterator[str]:
    from lmeec.data.descriptions import DescriptionsFile

    file = DescriptionsFile(path)
    yield from _each(partial(read, uid) for uid in file.uids for read in (file.read, file.moments))


def _processed(path: Path) -> Iterator[str]:
    from lmeec.data import processed

    for track in processed.read_tracks(path.parent).values():
        yield from _masks(track)
    processed.digest(path.parent)


def _calibration(path: Path) -> None:
    from lmeec.analysis.calibration import read_calibration

    calibration = read_calibration(path)
    calibration.confidence(_ROWS.batch())
    _ = calibration.digest


def _rule(path: Path) -> None:
    import pyarrow as pa

    from lmeec.analysis.expected_iou import read_iou_rule
    from lmeec.analysis.signs import signs_of

    rule = read_iou_rule(path)
    signs = signs_of(pa.Table.from_batches([_ROWS.batch()]))
    for take in ("take-1", "elsewhere"):
        rule.expected("ego2exo", signs, take)
    _ = rule.digest


class _Rows:
    def __init__(self) -> None:
        self._batch: Any = None

    def batch(self) -> Any:
        if self._batch is None:
            from lmeec.tables import rows_to_batch
            from tests.support.rows import missing_row, row

            self._batch = rows_to_batch([row(0), row(30), missing_row(60)])
        return self._batch


_ROWS = _Rows()


def _results(path: Path) -> Iterator[str]:
    import lmeec
    from lmeec import tables

    calls: list[Callable[[Path], Any]] = [
        tables.read_results,
        tables.read_contents,
        tables.read_coverage,
        tables.count_missing,
        lmeec.evaluate,
    ]
    yield from _each(partial(call, path) for call in calls)


def _part(path: Path) -> Iterator[str]:
    from lmeec.tables import read_part_info, read_results

    yield from _each(partial(call, path) for call in (read_part_info, read_results))


def _about(path: Path) -> Iterator[str]:
    """A table's notes about itself, without the table."""
    import msgspec

    from lmeec.tables.coverage import COVERAGE_KEY, coverage_in
    from lmeec.tables.metadata import CONTENTS_KEY, METADATA_KEY, VERSION_KEY, contents_of, run_of

    data = path.read_bytes()
    try:
        raw = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raw = {}
    run, contents, coverage = (bytes(raw.get(name) or data) for name in ("run", "contents", "coverage"))
    metadata = {METADATA_KEY: run, VERSION_KEY: b"2", CONTENTS_KEY: contents, COVERAGE_KEY: coverage}
    yield from _each(
        partial(read, metadata, str(path)) for read in (_run_and_fingerprint(run_of), contents_of, coverage_in)
    )


def _run_and_fingerprint(read: Callable[..., Any]) -> Callable[..., Any]:
    def run(metadata: dict[bytes, bytes], name: str) -> None:
        found = read(metadata, name)
        list(found.differences(found)), found.fingerprint, found.has_square_masks

    return run


def _clips(path: Path) -> Iterator[str]:
    from lmeec.clips.instruct import InstructConfig, write_instructions
    from lmeec.clips.read import check_replaceable, read_clips_metadata, scan_clip_takes
    from lmeec.mllm.data.egoexoclip import read_pairs

    out = path.with_name("out.jsonl")
    calls: list[Callable[[], Any]] = [
        partial(check_replaceable, path),
        partial(read_clips_metadata, path),
        lambda: list(scan_clip_takes(path)),
        partial(write_instructions, path, out, InstructConfig(), overwrite=True),
        lambda: list(read_pairs(path)),
    ]
    yield from _each(calls)


def _status(path: Path) -> None:
    from lmeec.runs.status import read_status

    read_status(path.parent.with_suffix(""))


def _plan_beside(folder: Path) -> None:
    (folder / "r.parquet.parts").mkdir(exist_ok=True)
    (folder / "r.parquet.parts" / "run.json").write_bytes(seeds.as_json(seeds.PLAN)[0])


def _plan(path: Path) -> None:
    from lmeec.runs.heartbeat import read_plan

    plan = read_plan(path.parent)
    for job in plan.jobs if plan is not None else ():
        _ = job.label, job.pairs, job.key
    _status(path)


def _failures(path: Path) -> None:
    from lmeec.tables import Output
    from lmeec.tables.failures import read_failures

    for failure in read_failures(Output.of(path.with_name("r.parquet"))):
        _ = failure.label


def _owner(path: Path) -> None:
    from lmeec.runs.claim import find_owner

    find_owner(path.parent)


def _recipe(path: Path) -> None:
    from lmeec_cli.recipe_file import read_recipe

    read_recipe(path)


def _train_config(path: Path) -> None:
    from lmeec_cli.train_file import read_settings

    read_settings(path)


def _mllm_settings(path: Path) -> None:
    from lmeec_cli.mllm_file import read_mllm_settings

    read_mllm_settings(path)


def _checkpoint(path: Path) -> None:
    from lmeec.model.checkpoint import check_weights, config_of, read_checkpoint, weights_digest

    read = read_checkpoint(path)
    weights_digest(read.tensors)
    check_weights(read, config_of(read))


def _training_state(path: Path) -> None:
    from lmeec.training.output.folder import TrainingFolder

    with TrainingFolder(path.parent) as folder:
        folder.read_state()


def _tensors(path: Path) -> None:
    from lmeec.mllm.tensors import read_file

    read_file(path).all()


def _truth(path: Path) -> Iterator[str]:
    from lmeec.importing.truth import TruthFile

    file = TruthFile(path)
    yield from _each(partial(_tracks, lambda uid=uid: file.take(uid).tracks) for uid in file.uids)


def _predictions(path: Path) -> Iterator[str]:
    from lmeec.importing.predictions import PredictionsFile

    file = PredictionsFile(path)
    for direction in file.directions:
        for uid in file.takes(direction):
            yield from _each(
                (
                    partial(file.predictions, direction, uid, ["aria01_214-1", "cam01"]),
                    partial(file.count, direction, uid),
                )
            )


def _import(path: Path) -> None:
    from lmeec.importing.convert import import_predictions

    truth = path.with_name("truth.json")
    import_predictions(path, truth, path.with_name("out.parquet"), overwrite=True, workers=1)


def _import_truth(path: Path) -> None:
    from lmeec.importing.convert import import_predictions

    import_predictions(
        path.with_name("predictions.json"), path, path.with_name("out.parquet"), overwrite=True, workers=1
    )


def _video(path: Path) -> None:
    from fractions import Fraction

    from lmeec.video.instants import open_video

    with open_video(path, Fraction(30), size=(16, 16), threads=1) as video:
        last = video.num_frames - 1
        wanted = sorted({0, last // 2, last})
        for _, _image in video.read(wanted):
            pass


def _set(kind: str, path: Path, beside: Path | None = None) -> None:
    from lmeec.mllm.data.sets import read_set

    read_set(kind, path, beside)


def _conversations(path: Path) -> None:
    _set("conversations", path)


def _known_answers(path: Path) -> None:
    _set("egoschema", path.with_name("questions.json"), path)


def _marks(path: Path) -> None:
    from lmeec.mllm.evaluation.judge import FileJudge

    FileJudge(path)({"source": "mine", "id": "1"})


def _answers(path: Path) -> Iterator[str]:
    from lmeec.mllm.answers import read_about, read_answers

    yield from _each((partial(read_answers, path), partial(read_about, path)))


def _cvat(path: Path) -> None:
    from lmeec.importing import import_cvat

    import_cvat(path, path.with_name("back.json"), overwrite=True)


def _shards(path: Path) -> Iterator[str]:
    from lmeec.mllm.data.egoexoclip import ShardClips

    clips = ShardClips(path.parent, 2)
    yield from _each(partial(clips.samples.__getitem__, place) for place in range(len(clips)))
    if len(clips):
        yield from _each((partial(clips.read, 0),))


def _put(name: str, make: Callable[[Path], list[bytes]]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(make(folder)[0]) and None


def _made(document: Any) -> Callable[[Path], list[bytes]]:
    return lambda folder: seeds.as_json(document)


def _lines(records: list[Any]) -> Callable[[Path], list[bytes]]:
    return lambda folder: seeds.as_lines(records)


READERS = {
    reader.name: reader
    for reader in (
        Reader("relations", "relations_val.json", seeds.relations, JSON, _relations, 40_000),
        Reader("takes", "takes.json", _made(seeds.TAKES), JSON, _takes, 77_000, _take_folders),
        Reader("descriptions", "atomic_descriptions_val.json", seeds.descriptions, JSON, _descriptions, 60_000),
        Reader("processed", "annotation.json", seeds.processed, JSON, _processed, 60_000),
        Reader("calibration", "calibration.json", seeds.calibration, JSON, _calibration, 50_000),
        Reader("rule", "rule.json", seeds.rule, JSON, _rule, 20_000),
        Reader("about-table", "results.parquet", _made(seeds.ABOUT), JSON, _about, 100_000),
        Reader("results-table", "results.parquet", seeds.results, tables.mutate, _results, 2_000),
        Reader("part", "take.ego2exo.part.parquet", seeds.part, tables.mutate, _part, 3_000),
        Reader("clips-table", "clips.parquet", seeds.clips, tables.mutate, _clips, 2_000),
        Reader("progress", "r.parquet.parts/progress.json", _made(seeds.PROGRESS), JSON, _status, 50_000, _plan_beside),
        Reader("plan", "r.parquet.parts/run.json", _made(seeds.PLAN), JSON, _plan, 75_000),
        Reader("failures", "r.parquet.failures.json", _made(seeds.FAILURES), JSON, _failures, 75_000),
        Reader("owner", "r.parquet.parts/owner-000001.json", _made(seeds.OWNER), JSON, _owner, 60_000),
        Reader("truth", "truth.json", seeds.truth, JSON, _truth, 50_000),
        Reader("predictions", "predictions.json", seeds.predictions, JSON, _predictions, 80_000),
        Reader("import", "predictions.json", seeds.predictions, JSON, _import, 1_500, _put("truth.json", seeds.truth),
               ("truth.json",)),
        Reader("import-truth", "truth.json", seeds.truth, JSON, _import_truth, 1_000,
               _put("predictions.json", seeds.predictions), ("predictions.json",)),
        Reader("cvat", "corrected.xml", seeds.cvat, octets.mutate, _cvat, 20_000, _put("tasks.json", seeds.cvat_tasks)),
        Reader("manifest", "recordings.yaml", seeds.manifest, yaml.mutate, _manifest, 10_000, _recordings,
               ("masks",)),
        Reader("coco", "masks.json", seeds.coco, JSON, partial(_masks_of_manifest, folder=0), 20_000,
               _manifest_of("{coco: masks.json}"), ("recordings.yaml",)),
        Reader("png", "masks/00000.png", seeds.png, octets.mutate, partial(_masks_of_manifest, folder=1), 20_000,
               _manifest_of("{png: masks, object: mug}"), ("recordings.yaml",)),
        Reader("recipe", "recipe.yaml", seeds.recipes, yaml.mutate, _recipe, 3_000),
        Reader("train-config", "train.yaml", seeds.train_configs, yaml.mutate, _train_config, 2_000),
        Reader("mllm-settings", "settings.yaml", seeds.mllm_settings, yaml.mutate, _mllm_settings, 3_000),
        Reader("checkpoint", "weights.pt", seeds.torch_weights, weights.mutate_torch, _checkpoint, 1_500),
        Reader("weights", "weights.safetensors", seeds.safetensors, weights.mutate_safetensors, _checkpoint, 3_000),
        Reader("training-state", "state.pt", seeds.training_state, weights.mutate_torch, _training_state, 6_000),
        Reader("tensors", "map_f.safetensors", seeds.tensors, weights.mutate_safetensors, _tensors, 20_000),
        Reader("video", "cam01.mp4", seeds.videos, boxes.mutate, _video, 50_000),
        Reader("questions", "questions.json", _made(seeds.QUESTIONS), JSON, partial(_set, "questions"), 10_000),
        Reader("question-lines", "questions.jsonl", _lines(seeds.QUESTIONS), LINES, partial(_set, "questions"), 10_000),
        Reader("conversations", "data.jsonl", _lines(seeds.CONVERSATIONS), LINES, _conversations, 10_000),
        Reader("something", "something.json", _made(seeds.LABELS), JSON, partial(_set, "something-something-v2"),
        9_000),
        Reader("egotimeqa", "egotimeqa.json", _made(seeds.MOMENTS), JSON, partial(_set, "egotimeqa"), 8_000),
        Reader("qaego4d", "qaego4d.json", _made(seeds.MOMENTS), JSON, partial(_set, "qaego4d-closed"), 8_000),
        Reader("egotaskqa", "test_qas.json", _made(seeds.TASK_QUESTIONS), JSON, partial(_set, "egotaskqa-direct"),
        9_000),
        Reader("egoschema", "questions.json", _made(seeds.SCHEMA_QUESTIONS), JSON, partial(_set, "egoschema"), 9_000),
        Reader("egoschema-answers", "answers.json", _made({"q0": 3, "q1": 4}), JSON, _known_answers, 8_000,
               _put("questions.json", _made(seeds.SCHEMA_QUESTIONS)), ("questions.json",)),
        Reader("egomcq", "egomcq.json", _made(seeds.CHOICES), JSON, partial(_set, "egomcq"), 8_000),
        Reader("marks", "marks.jsonl", _lines(seeds.MARKS), LINES, _marks, 10_000),
        Reader("answers", "answers.parquet", seeds.answers, tables.mutate, _answers, 3_000),
        Reader("shards", "cut/shard-0.tar", seeds.shards, shards.mutate, _shards, 3_000, named=("/cut: ",)),
    )
}  # fmt: skip
"""All of them, by name."""
