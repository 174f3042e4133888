"""Both scoring protocols a second time, in plain arrays and loops: the benchmark's and the paper's own.

Written from the definitions of the metrics and of the file formats alone, before its author had seen the package's
code, and it imports nothing of the package: where the two disagree, one of them has misread the definitions. It is
slow on purpose: whole arrays, one frame after the other, no caches. Sums over frames are exact (`math.fsum`).

What is open in the definitions, and was chosen here:

- A `null` mask is as if its key were not there for the query view (the frame is no frame of the track), and makes
  the target's frame unannotated, also where annotators looked at it: what they saw is not known.
- Emptiness of a truth mask in the paper's protocol is judged at 480x480, where it is compared: a mask that vanishes
  in resizing cannot be found by anyone.
- In the paper's protocol every prediction counts that is there, also on target cameras where the object is not
  annotated at all; what could not be predicted had no JPEG (or no query mask), and does not exist for it.
- A mean over no frames is None. Balanced accuracy is the mean of the recalls of the classes that occur.
"""

import json
import math
from pathlib import Path
from typing import NamedTuple

import cv2
import lzstring
import numpy as np
from pycocotools import mask as coco

LONG_SIDE = 480
DIRECTIONS = ("ego2exo", "exo2ego")


class View(NamedTuple):
    """What is known of one object on one camera."""

    masks: dict  # frame -> bool [H, W], or None for a mask that is null: the keys, empty masks among them
    annotated: set | None  # frames that annotators looked at; None where the file does not say


class Key(NamedTuple):
    """What one prediction is of."""

    take: str
    object: str
    query_cam: str
    target_cam: str
    frame: int


class Scores(NamedTuple):
    """The four numbers of one direction, and over how many frames they are."""

    iou: float | None  # 0 to 1, over visible frames, as the next two
    location_error: float | None
    contour_accuracy: float | None
    balanced_accuracy: float | None  # 0 to 1, over visible and absent frames
    visible: int
    absent: int
    missing: int  # of those, how many frames had no prediction


# ---- reading -------------------------------------------------------------------------------------------------------


def read_relations(path):
    """Of a relations file: take uid -> object -> camera -> View."""
    return relations_views(json.loads(Path(path).read_text()))


def relations_views(document):
    """The same, of the parsed file."""
    takes = {}
    for uid, take in document["annotations"].items():
        takes[uid] = {}
        for name, cameras in take["object_masks"].items():
            takes[uid][name] = {}
            for camera, entry in cameras.items():
                masks = {int(frame): _relations_mask(mask) for frame, mask in entry["annotation"].items()}
                takes[uid][name][camera] = View(masks, set(entry["annotated_frames"]))
    return takes


def processed_views(documents):
    """The same, of {take uid: parsed annotation.json} of the processed layout."""
    takes = {}
    for uid, document in documents.items():
        takes[uid] = {}
        for name, cameras in document["masks"].items():
            takes[uid][name] = {}
            for camera, entry in cameras.items():
                masks = {int(frame): None if rle is None else decode(rle) for frame, rle in entry.items()}
                takes[uid][name][camera] = View(masks, None)
    return takes


def _relations_mask(entry):
    if entry is None or entry["encodedMask"] is None:
        return None
    counts = lzstring.LZString().decompressFromEncodedURIComponent(entry["encodedMask"])
    return decode({"size": [entry["height"], entry["width"]], "counts": counts})


def decode(rle):
    """bool [H, W] of a COCO mask with compressed counts."""
    return coco.decode({"size": list(rle["size"]), "counts": rle["counts"].encode()}).astype(bool)


# ---- one frame -----------------------------------------------------------------------------------------------------


def evaluation_size(height, width):
    """The longer side becomes 480, the other in proportion, cut to a whole number."""
    longer = max(height, width)
    return int(height * LONG_SIDE / longer), int(width * LONG_SIDE / longer)


def resized(mask, height, width):
    """A mask at another size, by the nearest pixel as OpenCV has it."""
    return cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0


def iou(prediction, truth):
    """Common pixels over all pixels of either; 1 for two empty masks."""
    union = np.count_nonzero(prediction | truth)
    if union == 0:
        return 1.0
    return np.count_nonzero(prediction & truth) / (union + 1e-7)


def centre(mask):
    """(x, y) of the middle of a mask's box, in whole pixels; (H // 2, W // 2) for an empty mask."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return height // 2, width // 2
    return int(columns.min() + columns.max()) // 2, int(rows.min() + rows.max()) // 2


def location_error(prediction, truth):
    """How far the centres are apart, in diagonals of 480x480."""
    (x, y), (true_x, true_y) = centre(prediction), centre(truth)
    return math.sqrt((x - true_x) ** 2 + (y - true_y) ** 2) / math.sqrt(LONG_SIDE**2 + LONG_SIDE**2)


def boundary(mask):
    """Pixels that differ from their neighbour to the right, below, or below to the right, where these exist."""
    line = np.zeros_like(mask)
    line[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    line[:-1, :] |= mask[:-1, :] != mask[1:, :]
    line[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return line


def near(line, distance):
    """Pixels that have one of `line` within `distance`."""
    height, width = line.shape
    found = np.zeros_like(line)
    rows, columns = np.nonzero(line)
    for dy in range(-distance, distance + 1):
        for dx in range(-distance, distance + 1):
            if dy * dy + dx * dx <= distance * distance:
                y, x = rows + dy, columns + dx
                inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
                found[y[inside], x[inside]] = True
    return found


def contour_accuracy(prediction, truth):
    """F measure of the boundaries, each pixel of one found where the other is within 0.008 diagonals."""
    height, width = truth.shape
    distance = math.ceil(0.008 * math.sqrt(height * height + width * width))
    lines, true_lines = boundary(prediction), boundary(truth)
    count, true_count = np.count_nonzero(lines), np.count_nonzero(true_lines)
    if count == 0 and true_count == 0:
        return 1.0
    if count == 0 or true_count == 0:
        return 0.0
    precision = np.count_nonzero(lines & near(true_lines, distance)) / count
    recall = np.count_nonzero(true_lines & near(lines, distance)) / true_count
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


# ---- many frames ---------------------------------------------------------------------------------------------------


def is_ego(camera):
    return camera.startswith("aria")


def direction_of(query_cam):
    return "ego2exo" if is_ego(query_cam) else "exo2ego"


def benchmark_frames(views, direction, takes):
    """Key -> truth mask, or None where the object was not to be seen: the frames that count.

    Those of K(query) and A(target), for every query and target camera on which the object is annotated, of the takes
    that are on disk. Where the file has no A, those of K(query) and K(target).
    """
    frames = {}
    for take in takes:
        for name, cameras in views.get(take, {}).items():
            for query_cam, query in cameras.items():
                for target_cam, target in cameras.items():
                    if is_ego(query_cam) == is_ego(target_cam) or direction_of(query_cam) != direction:
                        continue
                    looked_at = set(target.masks) if target.annotated is None else target.annotated
                    for frame, query_mask in query.masks.items():
                        null = frame in target.masks and target.masks[frame] is None
                        if query_mask is not None and frame in looked_at and not null:
                            frames[Key(take, name, query_cam, target_cam, frame)] = target.masks.get(frame)
    return frames


def benchmark(views, predictions, direction, takes, *, skip_missing=False):
    """Scores by the benchmark's protocol.

    Args:
        views: what the readers above return.
        predictions: Key (or a tuple like one) -> (bool mask at evaluation size or None, confidence). No entry, or None:
            there was no prediction. It counts as an empty mask that is predicted absent.
        direction: `ego2exo` or `exo2ego`.
        takes: uids of the takes that are on disk.
        skip_missing: leave out frames without a prediction.
    """
    quality, calls, missing = [], [], 0
    for key, truth in benchmark_frames(views, direction, takes).items():
        mask, confidence = predictions.get(tuple(key), (None, 0.0))
        if mask is None:
            if skip_missing:
                continue
            missing += 1
            confidence = 0.0
        calls.append((confidence > 0.5, truth is not None))
        if truth is not None:
            truth = resized(truth, *evaluation_size(*truth.shape))  # noqa: PLW2901
            quality.append((np.zeros_like(truth) if mask is None else mask, truth))
    return _scores(quality, calls, missing)


def paper(views, predictions, direction):
    """Scores by the paper's own protocol, of predictions at 480x480.

    Frames are the predicted ones that are multiples of 30. `visible` is a truth mask that has a pixel at 480x480, all
    else `absent`, whether annotators looked or not; predicted visible is an area over 0.1% of the frame. The
    confidence is not asked for.
    """
    quality, calls = [], []
    for key, (mask, _confidence) in predictions.items():
        take, name, query_cam, target_cam, frame = key
        if mask is None or frame % 30 != 0 or direction_of(query_cam) != direction:
            continue
        view = views[take][name].get(target_cam)
        truth = None if view is None else view.masks.get(frame)
        if truth is not None:
            truth = resized(truth, LONG_SIDE, LONG_SIDE)
        visible = truth is not None and bool(truth.any())
        calls.append((np.count_nonzero(mask) > 0.001 * LONG_SIDE * LONG_SIDE, visible))
        if visible:
            quality.append((mask, truth))
    return _scores(quality, calls, 0)


def _scores(quality, calls, missing):
    for mask, truth in quality:
        if mask.shape != truth.shape:
            raise ValueError(f"a prediction of {mask.shape} and its truth of {truth.shape}")
    visible = [predicted for predicted, seen in calls if seen]
    absent = [predicted for predicted, seen in calls if not seen]
    recalls = []
    if visible:
        recalls.append(sum(visible) / len(visible))
    if absent:
        recalls.append((len(absent) - sum(absent)) / len(absent))
    return Scores(
        iou=_mean([iou(mask, truth) for mask, truth in quality]),
        location_error=_mean([location_error(mask, truth) for mask, truth in quality]),
        contour_accuracy=_mean([contour_accuracy(mask, truth) for mask, truth in quality]),
        balanced_accuracy=_mean(recalls),
        visible=len(visible),
        absent=len(absent),
        missing=missing,
    )


def _mean(values):
    return math.fsum(values) / len(values) if values else None
