"""A real browser without a window: Debian's chromium, or what CHROMIUM names."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

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
