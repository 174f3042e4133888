"""Every recipe that is shipped runs, at small scale, or passes the checks of the tool that it is for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import webdataset
from ruamel.yaml import YAML

from lmeec.mllm.settings import MllmTrainConfig
from lmeec.tables import read_metadata, read_results
from lmeec_cli.recipe_file import read_recipe
from tests.support.command import lmeec
from tests.support.mllm import TINY
from tests.support.places import ROOT

RECIPES = ROOT / "recipes"


@pytest.fixture
def small(takes, tiny, tmp_path):
    """Arguments that make a recipe small."""
    settings = {
        "predict.takes": takes.root,
        "predict.checkpoint": f"[{tiny}]",
        "predict.take": f"[{takes.names[0]}]",
        "predict.workers": 0,
        "predict.take_timeout": "null",
        "predict.out": tmp_path / "out",
        "scores": tmp_path / "scores.json",
    }
    return [argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")]


def test_every_recipe_is_listed_with_what_it_is_for():
    listed = {line.split()[0]: line for line in lmeec("recipe", "ls").out.splitlines()}
    assert set(listed) == {path.stem for path in RECIPES.iterdir()}
    assert all(len(line.split()) > 5 for line in listed.values())


def test_a_copy_is_the_recipe_and_does_not_replace_a_file(tmp_path):
    assert lmeec("recipe", "cp", "overnight", tmp_path).status == 0
    copy = tmp_path / "overnight.yaml"
    assert copy.read_text() == (RECIPES / "overnight.yaml").read_text()
    copy.write_text("edited")
    done = lmeec("recipe", "cp", "overnight", tmp_path)
    assert done.status == 1
    assert str(copy) in done.err
    assert copy.read_text() == "edited"


def test_overnight_predicts_both_directions_and_scores(small, tmp_path):
    done = lmeec("recipe", "run", "overnight", *small)
    assert done.status == 0, done.err
    assert set(read_results(tmp_path / "out")["direction"].to_pylist()) == {"ego2exo", "exo2ego"}
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores) == {"ego2exo", "exo2ego"}
    assert scores["ego2exo"]["iou"] is not None
    assert "nothing to do" in lmeec("recipe", "run", "overnight", *small).err


def test_overnight_scores_what_is_there_and_fails_when_takes_do(small, takes, tmp_path):
    takes.video(0, "gp01").write_text("no video")
    both = [*small, "--set", "predict.take=[]"]
    done = lmeec("recipe", "run", "overnight", *both)
    assert done.status == 1
    score = json.loads((tmp_path / "scores.json").read_text())["ego2exo"]
    assert score["takes"] == 2
    assert score["missing"] > 0


def test_ablation_compares_the_policies_in_one_table(small, tmp_path):
    done = lmeec("recipe", "run", "ablation", *small)
    assert done.status == 0, done.err
    policies = ["drop", "merge", "fifo", "kmeans", "iou"]
    assert list(json.loads((tmp_path / "scores.json").read_text())) == policies
    for policy in policies:
        assert read_metadata(tmp_path / "out" / f"{policy}.parquet").memory["policy"] == policy
        assert sum(line.split()[:1] == [policy] for line in done.out.splitlines()) == 2


def test_ego_exoclip_makes_clips_and_conversations_about_them(takes, tmp_path):
    """Of synthetic takes with their own descriptions, from the takes to the training data."""
    settings = {
        "clips.takes": takes.root,
        "clips.out": tmp_path / "clips.parquet",
        "clips.extract": tmp_path / "clips",
        "clips.workers": 0,
        "instruct.out": tmp_path / "clips.json",
    }
    small = [argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")]
    done = lmeec("recipe", "run", "ego-exoclip", *small)
    assert done.status == 0, done.err
    rows = pq.read_table(tmp_path / "clips.parquet").to_pylist()
    descriptions = json.loads((takes.root / "annotations" / "atomic_descriptions_val.json").read_text())["annotations"]
    said = {one["text"] for take in descriptions.values() for one in take[0]["descriptions"]}
    assert {row["text"] for row in rows} == said
    shards = sorted(map(str, (tmp_path / "clips" / "shards").iterdir()))
    assert len(list(webdataset.WebDataset(shards, shardshuffle=False))) == len(rows)
    asked = [one for name in ("clips", "clips.val") for one in json.loads((tmp_path / f"{name}.json").read_text())]
    assert {one["take_uid"] for one in asked} == set(takes.uids)
    assert {one["task"] for one in asked} == {"describe", "next"}
    assert all((tmp_path / "clips" / one["video"]).is_file() for one in asked)
    again = lmeec("recipe", "run", "ego-exoclip", *small)
    assert again.status == 0
    assert "0 clips cut" in again.err


def test_exo2ego_nano_trains_its_stages_asks_about_what_was_held_out_and_compares_variants(tmp_path):
    """On four takes, with two steps a stage and a tiny model."""
    stage = {"batch": 4, "lr": 1.0e-3, "steps": 2}
    begins = {**stage, "seeing": 1, "train_connector": True, "train_all": True}
    tiny_model = json.loads(json.dumps(replace(TINY, text_limit=256).to_dict()))
    settings = {
        "out": tmp_path,
        "model": json.dumps(tiny_model),
        "training": json.dumps({"stage0": begins, **dict.fromkeys(("stage1", "stage2", "stage3"), stage)}),
        "data": json.dumps({"synthetic": True, "takes": 2, "world": {"size": 32, "clips_per_take": 2}}),
        "held_out": 2,
        "answer_tokens": 3,
        "variants": "[full, alone]",
        "variant_tasks": "[object]",
        "log_format": "json",
    }
    small = [argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")]
    done = lmeec("recipe", "run", "exo2ego-nano", *small)
    assert done.status == 0, done.err
    document = json.loads((tmp_path / "scores.json").read_text())
    assert set(document["scores"]) == {"full", "alone"}
    assert {one["task"] for one in document["blank"]} == {one["task"] for one in document["scores"]["full"]}
    assert {one["task"] for one in document["scores"]["full"]} > {"caption", "object"}
    assert {one["task"] for one in document["scores"]["alone"]} == {"object"}
    assert list(document["over"]) == ["alone"]
    assert done.out.strip() == (tmp_path / "scores.md").read_text().strip()
    assert "| full | alone | blank clips | full over alone |" in done.out
    answers = {path: path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*-0/*.parquet"))}
    assert [path.name for path in answers] == ["answers.parquet", "answers.parquet", "blank.parquet"]
    lost = next(iter(answers))
    lost.unlink()
    assert lmeec("recipe", "run", "exo2ego-nano", *small).status == 0
    assert {path for path, at in answers.items() if path.stat().st_mtime_ns != at} == {lost}


def test_exo2ego_finds_weights_and_what_is_judged_from_where_it_is_run(tmp_path, monkeypatch):
    """Workers are in other folders."""
    begun = []
    monkeypatch.setattr("lmeec.mllm.experiment.train_experiment", lambda experiment, *_: begun.append(experiment))
    monkeypatch.chdir(tmp_path)
    assert lmeec("recipe", "run", "exo2ego", "--set", "workers=1").status == 130
    (experiment,) = begun
    assert experiment.weights.videollama == tmp_path / "VideoLLaMA2-7B-16F"
    sets = [*experiment.judged, *experiment.data.questions]
    paths = [path for one in sets for path in (one.file, one.beside, one.videos) if path is not None]
    assert len(paths) > 10
    assert all(path.is_relative_to(tmp_path) for path in paths)


def test_exo2ego_is_read_with_the_papers_numbers_and_misses_the_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    training = read_recipe(RECIPES / "exo2ego.yaml").training
    assert training == replace(MllmTrainConfig(), dtype="bfloat16", shard=True)
    done = lmeec("recipe", "run", "exo2ego", "--set", "workers=1")
    assert done.status == 1
    assert "VideoLLaMA2-7B-16F" in done.err


def lines(path):
    return path.read_text().splitlines()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("takes: takes", "taks: takes", "line 11: predict.taks: this key is not known"),
        ("retries: 2", "retries: many", "line 17: predict.retries: Input should be a valid integer"),
        ("checkpoint: null", "checkpoint: [[nano]]", "line 13: predict.checkpoint.0: Input should be a valid string"),
        ("memory_policy: drop", "memory_policy: lru", "line 15: predict.memory_policy: Input should be 'drop'"),
        ("kind: overnight", "kind: fortnight", "line 8: kind: "),
        ("direction: both", "direction: [both", "this is not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_key_and_line(old, new, message, tmp_path):
    path = tmp_path / "mine.yaml"
    text = (RECIPES / "overnight.yaml").read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    done = lmeec("recipe", "run", path)
    assert done.status == 1
    assert f"{path}, line" in done.err
    assert message in done.err


@pytest.mark.parametrize("given", ["predict.retries=many", "predict.nothing=1", "nowhere.key=1", "no value"])
def test_a_mistake_in_an_override_is_told(given):
    done = lmeec("recipe", "run", "overnight", "--set", given)
    assert done.status == 1
    assert f"--set {given}" in done.err


def test_recipes_of_other_tools_and_unknown_ones_are_not_run():
    assert "copy it" in lmeec("recipe", "run", "slurm").err
    assert "overnight" in lmeec("recipe", "run", "nothing").err
    assert "no key `kind`" in lmeec("recipe", "run", "ray-cluster").err


def test_slurm_script_is_sound():
    checker = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [checker, "--severity=style", RECIPES / "slurm.sh"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


DRIVER = """
import os, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
with open(os.environ["LOG"], "a") as log:
    print("lmeec", *sys.argv[1:], file=log)
os.kill(os.getppid(), signal.SIGUSR1)
time.sleep(20)
"""


def test_slurm_script_runs_the_cluster_and_queues_again_when_time_is_up(tmp_path):
    """With stand-ins for Slurm, ray and lmeec that write down how they are called."""
    (tmp_path / "bin").mkdir()
    for name, does in {
        "scontrol": 'if [[ $1 == show ]]; then printf "n1\\nn2\\n"; else echo "scontrol $*" >> "$LOG"; fi',
        "srun": 'echo "srun $*" >> "$LOG"',
        "ray": "true",
    }.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!{shutil.which('bash')}\n{does}\n")
        path.chmod(0o755)
    driver = tmp_path / "bin" / "lmeec"
    driver.write_text(f"#!{sys.executable}\n{DRIVER}")
    driver.chmod(0o755)
    (tmp_path / "bin" / "activate").write_text(f"PATH={tmp_path}/bin:$PATH\n")
    environment = {
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
        "LOG": str(tmp_path / "log"),
        "VENV": str(tmp_path),
        "TAKES": "/takes",
        "CHECKPOINT": "/weights",
        "OUT": "/results.parquet",
        "SLURM_JOB_NODELIST": "n[1-2]",
        "SLURM_JOB_ID": "7",
    }
    done = subprocess.run(["bash", RECIPES / "slurm.sh"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    log = (tmp_path / "log").read_text()
    assert "--head --node-ip-address=n1 --port=6379" in log
    assert "--nodelist=n2 ray start --block" in log
    assert "lmeec predict /takes --out /results.parquet --checkpoint /weights --ray-address n1:6379" in log
    assert "scontrol requeue 7" in log


def test_kuberay_job_is_valid_for_kubernetes():
    import kubernetes_validate

    job = YAML(typ="safe").load(RECIPES / "kuberay-job.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": group["template"]["spec"]}
        kubernetes_validate.validate(pod, "1.31", strict=True)


def test_ray_cluster_file_is_valid_for_ray():
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(YAML(typ="safe").load(RECIPES / "ray-cluster.yaml")))
