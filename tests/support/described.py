"""Atomic descriptions on disk, shaped as the release has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def description(text: str | None, timestamp: object, **fields: Any) -> dict[str, Any]:
    """One description; fields that are not given have ordinary values."""
    ordinary = {"subject": "C", "ego_visible": True, "unsure": False, "best_exo": {"cam_id": "gp01"}}
    return {"text": text, "timestamp": timestamp, **ordinary, **fields}


def annotation(*descriptions: dict[str, Any], annotator: str | None = "anna", rejected: Any = False) -> dict[str, Any]:
    """One annotator's descriptions of a take."""
    return {
        "annotation_uid": "5c5bb1b2-8f3e-4a40-9a58-000000000000",
        "annotator_id": annotator,
        "rejected": rejected,
        "reject_reason": None,
        "descriptions": list(descriptions),
    }


def spoken(*times: float, annotator: str | None = "anna", **fields: Any) -> dict[str, Any]:
    """An annotation of numbered sentences at these times."""
    return annotation(*(description(f"C does {n}", t, **fields) for n, t in enumerate(times)), annotator=annotator)


def write_descriptions(root: Path, takes: dict[str, Any], split: str = "val") -> Path:
    path = root / "annotations" / f"atomic_descriptions_{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"annotations": takes, "ds": "240101"}))
    return path
