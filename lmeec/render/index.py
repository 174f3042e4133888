"""A page that shows the videos and pictures of a folder, by take and object."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from lmeec.files.whole import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

INDEX = "index.html"

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file:; media-src 'self' file:">
<meta name="color-scheme" content="light dark">
<title>{{ title }}</title>
<style>
body { margin: 0 auto; max-width: 90rem; padding: 1rem; font: 1rem/1.45 system-ui, sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .3rem; } h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
.views { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(40rem, 100%), 1fr));
  align-items: start; margin-bottom: 1rem; }
figure { margin: 0; } figcaption { font-size: .88rem; opacity: .75; }
video, img { display: block; width: 100%; height: auto; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% for take, objects in takes.items() %}
<h2>{{ take }}</h2>
{% for name, files in objects.items() %}
<h3>{{ name }}</h3>
{% for of_views in files | groupby("views") %}
<div class="views">
{% for file in of_views.list %}
<figure>
{% if file.video %}<video src="{{ file.link }}" controls muted loop preload="metadata"></video>
{% else %}<a href="{{ file.link }}"><img src="{{ file.link }}" loading="lazy" alt=""></a>
{% endif %}<figcaption>{{ file.words }}</figcaption>
</figure>
{% endfor %}
</div>
{% endfor %}{% endfor %}{% endfor %}
</body>
</html>
"""


def write_index(folder: Path, files: Iterable[Path]) -> Path:
    """Write `index.html`, which needs nothing but the files.

    Args:
        folder: where it goes.
        files: videos and pictures in it, each in a folder of an object, in one of a take.

    Returns:
        The page.
    """
    takes: dict[str, dict[str, list[dict[str, object]]]] = {}
    for file in sorted(files, key=_in_time):
        place = file.relative_to(folder)
        take, name = place.parts[-3:-1]
        views, frame = _views_and_frame(file)
        shown = {
            "link": quote(place.as_posix()),
            "video": file.suffix == ".mp4",
            "views": views if frame else "",  # pictures of the same views begin a row, videos share one
            "words": views.replace("_to_", " to ") + (f", frame {frame}" if frame else ""),
        }
        takes.setdefault(take, {}).setdefault(name, []).append(shown)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    page = folder / INDEX
    with written_whole(page) as whole:
        whole.write(environment.from_string(_PAGE).render(title=folder.resolve().name, takes=takes).encode())
    return page


def _in_time(file: Path) -> tuple[Path, str, int]:
    """Pictures of the same views by the number of their frame."""
    views, frame = _views_and_frame(file)
    return file.parent, views, int(frame or 0)


def _views_and_frame(file: Path) -> tuple[str, str]:
    """What a file shows: `ego2exo.30.png` is of frame 30, and videos are of all frames."""
    views, _, frame = file.stem.rpartition(".")
    return (views, frame) if file.suffix == ".png" and frame.isdecimal() else (file.stem, "")
