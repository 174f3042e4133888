"""`lmeec synth` as a user calls it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from lmeec.errors import ConfigError, OutputError
from lmeec_cli.synth import synth

QUICK = ["--takes", "1", "--seconds", "0.2", "--size", "64"]


@pytest.fixture
def app():
    app = typer.Typer(rich_markup_mode="markdown", pretty_exceptions_enable=False)
    app.command("synth")(synth)
    return app


def test_takes_are_rendered_and_every_video_is_logged(app, tmp_path):
    out = tmp_path / "takes"
    result = CliRunner().invoke(app, [str(out), *QUICK, "--exo-cameras", "3", "--objects", "4", "--split", "train"])
    assert result.exit_code == 0, result.output
    assert "1 take of 0.2 s" in result.stdout
    assert result.stderr.count("rendered synth_") == 4
    (take,) = json.loads((out / "annotations" / "relations_train.json").read_text())["annotations"].values()
    assert len(take["object_masks"]) == 4
    assert len(next(iter(take["object_masks"].values()))) == 4


def test_a_range_of_cameras_is_drawn_from(app, tmp_path):
    result = CliRunner().invoke(app, [str(tmp_path / "out"), *QUICK, "--takes", "8", "--exo-cameras", "1..3"])
    assert result.exit_code == 0, result.output
    takes = json.loads((tmp_path / "out" / "takes.json").read_text())
    assert {len(take["frame_aligned_videos"]) for take in takes} == {2, 3, 4}


@pytest.mark.parametrize(
    ("option", "value"),
    [("--exo-cameras", "many"), ("--exo-cameras", "4..2"), ("--size", "7"), ("--takes", "0"), ("--objects", "99")],
)
def test_impossible_options_are_named_with_their_value(app, tmp_path, option, value):
    result = CliRunner().invoke(app, [str(tmp_path / "out"), option, value])
    assert isinstance(result.exception, ConfigError)
    assert value in str(result.exception)
    assert option.strip("-").replace("-", "_") in str(result.exception).replace("-", "_")
    assert not (tmp_path / "out").exists()


def test_existing_takes_are_kept_unless_told(app, tmp_path):
    arguments = [str(tmp_path / "out"), *QUICK, "--exo-cameras", "1"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    refused = CliRunner().invoke(app, arguments)
    assert isinstance(refused.exception, OutputError)
    assert "overwrite=True" in str(refused.exception)
    assert CliRunner().invoke(app, [*arguments, "--overwrite"]).exit_code == 0
