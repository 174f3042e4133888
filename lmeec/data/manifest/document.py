"""The manifest: which takes there are, their cameras, and the masks that are known in them.

As YAML, which people write::

    root: /data/recordings           # what paths are relative to; the manifest's own folder if it is left out
    takes:
      - name: kitchen 1
        frame_rate: 30               # frames a second that frame numbers of the take count
        cameras:
          - {name: head, view: ego, video: kitchen1/head.mp4, masks: [{coco: kitchen1/head.json}]}
          - {name: side, view: exo, video: kitchen1/side.mp4, offset_frames: 12}

or as Parquet, for thousands: a row a take, with the keys of a take as columns. Paths are relative to `root`, and do not
leave it; `root` may be any folder, and a video or file of masks may be a URL.
"""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from lmeec.config import View
from lmeec.errors import DataError
from lmeec.files.names import path_component_problem
from lmeec.files.places import is_url
from lmeec.files.remote.place import RemotePath
from lmeec.files.remote.stores import EXTRAS

_LONGEST_OFFSET = 10**6  # seconds, eleven days
_LONGEST_PATH = 4096


def _name(text: str) -> str:
    problem = path_component_problem(text)
    if problem is not None:
        raise ValueError(f"{problem}: results are filed under it, so it has to be the name of one file")
    return text


def _path(text: str) -> str:
    """A path below `root`, or a URL."""
    if not text.strip() or "\0" in text or len(text) > _LONGEST_PATH:
        raise ValueError("the path is empty, very long, or holds a NUL character")
    if is_url(text):
        return _url(text)
    if PurePosixPath(text).is_absolute() or PureWindowsPath(text).drive:
        raise ValueError("is an absolute path: give the folder as `root`, and paths in it")
    if ".." in text.replace("\\", "/").split("/"):
        raise ValueError("leads out of the folder that paths are relative to: give a folder above both as `root`")
    return text


def _url(text: str) -> str:
    if text.partition("://")[0].lower() not in EXTRAS:
        raise ValueError(f"is a URL of a kind that is not read; {', '.join(EXTRAS)} are")
    try:
        RemotePath(text)
    except DataError as error:
        raise ValueError(str(error)) from error
    return text


def _root(text: str) -> str:
    """A folder, wherever it is."""
    return _url(text) if is_url(text) else text


Name: TypeAlias = Annotated[str, AfterValidator(_name)]
PathText: TypeAlias = Annotated[str, AfterValidator(_path)]
Rate: TypeAlias = Annotated[float, Field(ge=0.1, le=1000)]
FrameIndex: TypeAlias = Annotated[int, Field(ge=0, lt=2**31)]
ObjectName: TypeAlias = Annotated[str, Field(min_length=1, max_length=1000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _MasksEntry(_Strict):
    counts_own_frames: ClassVar[bool] = True
    """Whether the file numbers the frames of the video, and not those of the take."""

    are_pictures: ClassVar[bool] = False
    """Whether it is a folder of pictures, and not a file."""

    kind: ClassVar[str]
    """The key that says what it is."""

    @property
    def path(self) -> str:
        """The file or folder, as the manifest names it."""
        named: str = getattr(self, self.kind)
        return named


class CocoMasks(_MasksEntry):
    """Masks in a COCO file, as run lengths or polygons; an object is a category, or a track of one.

    Attributes:
        coco: the JSON file.
        images: only images whose file name begins so, where the file has those of several cameras.
        first_frame: the number that the video's first frame has in the file.
    """

    kind: ClassVar[str] = "coco"

    coco: PathText
    images: str = ""
    first_frame: FrameIndex = 0


class PngMasks(_MasksEntry):
    """Masks as a folder of PNG files that are named by frame number.

    Attributes:
        png: the folder.
        object: the object whose pixels are not black; without it, pixels are indices of objects, as in DAVIS.
        objects: names of the objects by index, or of indices 1, 2, 3 and so on; without it they are named by index.
        first_frame: the number that the video's first frame has in the names.
    """

    are_pictures: ClassVar[bool] = True
    kind: ClassVar[str] = "png"

    png: PathText
    object: ObjectName | None = None
    objects: (
        Annotated[dict[Annotated[int, Field(ge=1, lt=2**16)], ObjectName], Field(min_length=1)]
        | list[ObjectName]
        | None
    ) = None
    first_frame: FrameIndex = 0

    @model_validator(mode="after")
    def _check(self) -> PngMasks:
        if self.object is not None and self.objects is not None:
            raise ValueError("has both `object`, for black and white pictures, and `objects`, for indexed ones")
        names = list(self.by_index.values())
        if len(set(names)) < len(names):
            raise ValueError("two indices of `objects` have the same name")
        return self

    @property
    def by_index(self) -> dict[int, str]:
        """Names of the objects, as far as they are given."""
        named = self.objects or {}
        return dict(enumerate(named, 1)) if isinstance(named, list) else named


class ResultsMasks(_MasksEntry):
    """Masks that were predicted in this camera, as a results table has them; where the object is held to be visible.

    Attributes:
        results: the table.
        query: the query camera that they were predicted from; needed where there were several.
        take: name or uid of the take in the table; that of the manifest if it is left out.
        camera: name of the camera in the table, likewise.
    """

    counts_own_frames: ClassVar[bool] = False
    kind: ClassVar[str] = "results"

    results: PathText
    query: Name | None = None
    take: Name | None = None
    camera: Name | None = None


class RelationsMasks(_MasksEntry):
    """Masks of a relations file of Ego-Exo4D.

    Attributes:
        relations: the file.
        take: name or uid of the take in the file; that of the manifest if it is left out.
        camera: name of the camera in the file, likewise.
    """

    counts_own_frames: ClassVar[bool] = False
    kind: ClassVar[str] = "relations"

    relations: PathText
    take: Name | None = None
    camera: Name | None = None


_KINDS = tuple(masks.kind for masks in (CocoMasks, PngMasks, ResultsMasks, RelationsMasks))


def _kind_of(masks: Any) -> str | None:
    """Which of the kinds it is, as the file has it or as it was understood."""
    keys = masks if isinstance(masks, dict) else getattr(masks, "model_fields_set", ())
    named = [kind for kind in _KINDS if kind in keys]
    return f"<{named[0]}>" if len(named) == 1 else None


Masks: TypeAlias = Annotated[
    Annotated[CocoMasks, Tag("<coco>")]
    | Annotated[PngMasks, Tag("<png>")]
    | Annotated[ResultsMasks, Tag("<results>")]
    | Annotated[RelationsMasks, Tag("<relations>")],
    Discriminator(
        _kind_of,
        custom_error_type="masks",
        custom_error_message="masks are one of " + ", ".join(f"`{kind}: PATH`" for kind in _KINDS),
    ),
]


def _as_list(given: Any) -> Any:
    return [given] if isinstance(given, dict) else given


class CameraEntry(_Strict):
    """A camera of a take.

    Attributes:
        name: its name.
        view: whether the person that acts wears it.
        video: the video file, or a folder of JPEG frames that are named by number.
        offset_frames: frames of the take before its first frame; negative if it started before the take.
        offset_seconds: the same in seconds.
        frame_rate: its frames a second, where the file does not say or is wrong.
        masks: where masks of objects in it are.
    """

    name: Name
    view: View
    video: PathText
    offset_frames: Annotated[int, Field(gt=-(2**31), lt=2**31)] | None = None
    offset_seconds: Annotated[float, Field(ge=-_LONGEST_OFFSET, le=_LONGEST_OFFSET, allow_inf_nan=False)] | None = None
    frame_rate: Rate | None = None
    masks: Annotated[tuple[Masks, ...], BeforeValidator(_as_list)] = ()

    @model_validator(mode="after")
    def _check(self) -> CameraEntry:
        if self.offset_frames is not None and self.offset_seconds is not None:
            raise ValueError("has both `offset_frames` and `offset_seconds`: give one of them")
        return self


Root: TypeAlias = Annotated[str, Field(min_length=1, max_length=_LONGEST_PATH), AfterValidator(_root)]


class TakeEntry(_Strict):
    """A take.

    Attributes:
        name: its name.
        uid: its unique identifier; the name if it is left out.
        scenario: the activity.
        frame_rate: frames a second that frame numbers of the take count.
        root: the folder that its paths are relative to, itself relative to that of the manifest.
        cameras: its cameras.
    """

    name: Name
    uid: Name | None = None
    scenario: str | None = None
    frame_rate: Rate = 30.0
    root: Root | None = None
    cameras: Annotated[tuple[CameraEntry, ...], Field(min_length=1)]

    @property
    def identifier(self) -> str:
        """The uid, or for want of one the name."""
        return self.uid or self.name


class Document(_Strict):
    """A manifest.

    Attributes:
        root: the folder that paths are relative to, a path or URL, itself relative to the manifest's own.
        takes: the takes.
    """

    root: Root | None = None
    takes: Annotated[tuple[TakeEntry, ...], Field(min_length=1)]
