"""Annotations with all the oddities that files have."""

from __future__ import annotations

import lzstring

from lmeec.masks import RunLengthMask
from tests.support.rendered import EGO


def emptied(mask):
    counts = RunLengthMask.empty(mask["height"], mask["width"]).counts
    return mask | {"encodedMask": lzstring.LZString().compressToEncodedURIComponent(counts)}


def doctored(annotated):
    """Masks outside the annotated frames, without foreground, null and past the videos' end, in both views."""
    for cameras in annotated["object_masks"].values():
        for camera, masks in cameras.items():
            first, looked_at = next(iter(masks["annotation"].values()), None), masks["annotated_frames"]
            if first is None:
                continue
            masks["annotation"] |= {"3": first, "4": first, "6": emptied(first), "40": first}
            masks["annotated_frames"] = sorted({*looked_at, 4, 6, 40} - ({0} if camera == "gp01" else {10}))
            if camera != EGO:
                masks["annotation"]["4"] = None
            masks["annotation"].pop("15", None)
