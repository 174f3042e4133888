"""The page about a run in a real browser."""

from __future__ import annotations

import re

import pytest

from lmeec.analysis.night import sum_up
from lmeec.report.night import write_night
from tests.support.browser import Elements, brightness, run_browser, scroll_width
from tests.support.nights import drawn_night

EVIL = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>{}"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("night") / "night.html"
    write_night("night.parquet", "complete", sum_up(drawn_night(name=EVIL).settled(running=False)), path)
    return path


def test_it_shows_the_night_and_runs_nothing_of_the_names(page, tmp_path):
    elements = Elements(run_browser(page, tmp_path, "--dump-dom"))
    night = sum_up(drawn_night().settled(running=False))
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "img", "link"}
    assert EVIL.format(night.slowest[0].number) in elements.text
    classes = [attributes.get("class", "") for _, attributes in elements.found]
    assert classes.count("lane") == len(night.lanes) + 1  # and the times
    for outcome, count in night.outcomes.items():
        drawn = sum(one.startswith("bar ") and one.endswith(f" {outcome}") for one in classes)
        assert drawn - 1 == count if outcome != "done" else 0 < drawn - 1 <= count, outcome  # one is in the key
    assert elements.count("svg") == 3
    assert f"{night.predictions:,}" in elements.text
    assert "its worker died: out of memory" in elements.text
    for tag, attributes in elements.found:
        assert not {"src", "href"} & set(attributes), tag


@pytest.mark.parametrize("width", [400, 900, 1400])
def test_nothing_is_wider_than_the_window(page, tmp_path, width):
    assert scroll_width(page, tmp_path, width) == width


def test_it_is_legible_in_light_and_dark(page, tmp_path):
    light = brightness(page, tmp_path, "light")
    dark = brightness(page, tmp_path, "dark", "--blink-settings=preferredColorScheme=0")
    assert light[5, 5] > 240
    assert dark[5, 5] < 40
    for image in (light, dark):
        for top in range(0, 1000, 250):
            stretch = image[top : top + 250].astype(int)
            assert (abs(stretch - int(image[5, 5])) > 110).mean() > 0.002


def test_thousands_of_short_jobs_stay_a_small_page(tmp_path):
    path = tmp_path / "long.html"
    write_night("long.parquet", "complete", sum_up(drawn_night(jobs=20_000, workers=8).settled(running=False)), path)
    assert path.stat().st_size < 2**20
    assert re.search(r'title="\d+ jobs: done', path.read_text())
