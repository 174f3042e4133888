"""A take whose query masks are carried through their view, from the few frames that have them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lmeec.data.tracks import EncodedMask, as_written
from lmeec.files.names import show
from lmeec.inference.outputs import mask_at
from lmeec.inference.plan import camera_pairs
from lmeec.inference.predictor import naming_the_camera
from lmeec.inference.propagation import Propagation
from lmeec.masks import RunLengthMask
from lmeec.model.query_masks import query_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from sam2.modeling.sam2_base import SAM2Base

    from lmeec.config import Direction
    from lmeec.data.take import Take
    from lmeec.data.tracks import MaskTrack
    from lmeec.video.frames import FrameReader


def with_carried_masks(
    take: Take, direction: Direction, model: SAM2Base, every: int = 1, objects: Sequence[str] = ()
) -> tuple[Take, tuple[str, ...]]:
    """Carry masks of the query views to the frames that lack them.

    SAM 2 sees the frames whose numbers are multiples of `every`, and those that have a mask, from the first of these
    on; an object is followed from its own first mask to the end of the video. Masks that were given stay as they are,
    and carried ones are no ground truth. They are at the size of those given, as run lengths: some hundred bytes each.

    Args:
        take: the take.
        direction: which views are queries.
        model: SAM 2.
        every: see above.
        objects: only these objects; empty means all.

    Returns:
        The take, and what was carried, in words.

    Raises:
        CameraError: a frame cannot be decoded.
        DataError: a mask cannot be used.
    """
    tracks = dict(take.tracks)
    said = []
    queries = {masks.camera for masks, _ in camera_pairs(take, direction, objects)}
    for camera in sorted(queries):
        source = take.cameras[camera]
        own = [
            track
            for (name, place), track in take.tracks.items()
            if place == camera and track.frames and (not objects or name in objects)
        ]
        if source.source is None or not own:
            continue
        side = model.image_size
        with naming_the_camera(camera), source.open((side, side)) as video:
            carried = _carried(own, video, model, every)
        tracks |= {(track.object, camera): track for track in carried}
        before, after = (sum(len(track.frames) for track in some) for some in (own, carried))
        if after > before:
            said.append(
                f"take {show(take.name)}, camera {show(camera)}: {before} masks were carried to {after - before} more "
                "frames by SAM 2"
            )
    return replace(take, tracks=tracks), tuple(said)


def _carried(tracks: Sequence[MaskTrack], video: FrameReader, model: SAM2Base, every: int) -> list[MaskTrack]:
    given = [_given(track, video, model.image_size) for track in tracks]
    there = [number for number, masks in enumerate(given) if masks]
    if not there:
        return list(tracks)
    first = min(min(masks) for masks in given if masks)
    wanted = {frame for frame in range(first, video.num_frames) if frame % every == 0 and video.has_frame(frame)}
    frames = sorted(wanted | {frame for masks in given for frame in masks})
    places = {frame: place for place, frame in enumerate(frames)}
    propagation = Propagation(
        model, [{places[frame]: mask for frame, mask in given[number].items()} for number in there], len(frames)
    )

    def read(some: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        return ((places[frame], image) for frame, image in video.read(some))

    propagation.look_at_given(read([frames[place] for place in propagation.given_places]))
    found: list[dict[int, EncodedMask]] = [{} for _ in tracks]
    for mask in propagation.carry(read(frames)):
        number = there[mask.object]
        size = tracks[number].size
        frame = frames[mask.place]
        if size is None or frame in tracks[number].encoded:  # an empty mask that was given stays
            continue
        encoded = RunLengthMask.encode(mask_at(mask.logits.numpy(), size))
        if encoded.area:
            found[number][frame] = EncodedMask(*size, encoded.counts)
    return [_joined(track, masks) for track, masks in zip(tracks, found, strict=True)]


def _given(track: MaskTrack, video: FrameReader, size: int) -> dict[int, torch.Tensor]:
    """The masks that are not empty, at the model's size."""
    masks = {frame: track.mask(frame) for frame in track.frames if video.has_frame(frame)}
    return {frame: query_mask(mask, size) for frame, mask in masks.items() if mask is not None and mask.area}


def _joined(track: MaskTrack, carried: dict[int, EncodedMask]) -> MaskTrack:
    """Given and carried masks; frames that were not annotated before are not now."""
    if not carried:
        return track
    given = {
        frame: EncodedMask(mask.height, mask.width, mask.counts)
        for frame in track.frames
        if (mask := track.mask(frame)) is not None
    }
    annotated = track.frames if track.annotated_frames is None else track.annotated_frames
    return replace(
        track, annotated_frames=annotated, encoded=dict(sorted((given | carried).items())), read_counts=as_written
    )
