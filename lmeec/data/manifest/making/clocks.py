"""Offsets and frame rates of cameras, written into a manifest whose other words stay as they are."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from lmeec.data.manifest.reading import read_document
from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.files.whole import written_whole
from lmeec.files.yaml import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lmeec.data.sync import CameraClock
    from lmeec.files.places import Place

_FIRST_TAKE = re.compile(r"^takes:[^\n]*\n(?:[ \t]*(?:#[^\n]*)?\n)*([ ]*)- ", re.MULTILINE)
_DIGITS = 6  # of rates: a millionth is half a frame in four hours


def check_writable(path: Place) -> Path:
    """Refuse what offsets cannot be written into.

    Raises:
        DataError: it is no YAML file on a disk of this machine.
    """
    if not isinstance(path, Path) or path.suffix.lower() not in (".yaml", ".yml"):
        raise DataError(
            f"{path}: offsets are written into a manifest in YAML on a disk of this machine; `lmeec takes init` makes "
            "one"
        )
    return path


def write_clocks(path: Place, clocks: Mapping[str, Sequence[CameraClock]]) -> int:
    """Write the offsets of cameras that are known for certain to be off, and frame rates of those that drift.

    Args:
        path: the manifest; comments, order and quotes stay.
        clocks: take's identifier to its cameras.

    Returns:
        How many cameras were corrected.

    Raises:
        DataError: the manifest cannot be written to, or cannot be read.
        OutputError: the file cannot be written.
    """
    file = check_writable(path)
    read_document(file)
    document = read_yaml(file, DataError, quotes=True)
    corrected = 0
    seen: set[int] = set()
    for take in document["takes"]:
        wrong = {clock.camera: clock for clock in clocks.get(take.get("uid") or take["name"], ()) if clock.is_wrong}
        for camera in take["cameras"]:
            clock = wrong.get(camera["name"])
            if clock is None:
                continue
            if id(camera) in seen:
                raise DataError(
                    f"{file}: camera {show(camera['name'])} is an alias that several takes share: write it out for each"
                )
            seen.add(id(camera))
            _correct(camera, clock)
            corrected += 1
    if corrected:
        content = _dumped(document, file.read_text(encoding="utf-8"))
        with written_whole(file) as opened:
            opened.write(content.encode())
    return corrected


def _correct(camera: Any, clock: CameraClock) -> None:
    assert clock.offset is not None
    _put(camera, "offset_seconds", float(clock.offset), instead_of="offset_frames")
    if clock.drift and clock.frame_rate is not None:
        _put(camera, "frame_rate", round(float(clock.frame_rate), _DIGITS))


def _put(camera: Any, key: str, value: float, instead_of: str | None = None) -> None:
    """A new key comes after `video`, or where the one was that it stands for."""
    keys = list(camera)
    place = keys.index("video") + 1
    if instead_of in keys:
        place = keys.index(instead_of)
        del camera[instead_of]
    if key in camera:
        camera[key] = value
    else:
        camera.insert(place, key, value)


def _dumped(document: Any, before: str) -> str:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 2**16
    yaml.allow_unicode = True
    found = _FIRST_TAKE.search(before)
    offset = len(found[1]) if found else 0
    yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
    text = io.StringIO()
    yaml.dump(document, text)
    return text.getvalue()
