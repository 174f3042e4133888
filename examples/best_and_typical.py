"""Which pictures show a run's best frame, and a typical one? With pandas.

    lmeec render results.parquet takes/ --out pictures/ --mosaic --stills 1
    python examples/best_and_typical.py results.parquet pictures/

The cells marked `# %%` run one by one in editors that know them.
"""

# %% What each picture is worth: mean IoU of the predictions in it, over those views in which the object is visible.
import sys
from pathlib import Path

from lmeec.tables import read_results
from lmeec.tables.track_names import TrackNames

results, pictures = sys.argv[1:3]
rows = read_results(results).to_pandas()
rows = rows[rows.gt_state == "visible"]
worth = {}
names = TrackNames.of([results])
for (take, name, direction, frame), group in rows.groupby(["take_uid", "object", "direction", "frame"]):
    picture = Path(pictures, names.folder(take, name), f"{direction}.{frame}.png")
    if picture.is_file():
        worth[picture] = group.iou.mean()

# %% The best is no fair sample; the typical one is nearest to the median.
ranked = sorted(worth, key=worth.__getitem__)
best, typical = ranked[-1], ranked[(len(ranked) - 1) // 2]
print(
    f"""IoU is how much of a mask and its truth overlap: 1 is a perfect mask, 0 a miss; 0.5 covers the object with a
rough edge. Location error is how far masks lie from the truth, in picture diagonals; contour accuracy is how much of
the edge is right. Balanced accuracy is how often "visible" or "not visible" is right: 50 is a guess, 100 is always.
Of {len(ranked)} pictures, one for each object and direction, chosen by IoU after all were made:
  typical, the median: {typical} ({worth[typical]:.2f})
  the best:            {best} ({worth[best]:.2f})
Hatched is what was given, filled is what was predicted, dashed is the truth."""
)
