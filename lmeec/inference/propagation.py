"""Masks of a few frames carried through one video by SAM 2, a frame at a time.

SAM 2's own predictor holds all frames of a video, and what it computed at each. Here frames are read as they come, and
of what was computed those entries are kept that later frames attend to: the given masks, and the latest frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray
    from sam2.modeling.sam2_base import SAM2Base

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class CarriedMask(NamedTuple):
    """A mask that was carried to a frame.

    Attributes:
        object: number of the object.
        place: place of the frame in the sequence.
        logits: float32 [s, s], s a quarter of the image size; the object is where they are positive.
    """

    object: int
    place: int
    logits: Tensor


class _Features(NamedTuple):
    vision: list[Tensor]
    positions: list[Tensor]
    sizes: list[tuple[int, int]]


@dataclass
class _Object:
    """What is remembered of an object: as SAM 2 has it, by place in the sequence."""

    given: Mapping[int, Tensor]
    outputs: dict[str, dict[int, Any]] = field(
        default_factory=lambda: {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    )

    @property
    def first(self) -> int:
        return min(self.given)


class Propagation:
    """Carries masks of several objects through a sequence of frames; each object by itself.

    Args:
        model: SAM 2.
        objects: for each object its masks by place in the sequence, bool [S, S]; none of them is empty.
        length: how many frames the sequence has.
    """

    def __init__(self, model: SAM2Base, objects: Iterable[Mapping[int, Tensor]], length: int) -> None:
        self._model = model
        self._objects = [_Object(given) for given in objects]
        self._length = length
        self._reach = max(model.num_maskmem, model.max_obj_ptrs_in_encoder)
        self._mean = torch.tensor(_MEAN, device=model.device).view(1, 3, 1, 1)
        self._std = torch.tensor(_STD, device=model.device).view(1, 3, 1, 1)

    @property
    def given_places(self) -> list[int]:
        """Places of the frames that have a mask, which are looked at first."""
        return sorted({place for one in self._objects for place in one.given})

    def look_at_given(self, frames: Iterable[tuple[int, NDArray[Any] | Tensor]]) -> None:
        """Remember the given masks.

        Args:
            frames: those of `given_places`, each with its place; uint8 RGB [S, S, 3].
        """
        with self._computing():
            for place, frame in frames:
                features = self._encode(frame)
                for one in self._objects:
                    if place in one.given:
                        one.outputs["cond_frame_outputs"][place] = self._given(features, one, place)

    def carry(self, frames: Iterable[tuple[int, NDArray[Any] | Tensor]]) -> Iterator[CarriedMask]:
        """Carry the masks on, each object from its first given mask to the end.

        Args:
            frames: all of the sequence from the first of `given_places` on, each with its place; as in `look_at_given`.

        Yields:
            A mask for each object and frame after its first mask that has none.
        """
        for place, frame in frames:
            with self._computing():
                following = [n for n, one in enumerate(self._objects) if one.first < place and place not in one.given]
                features = self._encode(frame) if following else None
                found = []
                for number in following:
                    assert features is not None
                    found.append(CarriedMask(number, place, self._follow(features, self._objects[number], place)))
            yield from found

    def _computing(self) -> Any:
        return _Both(torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, self._model.device.type == "cuda"))

    def _encode(self, frame: NDArray[Any] | Tensor) -> _Features:
        image = torch.as_tensor(frame).to(self._model.device).permute(2, 0, 1)[None].float() / 255
        encoded = self._model.forward_image((image - self._mean) / self._std)
        _, vision, positions, sizes = self._model._prepare_backbone_features(encoded)
        return _Features(vision, positions, sizes)

    def _given(self, features: _Features, one: _Object, place: int) -> dict[str, Any]:
        """As SAM 2 keeps a frame with a mask: its memory is made of the mask at a quarter of the size, enlarged."""
        mask = one.given[place].to(self._model.device)[None, None].float()
        output = self._step(features, one, place, mask)
        high = F.interpolate(
            output["pred_masks"].float(), (self._model.image_size,) * 2, mode="bilinear", align_corners=False
        )
        memory, positions = self._model._encode_new_memory(
            current_vision_feats=features.vision,
            feat_sizes=features.sizes,
            pred_masks_high_res=high,
            object_score_logits=output["object_score_logits"],
            is_mask_from_pts=True,
        )
        return _kept(output) | {"maskmem_features": memory.to(torch.bfloat16), "maskmem_pos_enc": positions}

    def _follow(self, features: _Features, one: _Object, place: int) -> Tensor:
        latest = one.outputs["non_cond_frame_outputs"]
        output = self._step(features, one, place, None)
        latest[place] = _kept(output) | {
            "maskmem_features": output["maskmem_features"].to(torch.bfloat16),
            "maskmem_pos_enc": output["maskmem_pos_enc"],
        }
        latest.pop(place - self._reach, None)
        logits: Tensor = output["pred_masks"][0, 0].float().cpu()
        return logits

    def _step(self, features: _Features, one: _Object, place: int, mask: Tensor | None) -> dict[str, Any]:
        output: dict[str, Any] = self._model.track_step(
            frame_idx=place,
            is_init_cond_frame=mask is not None,
            current_vision_feats=features.vision,
            current_vision_pos_embeds=features.positions,
            feat_sizes=features.sizes,
            point_inputs=None,
            mask_inputs=mask,
            output_dict=one.outputs,
            num_frames=self._length,
            run_mem_encoder=mask is None,
        )
        return output


class _Both:
    """Two contexts as one."""

    def __init__(self, first: Any, second: Any) -> None:
        self._contexts = (first, second)

    def __enter__(self) -> None:
        for context in self._contexts:
            context.__enter__()

    def __exit__(self, *exception: object) -> None:
        for context in reversed(self._contexts):
            context.__exit__(*exception)


def _kept(output: Mapping[str, Any]) -> dict[str, Any]:
    """What later frames attend to besides the memory."""
    return {name: output[name] for name in ("obj_ptr", "object_score_logits")}
