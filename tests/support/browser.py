"""A real browser without a window: Debian's chromium, or what CHROMIUM names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SECONDS = 90


def run_browser(page: Path, profile: Path, *switches: str) -> str:
    """Open a local page with these switches of chromium's; returns what it writes to standard output."""
    call = [
        _browser(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
    ]
    done = subprocess.run(
        [*call, *switches, page.as_uri()], capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _browser() -> str:
    names = (os.environ["CHROMIUM"],) if os.environ.get("CHROMIUM") else _NAMES
    for name in names:
        if found := shutil.which(name):
            return found
    pytest.fail(
        f"this test needs a browser, and there is none of {', '.join(names)}: install Debian's (apt-get install "
        "chromium), or name one with CHROMIUM=",
        pytrace=False,
    )


class Elements(HTMLParser):
    """Names and attributes of the elements of a page, and its text."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def count(self, tag):
        return sum(name == tag for name, _ in self.found)


def brightness(page, folder, name, *switches):
    file = folder / f"{name}.png"
    run_browser(page, folder / name, "--window-size=900,2400", f"--screenshot={file}", *switches)
    with Image.open(file) as image:
        return np.asarray(image.convert("L"))


def scroll_width(page: Path, folder: Path, width: int) -> int:
    """How wide a page is in a window of a width.

    A page about the page: its frame is of the width, and says how far it would scroll.
    """
    inner = page.read_text().replace('<meta http-equiv="Content-Security-Policy"', "<meta ")
    (folder / "inner.html").write_text(
        inner.replace("</body>", "<script>document.title = document.documentElement.scrollWidth</script></body>")
    )
    (folder / "outer.html").write_text(
        f'<iframe src="inner.html" width="{width}" height="900" style="border:0"></iframe>'
        "<script>onload = () => document.title = frames[0].document.title</script>"
    )
    switches = ("--dump-dom", "--allow-file-access-from-files")
    found = re.search(r"<title>(\d+)</title>", run_browser(folder / "outer.html", folder / "profile", *switches))
    assert found is not None
    return int(found[1])
