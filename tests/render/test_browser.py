"""A rendered video in a real browser."""

from __future__ import annotations

from lmeec.data.takes import find_takes
from lmeec.render import render
from lmeec.render.tracks import Selection
from tests.support.browser import run_browser
from tests.support.predictions import predict_fairly

# A page counts as loaded once its videos have decoded their first frame, or failed to.
PAGE = """<!doctype html><title>waiting</title><video muted preload="auto" src="{source}"></video><script>
const video = document.querySelector("video");
const state = () => video.error ? video.error.message : `shown ${{video.videoWidth}}x${{video.videoHeight}}`;
window.onload = () => document.title = video.readyState >= 2 || video.error ? state() : "not ready";
</script>"""


def test_a_browser_plays_it(rendered_takes, tmp_path):
    table = predict_fairly(rendered_takes.root, tmp_path / "results.parquet")
    chosen = Selection(takes=[rendered_takes.names[0]], objects=["green bowl_0"], direction="ego2exo")
    video = render(table, find_takes(rendered_takes.root), tmp_path, selection=chosen, mosaic=True, height=120).files[0]
    (tmp_path / "page.html").write_text(PAGE.format(source=video.as_uri()))
    shown = run_browser(tmp_path / "page.html", tmp_path / "profile", "--dump-dom")
    assert "<title>shown " in shown, shown
