"""Masks whose edges are drawn again by colours, beside a plain version of every step but GrabCut itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pyarrow as pa
import pytest

import lmeec
from lmeec.inference.refine import refined, window_around
from lmeec.masks import RunLengthMask
from lmeec.video.frames import detail_size

FRAME, SIZE = (224, 398), (270, 480)


def scene(seed, radius, centre=(120, 150)):
    """A green disc on brown ground, both with noise, and logits of a blurred, larger disc; where the disc is."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(FRAME)
    truth = np.hypot(rows - centre[0], columns - centre[1]) < radius
    frame = np.where(truth[..., None], (60, 160, 70), (130, 100, 60)) + rng.normal(0, 9, (*FRAME, 3))
    y, x = (np.indices((96, 96)) + 0.5) * np.reshape(FRAME, (2, 1, 1)) / 96
    logits = (1.5 * radius - np.hypot(y - centre[0] - 2, x - centre[1] + 3)) / 4 + rng.normal(0, 0.3, (96, 96))
    return logits.astype(np.float32), frame.clip(0, 255).astype(np.uint8), truth


def at_size(mask, size=SIZE):
    return cv2.resize(mask.view(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST).view(bool)


def iou(one, other):
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


@pytest.mark.parametrize("radius", [6, 25, 70])
def test_an_edge_is_put_where_the_colours_change(radius):
    logits, frame, truth = scene(1, radius)
    first = at_size(cv2.resize(logits, FRAME[::-1], interpolation=cv2.INTER_LINEAR) > 0)
    again = refined(logits, frame, SIZE)
    assert again is not None
    assert iou(first, at_size(truth)) < 0.6
    assert iou(again, at_size(truth)) > (0.65 if radius < 10 else 0.95)


def test_a_mask_is_kept_where_colours_cannot_tell():
    _, frame, truth = scene(2, 25)
    assert refined(np.full((96, 96), -1024, np.float32), frame, SIZE) is None, "absent"
    assert refined(np.full((96, 96), 5, np.float32), frame, SIZE) is None, "nothing outside"
    around = np.full((96, 96), -1, np.float32)
    around[31:71, 22:52] = 1
    around[cv2.resize(truth.view(np.uint8), (96, 96)) > 0] = 2
    assert refined(around, frame, SIZE) is None, "another story: the disc is a small part of the mask"


def test_it_depends_on_nothing_that_came_before_nor_on_the_thread():
    arguments = [scene(seed, radius)[:2] for seed, radius in ((3, 12), (4, 30), (5, 50))]
    alone = [refined(*one, SIZE) for one in arguments]
    cv2.setRNGSeed(7)
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda one: refined(*one, SIZE), arguments[::-1] * 4))
    for found, wanted in zip(together, alone[::-1] * 4, strict=True):
        assert (found == wanted).all()


def overlaps(count, length):
    """Weights of `length` pixels in `count` pixels of the same extent."""
    edges, pixels = np.arange(count + 1) * length / count, np.arange(length)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return shared.clip(0) * count / length


def between(grid, y, x):
    """The grid's value at a place, by bilinear interpolation."""
    y, x = (min(max(at, 0), side - 1) for at, side in zip((y, x), grid.shape, strict=True))
    top, left = int(y), int(x)
    bottom, right = min(top + 1, grid.shape[0] - 1), min(left + 1, grid.shape[1] - 1)
    upper = grid[top, left] * (1 - (x - left)) + grid[top, right] * (x - left)
    lower = grid[bottom, left] * (1 - (x - left)) + grid[bottom, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


def naively_refined(logits, frame, size):
    height, width = frame.shape[:2]
    cells = np.argwhere(logits > 0)
    (top, left), (bottom, right) = cells.min(0) / 96 * FRAME, (cells.max(0) + 1) / 96 * FRAME
    side = max(1.5 * max(bottom - top, right - left), 0.06 * max(height, width))
    middle_y, middle_x = (top + bottom) / 2, (left + right) / 2
    top, bottom = max(round(middle_y - side / 2), 0), min(round(middle_y + side / 2), height)
    left, right = max(round(middle_x - side / 2), 0), min(round(middle_x + side / 2), width)
    part = frame[top:bottom, left:right].astype(float)
    longer = max(part.shape[:2])
    rows, columns = (round(length * 96 / longer) for length in part.shape[:2])
    if longer > 96:
        weights = overlaps(rows, len(part)), overlaps(columns, part.shape[1])
        image = np.einsum("ij,jkc,lk->ilc", weights[0], part, weights[1])
    else:
        image = np.array(
            [
                [
                    [
                        between(
                            part[..., c], (i + 0.5) * len(part) / rows - 0.5, (j + 0.5) * part.shape[1] / columns - 0.5
                        )
                        for c in range(3)
                    ]
                    for j in range(columns)
                ]
                for i in range(rows)
            ]
        )
    near = np.array(
        [
            [
                between(
                    logits,
                    (top + (i + 0.5) * len(part) / rows) * 96 / height - 0.5,
                    (left + (j + 0.5) * part.shape[1] / columns) * 96 / width - 0.5,
                )
                for j in range(columns)
            ]
            for i in range(rows)
        ]
    )
    inside = near > 0
    seeds = np.where(inside, 3, 2).astype(np.uint8)
    seeds[near > np.quantile(near[inside], 0.7)] = 1
    seeds[cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3) > 6] = 0
    cv2.setRNGSeed(0)
    colours = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(image.round().astype(np.uint8), seeds, None, *colours, 1, cv2.GC_INIT_WITH_MASK)
    found = np.isin(seeds, (1, 3)).astype(float)
    whole = np.zeros(size, bool)
    for y in range(size[0]):
        for x in range(size[1]):
            at_y, at_x = (y + 0.5) * height / size[0], (x + 0.5) * width / size[1]
            if top <= at_y < bottom and left <= at_x < right:
                value = between(
                    found,
                    (at_y - top) / (bottom - top) * rows - 0.5,
                    (at_x - left) / (right - left) * columns - 0.5,
                )
                whole[y, x] = value > 0.5
    return whole


@pytest.mark.parametrize(("radius", "centre"), [(9, (120, 150)), (40, (40, 380)), (60, (180, 200))])
def test_a_plain_version_finds_the_same_mask(radius, centre):
    logits, frame, _ = scene(6, radius, centre)
    found, wanted = refined(logits, frame, SIZE), naively_refined(logits, frame, SIZE)
    assert iou(found, wanted) > 0.99  # means of pixels round otherwise here and there


def test_the_window_stays_within_the_frame_and_holds_the_mask():
    logits = np.full((96, 96), -1, np.float32)
    logits[90:, :3] = 1
    assert window_around(logits, 224, 398) == (0, 205, 18, 224)
    assert window_around(logits, 1, 1) == (0, 0, 1, 1)


@pytest.mark.parametrize("direction", ["ego2exo", "exo2ego"])
def test_predictions_differ_in_their_masks_alone_and_not_with_the_batch(tiny, rendered_takes, direction, monkeypatch):
    model = lmeec.load_model(tiny, device="cpu")
    take = next(iter(lmeec.find_takes(rendered_takes.root)))
    seen = []

    def kept(logits, frame, size):
        found = refined(logits, frame, size)
        seen.append((frame.shape[:2], size, found))
        return found

    monkeypatch.setattr("lmeec.inference.predictor.refined", kept)

    def predicted(refine, batch):
        config, execution = lmeec.PredictConfig(refine=refine), lmeec.ExecutionConfig(batch_tracks=batch)
        return pa.Table.from_batches(lmeec.predict_take(model, take, direction, config, execution))

    plain, sharp = predicted("none", 8), predicted("colours", 8)
    assert len(seen) == len(sharp) == len(plain)
    rows = sharp.to_pylist()
    for (frame, size, found), row, before in zip(seen, rows, plain.to_pylist(), strict=True):
        camera = take.cameras[row["target_cam"]]
        with camera.open() as video:
            assert frame == detail_size(video.height, video.width, 960)
        assert size == (row["height"], row["width"])
        wanted = before["mask_rle"] if found is None else RunLengthMask.encode(found).counts
        assert row["mask_rle"] == wanted
    same = [name for name in plain.schema.names if not name.startswith(("mask", "area", "bbox"))]
    same = [name for name in same if name not in ("iou", "location_error", "contour_accuracy")]
    assert sharp.select(same).equals(plain.select(same))
    order = [("object", "ascending"), ("query_cam", "ascending"), ("target_cam", "ascending"), ("frame", "ascending")]
    alone = predicted("colours", 1).sort_by(order)
    assert alone["mask_rle"].equals(sharp.sort_by(order)["mask_rle"])


def test_edges_are_drawn_again_backwards_too(tiny, rendered_takes):
    """Each frame is drawn by its own picture: masks that both ways of going have alike stay alike."""
    model = lmeec.load_model(tiny, device="cpu")
    take = next(iter(lmeec.find_takes(rendered_takes.root)))

    def predicted(refine):
        config = lmeec.PredictConfig(refine=refine, reverse=True)
        return pa.Table.from_batches(lmeec.predict_take(model, take, "exo2ego", config, lmeec.ExecutionConfig()))

    plain, sharp = predicted("none").to_pylist(), predicted("colours").to_pylist()
    changed = 0
    for before, after in zip(plain, sharp, strict=True):
        camera = take.cameras[after["target_cam"]]
        with camera.open() as video:
            ((_, frame),) = video.read_detailed([after["frame"]], 960)
        assert before["predicted_iou"] == after["predicted_iou"]
        old, new = (RunLengthMask(one["height"], one["width"], one["mask_rle"]).decode() for one in (before, after))
        changed += (old != new).any()
        assert frame.detail.shape[:2] == detail_size(video.height, video.width, 960)
    assert changed
