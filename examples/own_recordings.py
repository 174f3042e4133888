"""Make recordings of which nothing says that they are Ego-Exo4D, to try what your own ones will need.

    lmeec synth takes/ --takes 2
    python examples/own_recordings.py takes/ recordings/

Two takes get names, folders and cameras of their own; the second camera starts 0.4 s late, and the third films at
another rate and is held upright. Masks of the head camera become pictures in the first take, and COCO's JSON in the
second.
"""

import json
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from lmeec.data.take import Camera
from lmeec.data.takes import find_takes
from lmeec.data.tracks import MaskTrack
from lmeec.video.encoding import video_writer

source, target = Path(sys.argv[1]), Path(sys.argv[2])
TAKES = ("breakfast", "second try")
CAMERAS = ("head", "side", "window")
LATE_S = Fraction(2, 5)


def record(camera: Camera, file: Path, late: Fraction = Fraction(0), slower: int = 1, *, turned: bool = False) -> None:
    """Encode what a camera saw anew: from some instant on, some of its frames, as they are or upright."""
    with camera.open() as video:
        first = round(late * camera.frame_rate)
        size = (video.width, video.height) if turned else (video.height, video.width)
        with video_writer(file, size, camera.frame_rate / slower) as add:
            for _, frame in video.read(range(first, video.num_frames, slower)):
                add(np.ascontiguousarray(np.rot90(frame)) if turned else frame)


def write_pictures(tracks: list[MaskTrack], folder: Path) -> None:
    """Write a PNG file a frame and object, white where the object is."""
    for track in tracks:
        (folder / track.object).mkdir(parents=True)
        for frame in track.known_frames:
            mask = track.mask(frame)
            pixels = np.zeros(track.size, bool) if mask is None else mask.decode()
            Image.fromarray(pixels.astype(np.uint8) * 255).save(folder / track.object / f"frame_{frame:05d}.png")


def write_coco(tracks: list[MaskTrack], file: Path) -> None:
    """Write run lengths of all objects, by frame."""
    height, width = next(track.size for track in tracks if track.size)
    frames = sorted({frame for track in tracks for frame in track.known_frames})
    annotations = [
        {
            "image_id": frame,
            "category_id": number,
            "segmentation": {"size": [mask.height, mask.width], "counts": mask.counts},
        }
        for number, track in enumerate(tracks, 1)
        for frame in track.frames
        if (mask := track.mask(frame)) is not None
    ]
    document = {
        "images": [
            {"id": frame, "file_name": f"{frame:05d}.jpg", "height": height, "width": width} for frame in frames
        ],
        "annotations": [{"id": number, **one} for number, one in enumerate(annotations, 1)],
        "categories": [{"id": number, "name": track.object} for number, track in enumerate(tracks, 1)],
    }
    file.write_text(json.dumps(document))


shutil.rmtree(target, ignore_errors=True)
for number, (name, take) in enumerate(zip(TAKES, find_takes(source), strict=False)):
    folder = target / name
    folder.mkdir(parents=True)
    cameras = sorted(take.cameras.values(), key=lambda camera: camera.view)  # ego comes first
    for own, camera in zip(CAMERAS, cameras, strict=False):
        late = LATE_S if own == "side" else Fraction(0)
        record(camera, folder / f"{own}.mp4", late, 2 if own == "window" else 1, turned=own == "window")
    tracks = [track for (_, camera), track in take.tracks.items() if camera == cameras[0].name and track.frames]
    if number == 0:
        write_pictures(tracks, folder / "masks" / CAMERAS[0])
    else:
        write_coco(tracks, folder / f"{CAMERAS[0]}.json")
    print(folder)
