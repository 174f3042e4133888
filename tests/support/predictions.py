"""Results tables as a fair model would give over the synthetic takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lmeec.data.takes import find_takes
from lmeec.masks import RunLengthMask, evaluation_size, resize_nearest
from lmeec.tables import ResultRow
from tests.support.rows import write_results

if TYPE_CHECKING:
    from pathlib import Path


def predict_fairly(root: Path, out: Path, *, shift: int = 4, ground_truth: bool = True, **names: str) -> Path:
    """A table of both directions whose predictions are the ground truth, moved a bit more at every step."""
    rows: list[ResultRow] = []
    for take in find_takes(root):
        for (name, query), masks in take.tracks.items():
            for (other, target), truth in take.tracks.items():
                is_ego = take.cameras[query].is_ego
                if other == name and take.cameras[target].is_ego != is_ego and truth.size:
                    for step, frame in enumerate(masks.frames):
                        gt = truth.mask(frame)
                        size = evaluation_size(*truth.size)
                        small = None if gt is None else resize_nearest(gt, size)
                        pixels = np.zeros(size, dtype=bool) if small is None else small.decode()
                        state = "visible" if small else "absent" if frame in truth.annotated_frames else "unannotated"
                        rows.append(
                            ResultRow(
                                take_uid=take.uid,
                                take_name=take.name,
                                scenario=take.scenario,
                                object=name,
                                query_cam=query,
                                target_cam=target,
                                direction="ego2exo" if is_ego else "exo2ego",
                                frame=frame,
                                step=step,
                                mask=RunLengthMask.encode(np.roll(pixels, shift * step, axis=1)),
                                object_score=2.0 - step if small else -1.0,
                                predicted_iou=0.5,
                                gt_state=state if ground_truth else "unannotated",
                                gt=small if ground_truth else None,
                            )
                        )
    return write_results(out, [replace(row, **names) for row in rows])
