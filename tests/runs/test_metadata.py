"""What the results of a run depend on, as their files keep it."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest

from lmeec.config import ExecutionConfig, MemoryConfig, PredictConfig, PropagateConfig
from lmeec.runs.outcome import ModelInfo
from lmeec.runs.predict import run_metadata

NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256
TAKES = SimpleNamespace(annotation_digest=NOTHING, every=1, synthetic=False)

CHANGES = {
    "memory": MemoryConfig(policy="fifo"),
    "video": "448",
    "pixels": "released",
    "mask_size": "square",
    "reverse": True,
    "refine": "colours",
    "objects": ("cup_0",),
    "targets": "annotated",
    "calibration": SimpleNamespace(digest="ca11", needs_cycle=frozenset()),
    "cycle": "frame",
    "propagate": PropagateConfig(__file__),
}


def models(*directions, dtype="float32"):
    return {direction: ModelInfo("nano", "1f", "cpu", dtype) for direction in directions}


def metadata(config, **loaded):
    return run_metadata(models(*config.model_directions, **loaded), TAKES, config)


def test_files_keep_what_they_kept_so_that_older_runs_go_on():
    config = PredictConfig(memory=MemoryConfig(size=4), objects=("cup_0", "bowl_1"), calibration=CHANGES["calibration"])
    kept = json.loads(metadata(config).to_json())
    assert kept.pop("lmeec_version")
    assert kept == {
        "model": "nano",
        "checkpoints": {"ego2exo": "1f", "exo2ego": "1f"},
        "memory": {"policy": "drop", "size": 4, "iou_threshold": 0.3},
        "predict": {
            "dtype": "float32",
            "video": "auto",
            "pixels": "fast",
            "mask_size": "evaluation",
            "objects": ["bowl_1", "cup_0"],
            "calibration": "ca11",
        },
        "annotation_digest": NOTHING,
        "schema_version": 2,
    }


def test_the_way_back_is_kept_beside_what_the_predictions_depend_on():
    """So that runs without it go on, and one direction depends on the weights of the other."""
    config = PredictConfig(directions=("ego2exo",))
    loaded = models("ego2exo") | {"exo2ego": ModelInfo("other", "2e", "cpu", "float32")}
    plain, framed, tracked = (
        json.loads(run_metadata(loaded, TAKES, dataclasses.replace(config, cycle=way)).to_json())
        for way in (None, "frame", "tracked")
    )
    kept = framed["predict"].pop("cycle")
    assert kept.pop("lmeec_version")
    assert kept == {
        "way": "frame",
        "checkpoints": {"ego2exo": "2e"},
        "dtype": "float32",
        "video": "auto",
        "pixels": "fast",
        "annotation_digest": plain["annotation_digest"],
    }
    assert tracked["predict"].pop("cycle") == kept | {
        "way": "tracked",
        "memory": plain["memory"],
        "lmeec_version": plain["lmeec_version"],
    }
    assert plain == framed == tracked


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(PredictConfig)])
def test_every_setting_of_prediction_makes_another_run(name):
    before = metadata(PredictConfig())
    if name == "dtype":  # as resolved by the device
        after = metadata(PredictConfig(), dtype="bfloat16")
    elif name == "directions":  # which have a checkpoint each
        after = metadata(PredictConfig(directions=("ego2exo",)))
    else:
        after = metadata(PredictConfig(**{name: CHANGES[name]}))
    assert after.fingerprint != before.fingerprint


def test_settings_of_execution_are_no_settings_of_prediction():
    names = [{field.name for field in dataclasses.fields(one)} for one in (PredictConfig, ExecutionConfig)]
    assert not set.intersection(*names)
    stored = json.loads(metadata(PredictConfig()).to_json())
    assert not names[1] & (stored.keys() | stored["predict"].keys())
