"""A camera whose video nothing can decode is named by every command, which does the rest."""

import pytest

from lmeec.tables import read_results
from tests.support.command import lmeec
from tests.support.described import spoken, write_descriptions


def broken(video, damage):
    """The video, damaged."""
    data = video.read_bytes()
    if damage == "codec":
        video.write_bytes(data.replace(b"avc1", b"xxxx"))
    else:
        start = data.index(b"stsz") + 12  # sizes of packets, which all become 4 GB
        video.write_bytes(data[:start] + b"\xff" * 40 + data[start + 40 :])
    return video


def is_told(done, video, take):
    assert done.status == 1, done.err
    said = " ".join((done.err + done.out).split())
    assert video.stem in said
    assert take in said
    assert "Traceback" not in said


@pytest.mark.parametrize("damage", ["codec", "packets"])
def test_commands_name_it_and_do_the_rest(takes, damage, tiny, tmp_path):
    out, take = tmp_path / "results.parquet", takes.names[0]
    video = broken(takes.video(0, "gp01"), damage)
    is_told(lmeec("takes", takes.root, "--check"), video, take)
    done = lmeec("predict", takes.root, "--out", out, "--checkpoint", tiny, "--workers", 0)
    is_told(done, video, take)
    assert "retr" not in done.err
    rows = read_results(out).to_pylist()
    assert {row["take_name"] for row in rows} == set(takes.names)
    predicted = {row["query_cam"] for row in rows if row["take_name"] == take} - {None}
    assert predicted - {video.stem}

    done = lmeec("render", out, takes.root, "--out", tmp_path / "pictures")
    is_told(done, video, take)
    assert list((tmp_path / "pictures").rglob("*.mp4"))
    write_descriptions(takes.root, {name: [spoken(1.0, 2.0)] for name in takes.names})
    call = ["--out", tmp_path / "clips.parquet", "--rule", "fixed", "--seconds", 1, "--workers", 0]
    done = lmeec("clips", takes.root, *call, "--extract", tmp_path / "clips")
    is_told(done, video, take)
    assert "10 clips cut" in done.out + done.err
    done = lmeec("report", out, takes.root, "--out", tmp_path / "report.html")
    is_told(done, video, take)
    assert (tmp_path / "report.html").read_text().count("data:image") > 3
