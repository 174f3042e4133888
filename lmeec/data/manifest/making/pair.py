"""The manifest of one query video and its targets, for who has no more than that."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from lmeec.data.manifest.making.draft import CameraDraft, Draft, TakeDraft
from lmeec.data.manifest.making.kinds import entries_of
from lmeec.data.manifest.making.looked_at import look_at
from lmeec.data.manifest.making.writing import write_draft
from lmeec.errors import DataError, OutputError
from lmeec.files.places import is_url, place
from lmeec.video.instants import USUAL_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmeec.config import View
    from lmeec.files.remote.cache import FileCache


def write_pair(
    query: str,
    masks: str,
    targets: Sequence[str],
    out: str,
    *,
    query_view: View,
    overwrite: bool = False,
    cache: FileCache | None = None,
) -> Path:
    """Write the manifest of a pair beside a results table, as NAME.recordings.yaml.

    Args:
        query: as for `draft_of_pair`.
        masks: as for `draft_of_pair`.
        targets: as for `draft_of_pair`.
        out: the table; its name without ending is the take's.
        query_view: as for `draft_of_pair`.
        overwrite: replace another manifest of that name.
        cache: as for `draft_of_pair`.

    Returns:
        The manifest.

    Raises:
        DataError: as `draft_of_pair`.
        OutputError: the table is not on this machine, or the manifest cannot be written.
    """
    if is_url(out):
        raise OutputError(
            f"{out}: the manifest of a pair is written beside its table, which has to be on this machine for that",
            settings=["out"],
        )
    table = Path(out)
    path = table.with_name(f"{table.stem}.recordings.yaml")
    draft = draft_of_pair(query, masks, targets, query_view=query_view, name=table.stem, cache=cache)
    write_draft(draft, path, overwrite=overwrite)
    return path


def draft_of_pair(
    query: str, masks: str, targets: Sequence[str], *, query_view: View, name: str, cache: FileCache | None = None
) -> Draft:
    """The manifest of a take with a query video, its masks and target videos.

    The take counts the frames of the query video, and all begin together.

    Args:
        query: the query video, a path or URL.
        masks: masks in it, as `entries_of` takes them.
        targets: the target videos.
        query_view: the view of the query; that of the targets is the other.
        name: of the take.
        cache: where whole files of URLs are kept.

    Raises:
        DataError: the query video or its masks cannot be read.
    """
    looks = look_at(place(query, cache))
    if looks.frames is None:
        raise DataError(looks.words)
    entries, assumed = entries_of(place(masks, cache), _named(masks), looks.frames)
    names = _names([query, *targets])
    target_view: View = "exo" if query_view == "ego" else "ego"
    cameras = [CameraDraft(names[0], query_view, _named(query), "the query", looks.words, entries, assumed)]
    for camera, target in zip(names[1:], targets, strict=True):
        seen = look_at(place(target, cache)).words
        cameras.append(CameraDraft(camera, target_view, _named(target), "a target", seen))
    rate = looks.frame_rate or float(USUAL_RATE)
    return Draft("/", [TakeDraft(name, rate, cameras)], ["All videos are assumed to begin at the same instant."])


def _named(path: str) -> str:
    """A path or URL as a manifest has it whose root is that of the file system."""
    return path if is_url(path) else str(Path(path).resolve()).lstrip("/")


def _names(videos: Sequence[str]) -> list[str]:
    """Names of cameras: those of the files, with a number where several have the same."""
    stems = [place(video).stem for video in videos]
    total, seen = Counter(stems), Counter[str]()
    names = []
    for stem in stems:
        seen[stem] += 1
        names.append(f"{stem} {seen[stem]}" if total[stem] > 1 else stem)
    return names
