"""Recordings of one scene by cameras of different starts and clocks: real H.264 and AAC in MP4."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

SOUND_RATE = 16_000
SECONDS = 120.0


@cache
def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What is to be heard, at 16 kHz, and how fast things move, at 100 a second."""
    generator = np.random.default_rng(seed)
    heard = 0.01 * generator.standard_normal(round(SECONDS * SOUND_RATE))
    for start in generator.integers(0, len(heard) - 4000, round(SECONDS * 1.5)):
        length = int(generator.integers(400, 3000))
        heard[start : start + length] += generator.standard_normal(length) * np.exp(-np.arange(length) / 300)
    moving = np.full(round(SECONDS * 100), 0.05)
    for start in generator.integers(0, len(moving) - 200, round(SECONDS)):
        moving[start : start + generator.integers(10, 80)] += generator.uniform(0.5, 3)
    return heard, moving


def record(
    path: Path,
    start: float,
    seconds: float,
    *,
    drift: float = 0.0,
    fps: Fraction = Fraction(30),
    sound: bool = True,
    seed: int = 0,
    view: int = 0,
) -> Path:
    """Film the scene.

    Args:
        path: MP4 file to write.
        start: instant of the scene at the first frame, in seconds.
        seconds: how long, by the camera's own clock.
        drift: by how much longer a second of the camera is than one of the scene.
        fps: frames a second, by the camera's own clock.
        sound: whether it has a microphone.
        seed: of the scene.
        view: of the noise, the echo and the picture.
    """
    heard, moving = scene(seed)
    generator = np.random.default_rng(100 + view)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "20"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="mono") if sound else None
        times = start + np.arange(int(seconds * fps)) / float(fps) * (1 + drift)
        way = np.interp(times, np.arange(len(moving)) / 100, np.cumsum(moving) / 4)
        texture = generator.integers(0, 255, (64, 2048), np.uint8)
        texture = np.repeat(texture[::8, ::8], 8, 0).repeat(8, 1)
        for place in way:
            left = int(place * 8) % (texture.shape[1] - 96)
            picture = texture[:, left : left + 96]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[..., None].repeat(3, 2)), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            own = np.arange(int(seconds * SOUND_RATE)) / SOUND_RATE
            samples = np.interp((start + own * (1 + drift)) * SOUND_RATE, np.arange(len(heard)), heard)
            echo = int(0.011 * (view + 1) * SOUND_RATE)
            samples[echo:] += 0.4 * samples[:-echo]
            samples += 0.01 * generator.standard_normal(len(samples))
            block = np.clip(samples, -1, 1).astype(np.float32)[None]
            for first in range(0, block.shape[1], 1024):
                piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(block[:, first : first + 1024]), "fltp", "mono")
                piece.sample_rate, piece.pts = SOUND_RATE, first
                container.mux(audio.encode(piece))
            container.mux(audio.encode())
    return path
