"""Where do two runs disagree, and which one is right? With Polars, lazily.

    python examples/agreement.py one.parquet other.parquet

The cells marked `# %%` run one by one in editors that know them.
"""

# %% The same frame of the same track in both runs.
import sys

import polars as pl

from lmeec.masks import RunLengthMask

one, other = sys.argv[1:3]
key = ["take_uid", "object", "query_cam", "target_cam", "direction", "frame"]
shown = [*key, "height", "width", "mask_rle", "confidence", "iou"]
both = pl.scan_parquet(one).select(shown).join(pl.scan_parquet(other).select(shown), on=key, suffix="_other")

# %% Equal masks are equal text, so most of the agreement needs no decoding.
summary = (
    both.with_columns(
        same_mask=pl.col("mask_rle") == pl.col("mask_rle_other"),
        same_visible=(pl.col("confidence") > 0.5) == (pl.col("confidence_other") > 0.5),
        gain=pl.col("iou_other") - pl.col("iou"),
    )
    .group_by("direction")
    .agg(
        frames=pl.len(),
        same_mask=pl.col("same_mask").mean(),
        same_visible=pl.col("same_visible").mean(),
        first_better=(pl.col("gain") < -0.05).mean(),
        second_better=(pl.col("gain") > 0.05).mean(),
        mean_gain=pl.col("gain").mean(),
    )
    .sort("direction")
    .collect()
)
print("Agreement of the two runs, and the share of frames in which one is better by over 0.05 IoU")
print(summary)

# %% The frames with the largest difference in IoU are those to look at with `lmeec render`.
apart = (
    both.filter(pl.col("mask_rle") != pl.col("mask_rle_other"))
    .with_columns(gain=pl.col("iou_other") - pl.col("iou"))
    .filter(pl.col("gain").is_not_null())
    .sort(pl.col("gain").abs(), descending=True)
    .head(5)
    .collect()
)
print("Furthest apart")
print(apart.select(*key, "iou", "iou_other"))


# %% How much do these masks overlap with each other, ground truth aside?
def overlap(row: dict) -> float:
    """IoU of the two runs' masks of one frame."""
    first = RunLengthMask.from_counts(row["mask_rle"], row["height"], row["width"]).decode()
    second = RunLengthMask.from_counts(row["mask_rle_other"], row["height"], row["width"]).decode()
    union = int((first | second).sum())
    return 1.0 if union == 0 else int((first & second).sum()) / union


for row in apart.iter_rows(named=True):
    print(f"{row['object']} in {row['target_cam']}, frame {row['frame']}: the two masks overlap by {overlap(row):.2f}")
