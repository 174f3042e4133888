"""Small valid files of every kind, made by the project's own writers where there are any."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

QUESTIONS = [
    {"video": "a.mp4", "question": "What?", "answer": "x", "options": ["x", "y"], "start": 0.5, "end": 2},
    {"video": "b.mp4", "task": "description", "answer": "A cup.", "id": 9, "start_frame": 3, "end_frame": 30},
]
MOMENTS = [
    {"video_id": f"v{n}", "sample_id": f"s{n}", "question": "Where is it?", "answer": "on the table",
     "moment_start_frame": 30.5 * n, "moment_end_frame": 30.5 * n + 40, "wrong_answers": ["a", "b", "c"]}
    for n in range(2)
]  # fmt: skip
SCHEMA_QUESTIONS = [
    {"q_uid": f"q{n}", "question": "Why?"} | {f"option {m}": f"because {m}" for m in range(5)} for n in (0, 1)
]
TASK_QUESTIONS = [{"question": "What is on?", "answer": "the stove", "question_id": 7, "interval": "1-1-1|P2|30|90"}]
CHOICES = {
    "0": {
        "query": {"clip_text": "#C C opens the door"},
        "choices": {str(n): {"video_uid": "v1", "clip_start": n - 1.5, "clip_end": f"{n + 1}.5"} for n in range(5)},
        "answer": 2,
    }
}
LABELS = [{"id": "41775", "label": "moving drawer", "template": "Moving [something]", "placeholders": ["drawer"]}] * 1
MARKS = [{"source": "mine", "id": str(n), "mark": n / 2} for n in range(3)]
CONVERSATIONS = [
    {"id": f"c{n}", "video": f"videos/{n}.mp4", "task": "describe", "take_uid": "t", "conversations": [
        {"from": "human", "value": "<video>\nWhat?"}, {"from": "gpt", "value": "C lifts the cup."}]}
    for n in range(2)
]  # fmt: skip
TAKES = [
    {
        "take_uid": f"uid-{n}",
        "take_name": f"take_{n}",
        "root_dir": f"takes/take_{n}",
        "frame_rate": 30.0,
        "parent_task_name": "x",
    }
    for n in range(3)
]
FAILURES = [
    {"take_uid": "take-1", "take_name": "a", "direction": "ego2exo", "error": "gone", "attempts": 3, "camera": None}
]
OWNER = {"token": "ab", "host": "h", "machine": "m", "pid": 12, "started": 5}
PROGRESS = {
    "state": "running", "host": "h", "pid": 12, "time": 1.7e9, "seconds": 12.5, "frames": 100, "frames_done": 40,
    "rate": 3.2,
    "seconds_left": 20.5, "retries": 1, "failures": FAILURES,
    "workers": [{"name": "1", "state": "working", "job": "a ego2exo", "frames": 40, "done": 3, "rate": 1.5}],
}  # fmt: skip
PLAN = {
    "jobs": [
        {"index": n, "take_uid": f"take-{n}", "take_name": f"name {n}", "direction": "ego2exo", "ego_encodings": 20,
        "whole": True,
         "shares": [{"camera": "cam01", "steps": 20, "encodings": 20, "egos": ["aria01_214-1"]}],
         "sources": {"cam01": {"kind": "full", "size": 1234, "content": "ab"}, "aria01_214-1": None}, "attempt": 1}
        for n in (1, 2)
    ]
}  # fmt: skip
ABOUT = {
    "run": {"model": "nano", "checkpoints": {"ego2exo": "1f"}, "memory": {"policy": "drop", "size": 6},
    "predict": {"video": "auto"},
            "annotation_digest": "a0", "lmeec_version": "0.1.0", "schema_version": 2},
    "contents": {"count": 1, "digest": "ab"},
    "coverage": [{"take_uid": "take-1", "direction": "ego2exo", "coverage": {
        "pairs": [["aria01", "cam01"]], "sources": {"cam01": {"kind": "full", "size": 1234}, "aria01": None}}}],
}  # fmt: skip


def as_json(document: Any) -> list[bytes]:
    return [json.dumps(document, indent=1).encode()]


def as_lines(records: list[Any]) -> list[bytes]:
    return ["\n".join(map(json.dumps, records)).encode()]


def _mask(frame: int) -> dict[str, Any]:
    from tests.support.trees import encoded_mask

    return encoded_mask(frame, (24, 32))


def _counts(frame: int) -> str:
    from lmeec.masks import RunLengthMask
    from tests.support.trees import square_mask

    return RunLengthMask.encode(square_mask(frame, (24, 32))).counts


def relations(_: Path) -> list[bytes]:
    cameras = {
        name: {
            "annotation": {str(frame): _mask(frame) for frame in (0, 30)},
            "annotated_frames": [0, 30, 60],
            "annotation_fps": 1,
        }
        for name in ("aria01_214-1", "cam01")
    }
    takes = {
        f"uid-{n}": {"take_name": f"take_{n}", "scenario": "Cooking", "object_masks": {"cup_0": cameras}}
        for n in range(2)
    }
    return as_json({"annotations": takes})


def manifest(_: Path) -> list[bytes]:
    head = (
        b"# takes of our own\ntakes:\n  - name: kitchen 1\n    frame_rate: 30\n    cameras:\n"
        b"      - {name: head, view: ego, video: head.mp4, masks: [{coco: masks.json}]}\n"
        b"      - {name: side, view: exo, video: side/side.mp4, offset_frames: 12}\n"
    )
    pictures = b"      - name: back\n        view: ego\n        video: back.mp4\n        masks:\n"
    return [head, head + pictures + b"          - png: masks\n            object: mug\n"]


def coco(_: Path) -> list[bytes]:
    images = [{"id": n, "height": 24, "width": 32, "file_name": f"{n * 30:05d}.png"} for n in range(3)]
    shapes: list[Any] = [
        {"size": [24, 32], "counts": _counts(30)},
        {"size": [24, 32], "counts": [100, 20, 648]},
        [[2.0, 2.0, 20.0, 2.0, 20.0, 15.5]],
    ]
    annotations = [
        {"id": n, "image_id": n, "category_id": 1, "segmentation": shape, "iscrowd": 0, "track_id": n % 2}
        for n, shape in enumerate(shapes)
    ]
    return as_json({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cup"}]})


def png(_: Path) -> list[bytes]:
    files = []
    for mode in ("P", "L", "1"):
        pixels = np.zeros((24, 32), np.uint8)
        pixels[4:12, 5:20] = 1 if mode == "P" else 255
        image = Image.fromarray(pixels)
        if mode == "P":
            image = Image.fromarray(pixels, "P")
            image.putpalette([0, 0, 0, 255, 0, 0])
        file = io.BytesIO()
        image.convert(mode).save(file, "PNG")
        files.append(file.getvalue())
    return files


def descriptions(_: Path) -> list[bytes]:
    from tests.support.described import annotation, description, spoken

    one = annotation(description("C lifts the cup.", "3.5", best_exo="cam01", unsure="0"), annotator=None)
    return as_json({"annotations": {"uid-0": [spoken(1.0, 2.0), one], "uid-1": [spoken(4.0)]}})


def processed(_: Path) -> list[bytes]:
    masks = {str(frame): {"size": [24, 32], "counts": _counts(frame)} for frame in (0, 30)} | {"60": None}
    return as_json({"masks": {"cup_0": {"aria01_214-1": masks, "cam01": masks}}, "subsample_idx": [0, 30, 60]})


def calibration(_: Path) -> list[bytes]:
    decision = {
        "features": ["object_score", "predicted_iou", "log_area_share"], "mean": [0.5, 0.1, -2.0], "scale": [1.0, 0.5,
        2.0],
        "coefficients": [1.5, 0.5, -0.25], "intercept": 0.25,
    }  # fmt: skip
    from lmeec.analysis.calibration import FORMAT

    return as_json(
        {"directions": {"ego2exo": decision}, "made": {"rows": 3}, "scores": {}, "format": FORMAT, "lmeec_version": "0"}
    )


def rule(_: Path) -> list[bytes]:
    from lmeec.analysis.expected_iou import FORMAT

    regression = {"mean": [0.5, -2.0], "scale": [1.0, 0.5], "coefficients": [1.5, -0.25], "intercept": 0.25}
    direction = {
        "signs": ["predicted_iou", "log_area_share"], "whole": regression, "folds": [regression] * 2,
        "fold_of": {"take-1": 0, "take-2": 1},
    }  # fmt: skip
    return as_json(
        {"directions": {"ego2exo": direction}, "made": {"results": ["r.parquet"]},
         "scores": {"ego2exo": {"aurc": 0.4, "iou": 0.5, "iou_of_best_half": 0.6}}, "format": FORMAT,
         "lmeec_version": "0"}
    )  # fmt: skip


def results(folder: Path) -> list[bytes]:
    from tests.support.rows import missing_row, row, square, write_results

    truth = {"gt_state": "visible", "gt": square(12, 30)}
    rows = [row(0, **truth), row(30, **truth), row(60, gt_state="absent"), missing_row(90)]
    return [write_results(folder / "seed.parquet", rows).read_bytes()]


def part(folder: Path) -> list[bytes]:
    from tests.support.rows import missing_row, row, write_part

    return [write_part(folder / "seed.parts", [row(0), row(30), missing_row(60)]).read_bytes()]


def clips(_: Path) -> list[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from lmeec.clips.read import METADATA_KEY, SUMMARY_KEY, VERSION_KEY
    from lmeec.clips.schema import SCHEMA, SCHEMA_VERSION
    from lmeec.clips.summary import Tally

    rows = [
        {
            "take_uid": take, "take_name": take, "annotator": "anna", "clip_id": f"{take}-0-{number}",
            "text": f"C does {number}",
            "subject": "C", "timestamp": float(number), "start": number - 0.5, "end": number + 0.5,
            "start_frame": 30 * number,
            "end_frame": 30 * number + 30, "frame_rate": 30.0, "ego_cam": "aria01", "exo_cam": camera,
            "is_best_exo": camera == "cam02", "ego_visible": True, "ego_video": "e.mp4", "exo_video": f"{camera}.mp4",
            "ego_clip": f"e{number}.mp4", "exo_clip": f"{camera}/{number}.mp4", "objects": [{"name": "red mug_0"}],
        }
        for take in ("t1", "t2") for number in (1, 2) for camera in ("cam01", "cam02")
    ]  # fmt: skip
    about = {
        METADATA_KEY: json.dumps({"fingerprint": "a", "settings": {}}).encode(),
        VERSION_KEY: str(SCHEMA_VERSION).encode(),
        SUMMARY_KEY: json.dumps(Tally().summary(None, grounded=False).to_dict()).encode(),
    }
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA).replace_schema_metadata(about), file)
    return [file.getvalue()]


def answers(_: Path) -> list[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from lmeec.mllm.answers import question_columns, schema_with
    from lmeec.mllm.data.sample import Sample

    one = Sample("1", "v1", "mine", "choice", question="Which?", answer="mug", options=("pan", "mug"))
    file = io.BytesIO()
    row = question_columns(one) | {"reply": "(B)"}
    pq.write_table(
        pa.Table.from_pylist([row, row | {"id": "2"}], schema=schema_with({"model": "m", "frames": 4})), file
    )
    return [file.getvalue()]


def recipes(_: Path) -> list[bytes]:
    from tests.support.places import ROOT

    return [  # with weights, which some leave to their user
        (ROOT / "recipes" / f"{name}.yaml").read_bytes().replace(b"checkpoint: null", b"checkpoint: [nano]")
        for name in ("overnight", "ablation", "ego-exoclip", "finetune")
    ]


def train_configs(_: Path) -> list[bytes]:
    return [
        b"preset: finetune\nsteps: 100\nbatch: 8\nseed: 3\nclips:\n  frames: 4\n  objects: 2\n  directions: [ego2exo]\n"
        b"optimiser:\n  lr: 1.0e-4\n  layer_decay: 0.9\n"
        b"validation:\n  every: 10\n  takes: 2\n  policy: drop\nlosses: {}\n",
        b"preset: released\nepochs: 2\nmodel: nano\n",
    ]


def mllm_settings(_: Path) -> list[bytes]:
    return [
        b"preset: nano\nmodel:\n  frames: 4\n  encoder:\n    layers: 2\n"
        b"training:\n  stage0:\n    batch: 8\n    lr: 1.0e-3\n"
        b"  losses:\n    kl: 0.5\ndata:\n  questions: []\n"
    ]


def safetensors(folder: Path) -> list[bytes]:
    from tests.support.tiny import write_tiny

    return [write_tiny(folder / "seed.safetensors").read_bytes()]


def tensors(_: Path) -> list[bytes]:
    import torch
    from safetensors.torch import save

    return [save({"a.weight": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.bfloat16)}, {"format": "pt"})]


def torch_weights(_: Path) -> list[bytes]:
    import torch

    from lmeec.model.build import build_model
    from tests.support.tiny import TINY

    model = dict(build_model(TINY, seed=1).state_dict())
    optimiser = {"state": {0: {"step": torch.tensor(1.0)}}}
    return [saved({"model": model, "config": TINY.to_dict(), "epoch": 3, "optimizer": optimiser})]


def training_state(_: Path) -> list[bytes]:
    import torch

    from lmeec.training.output.random_state import random_state

    torch.manual_seed(0)
    state = random_state()
    words = (state["numpy"][0], state["numpy"][1][:5], *state["numpy"][2:])
    one = {"exp_avg": torch.zeros(2), "step": torch.tensor(3.0)}
    optimiser = {"state": {0: one}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    return [
        saved(
            {
                "step": 3,
                "judged": 0,
                "best": 0.5,
                "model": {"a": torch.ones(2)},
                "optimiser": optimiser,
                "random": [{"torch": state["torch"][:16], "cuda": [], "numpy": words, "python": (3, [1, 2], None)}],
                "settings": {"seed": 1, "clips": {"frames": 8}},
            }
        )
    ]


def saved(content: Any) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def videos(_: Path) -> list[bytes]:
    """Kept as files: another build of FFmpeg would encode others, and numbers would mean other inputs."""
    from tests.support.places import ASSETS

    return [path.read_bytes() for path in sorted((ASSETS / "hostile" / "seeds").glob("*.mp4"))]


def truth(_: Path) -> list[bytes]:
    masks = {str(frame): {"size": [24, 32], "counts": _counts(frame)} for frame in (0, 30)}
    both = {"aria01_214-1": masks, "cam01": masks}
    take = {"masks": {"cup_0": both}, "annotated_frames": {"cup_0": {camera: [0, 30, 60] for camera in both}}}
    return [*as_json({"annotations": {"uid-0": take}}), *relations(_)]


def predictions(_: Path) -> list[bytes]:
    frames = {
        str(frame): {"pred_mask": {"size": [24, 32], "counts": _counts(frame)}, "confidence": [0.75]}
        for frame in (0, 30)
    }
    takes = {"uid-0": {"masks": {"cup_0": {"aria01_214-1_cam01": frames}}}}
    return as_json({"ego-exo": {"results": takes}, "version": "1"})


def cvat(_: Path) -> list[bytes]:
    shapes = (
        '<mask frame="0" keyframe="1" outside="0" rle="1, 4, 1" left="2" top="3" width="3" height="2"></mask>',
        '<polygon frame="30" keyframe="1" outside="0" points="1.25,2.25;9.75,2.25;9.75,8.75" z_order="0"></polygon>',
    )
    tracks = "".join(f'<track id="{n}" label="cup &amp; {n}">{shape}</track>' for n, shape in enumerate(shapes))
    size = "<original_size><width>32</width><height>24</height></original_size>"
    head = f"<version>1.1</version><meta><task><name>t</name>{size}</task></meta>"
    return [f'<?xml version="1.0" encoding="utf-8"?><annotations>{head}{tracks}</annotations>'.encode()]


def cvat_tasks(_: Path) -> list[bytes]:
    task = {"file": "corrected.xml", "take_uid": "t", "take_name": "t", "scenario": None, "direction": "ego2exo"}
    task |= {"query_cam": "aria01", "target_cam": "cam01", "height": 24, "width": 32, "frames": [[0, 0], [30, 30]]}
    return as_json({"tasks": [task]})


def shards(folder: Path) -> list[bytes]:
    from tests.fuzz.mutation.shards import packed

    video = videos(folder)[0]
    row = {
        "take_uid": "t", "clip_id": "t-0-1", "text": "C lifts.", "subject": "C", "ego_visible": True, "start_frame": 0,
        "end_frame": 30, "frame_rate": 30.0, "exo_cam": "cam01",
    }  # fmt: skip
    members = [
        (f"t-0-{n}{end}", content)
        for n in (1, 2)
        for end, content in (
            (".ego.mp4", video),
            (".exo.mp4", video),
            (".txt", b"C lifts."),
            (".json", json.dumps(row).encode()),
        )
    ]
    return [packed(members)]
