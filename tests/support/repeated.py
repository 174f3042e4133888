"""Takes that last several times as long and ask for the same work at every instant."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from pathlib import Path


def repeat_takes(source: Path, target: Path, times: int) -> Path:
    """Write rendered takes anew with videos and masks repeated: as many tracks, as many of them at once.

    Packets are copied, not encoded, so that a long take costs little.

    Args:
        source: takes in the release layout, as `lmeec synth` renders them.
        target: folder to write.
        times: how often each instant comes.
    """
    target.mkdir()
    (target / "annotations").mkdir()
    takes = json.loads((source / "takes.json").read_text())
    (relations,) = (source / "annotations").glob("relations_*.json")
    document = json.loads(relations.read_text())
    for take in takes:
        frames = round(take["duration_sec"] * take["frame_rate"])
        for cameras in document["annotations"][take["take_uid"]]["object_masks"].values():
            for masks in cameras.values():
                _repeat_masks(masks, times, frames)
        for video in (source / take["root_dir"] / "frame_aligned_videos").iterdir():
            there = target / video.relative_to(source)
            there.parent.mkdir(parents=True, exist_ok=True)
            _repeat_video(video, there, times, Fraction(frames) / Fraction(take["frame_rate"]))
        take["duration_sec"] *= times
    (target / "annotations" / relations.name).write_text(json.dumps(document))
    (target / "takes.json").write_text(json.dumps(takes))
    return target


def _repeat_masks(masks: dict, times: int, frames: int) -> None:
    encoded = masks["annotation"].items()
    masks["annotation"] = {str(int(frame) + frames * turn): mask for turn in range(times) for frame, mask in encoded}
    masks["annotated_frames"] = [f + frames * turn for turn in range(times) for f in masks["annotated_frames"]]


def _repeat_video(source: Path, target: Path, times: int, seconds: Fraction) -> None:
    with av.open(str(target), "w") as output:
        stream = None
        for turn in range(times):
            with av.open(str(source)) as container:
                if stream is None:
                    stream = output.add_stream_from_template(container.streams.video[0])
                later = turn * int(seconds / container.streams.video[0].time_base)
                for packet in container.demux(video=0):
                    if packet.size:
                        packet.pts, packet.dts, packet.stream = packet.pts + later, packet.dts + later, stream
                        output.mux(packet)
